package jsonstream_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/goleak"

	"ferry/bulk/jsonstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSniff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want jsonstream.Shape
	}{
		"nothing":                         {"", jsonstream.Lines},
		"words":                           {"hello", jsonstream.Lines},
		"a line":                          {`{"a":1}`, jsonstream.Lines},
		"lines":                           {"\n {\"a\":1}\n{\n", jsonstream.Lines},
		"a line that is cut":              {"{\"a\":1\n{\"a\":2}\n", jsonstream.Lines},
		"a line with another's beginning": {"{\"a\":{\"b\":1}\n{\"a\":2}\n", jsonstream.Lines},
		"an array":                        {"[{}]", jsonstream.Array},
		"an array that is cut":            {"[", jsonstream.Array},
		"over lines":                      {"{\n\"a\":1}", jsonstream.Objects},
		"over lines, in a value":          {"{\"a\":[1,\n2]}", jsonstream.Objects},
		"over lines, broken":              {" {\r\ntru\n", jsonstream.Objects},
		"side by side":                    {`{"a":1} {"b"`, jsonstream.Objects},
		"side by side, on two lines":      {"{\"a\":1}\n{\"b\"", jsonstream.Lines},
		"a page":                          {`{"total":1,"users":[{`, jsonstream.Pages},
		"an empty page":                   {`{"users":[],"total":0}`, jsonstream.Pages},
		"pages in an array":               {`[{"users":[{"a":1}]}`, jsonstream.Pages},
		"a user with users":               {`{"user_id":"1","users":[{}]}`, jsonstream.Lines},
		"a user with no users":            {`{"users":[],"user_id":"1"}`, jsonstream.Lines},
		"users that are no objects":       {`{"users":["a","b"]}`, jsonstream.Lines},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text))} {
				if got, err := jsonstream.Sniff(in); err != nil || got != c.want {
					t.Errorf("%d, %v; want %d", got, err, c.want)
				}
			}
		})
	}
}

func TestSniffTellsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	in := io.MultiReader(strings.NewReader("{\n"), iotest.ErrReader(broken))
	if _, err := jsonstream.Sniff(in); !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
}

// FuzzReader: a file of any shape ends, each value is JSON and stands where the reader
// says, and reading byte by byte gives the same.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"", "[{},1,\"x\"]", "[{}][{}]", "[{}]x", "{\n\"a\":1}\n{}", `{"a":1}{"b":2}`, `{"users":[{"a":1},{}],"total":2}{"users":[]}`,
		`[{"users":[{}]},{"users":[{"users":[1]}]}]`, `{"users":[{}]}{}`, "{\n", "[[1],[2]]", `{"users":[],"users":[{}]}`, `[{"users":[[{}]]}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		shape, err := jsonstream.Sniff(strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		if shape == jsonstream.Lines {
			return
		}
		values, failed := readAll(t, data, shape, strings.NewReader(string(data)))
		again, failedAgain := readAll(t, data, shape, iotest.OneByteReader(strings.NewReader(string(data))))
		if !slices.Equal(values, again) || !errors.Is(failedAgain, failed) {
			t.Fatalf("%q, %v, then %q, %v", values, failed, again, failedAgain)
		}
	})
}

func readAll(t *testing.T, data []byte, shape jsonstream.Shape, in io.Reader) (values []string, err error) {
	t.Helper()
	r := jsonstream.NewReader(in, shape, 1<<20)
	for {
		value, err := r.Next()
		if err != nil {
			return values, err
		}
		end := int(r.Offset())
		if string(data[end-len(value):end]) != string(value) {
			t.Fatalf("%q does not end at %d", value, end)
		}
		if !jsontext.Value(value).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			t.Fatalf("not JSON: %q", value)
		}
		if values = append(values, string(value)); len(values) > len(data) {
			t.Fatal("more values than bytes")
		}
	}
}
