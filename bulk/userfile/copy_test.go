package userfile_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"ferry/bulk/userfile"
)

func all(int) bool { return true }

func TestCopy(t *testing.T) {
	odd := func(line int) bool { return line%2 == 1 }
	for name, c := range map[string]struct {
		text string
		keep func(int) bool
		want string
	}{
		"ndjson":               {"{\"a\":1}\n{\"a\":2}\n {\"a\" :3} ", odd, "{\"a\":1}\n {\"a\" :3} \n"},
		"ndjson, crlf, blanks": {"\r\n\n{\"a\":1}\r\nhello\r\n[3]\r\n", odd, "{\"a\":1}\r\n[3]\r\n"},
		"ndjson, mark":         {"\ufeff{\"a\":1}\n", all, "\ufeff{\"a\":1}\n"},
		"array":                {`[{"a" :1},{"a":2},3]`, odd, "[\n{\"a\" :1},\n3\n]\n"},
		"array, nothing kept":  {`[{"a":1}]`, func(int) bool { return false }, "[\n]\n"},
		"csv":                  {"user_id,name\n1,x\n2,y\n\n3,\"a\nb\"\n4,z", odd, "user_id,name\n2,y\n3,\"a\nb\"\n4,z\n"},
		"csv, crlf":            {"user_id,name\r\n1,x\r\n\r\n2,y\r\n", all, "user_id,name\r\n1,x\r\n2,y\r\n"},
		"csv, bad rows":        {"user_id\n1,2\na\"b\n\"x\"y\n3", all, "user_id\n1,2\na\"b\n\"x\"y\n3\n"},
		"csv, nothing kept":    {"\ufeff\nuser_id", all, "\ufeffuser_id\n"},
		"empty":                {"", all, ""},
	} {
		for packing, text := range map[string]string{"plain": c.text, "gzip": pack(t, c.text)} {
			t.Run(name+"/"+packing, func(t *testing.T) {
				s := open(t, text)
				var out bytes.Buffer
				if err := s.Copy(t.Context(), &out, c.keep, nil); err != nil {
					t.Fatal(err)
				}
				if out.String() != c.want {
					t.Errorf("copied %q, want %q", out.String(), c.want)
				}
			})
		}
	}
}

// TestCopyKeepsLongLines: what is too long to be read is not too long to be kept.
func TestCopyKeepsLongLines(t *testing.T) {
	const most = 200_000
	long := strings.Repeat("x", most+1)
	for name, c := range map[string]struct{ text, want string }{
		"in the middle":    {"{}\n" + long + "\r\n{}\n", "{}\n" + long + "\r\n{}\n"},
		"longer":           {"{}\n" + long + long + "\n", "{}\n" + long + long + "\n"},
		"at the end":       {"{}\n" + long, "{}\n" + long + "\n"},
		"longer, at end":   {"{}\n" + long + long, "{}\n" + long + long + "\n"},
		"one is left out":  {"{}\n{}\n{}\n" + long, "{}\n{}\n{}\n"},
		"and one is wider": {"{}\n{}\n{}\n" + long + long + "\n{}", "{}\n{}\n{}\n{}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, c.text)
			s.Limit(most, most)
			var out bytes.Buffer
			if err := s.Copy(t.Context(), &out, func(line int) bool { return line != 4 }, nil); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.want {
				t.Errorf("copied %d bytes, want %d", out.Len(), len(c.want))
			}
		})
	}
}

func TestCopyOfAFileThatBreaksOff(t *testing.T) {
	var out bytes.Buffer
	err := open(t, `[{"a":1},{"a":2},{"a`).Copy(t.Context(), &out, all, nil)
	if err == nil || !strings.Contains(err.Error(), "the array is not closed at row 3") {
		t.Errorf("err = %v", err)
	}
	if want := "[\n{\"a\":1},\n{\"a\":2}\n]\n"; out.String() != want {
		t.Errorf("copied %q, want %q", out.String(), want)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestCopyErrors(t *testing.T) {
	full := errors.New("disk full")
	for name, text := range map[string]string{
		"short": "{}\n", "long": strings.Repeat("{}\n", 100_000), "array": "[{}]", "csv": "user_id\n1\n", "too long": "{}\n" + strings.Repeat("x", 9<<20),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, text)
			if err := s.Copy(t.Context(), brokenWriter{full}, all, nil); !errors.Is(err, full) {
				t.Errorf("err = %v", err)
			}
			if name == "long" && s.Offset() == s.Size() {
				t.Error("the pass went on to the end")
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := open(t, "{}\n").Copy(ctx, &out, all, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

// roundTrip holds a copy of every row against its original.
func roundTrip(t *testing.T, s *userfile.Source) {
	t.Helper()
	want, err := pass(t.Context(), s)
	if err != nil {
		return // the copy has not everything
	}
	var out bytes.Buffer
	if err := s.Copy(t.Context(), &out, all, nil); err != nil {
		t.Fatal(err)
	}
	again, err := userfile.OpenBytes(t.Context(), out.Bytes())
	if err != nil {
		t.Fatalf("open the copy: %v", err)
	}
	got, err := pass(t.Context(), again)
	if err != nil {
		t.Fatalf("read the copy %q: %v", out.Bytes(), err)
	}
	if strings.Contains(strings.Join(want, ""), "error: ") { // which may name lines, and blank ones are gone
		if len(got) != len(want) {
			t.Fatalf("%d rows, %d before", len(got), len(want))
		}
		return
	}
	same(t, values(got), values(want))
}

// The mark of a copy is on its first row that is a user.
func TestCopyMarks(t *testing.T) {
	mark := func(text []byte) ([]byte, error) {
		if text[0] != '{' {
			return nil, errors.New("not a user")
		}
		return append(bytes.Clone(bytes.TrimSuffix(text, []byte("}"))), `,"m":0}`...), nil
	}
	for name, c := range map[string]struct{ text, want string }{
		"ndjson":  {"hello\r\n{\"a\":1}\r\n{\"a\":2}\n", "hello\r\n{\"a\":1,\"m\":0}\n{\"a\":2}\n"},
		"array":   {`[3,{"a":1},{"a":2}]`, "[\n3,\n{\"a\":1,\"m\":0},\n{\"a\":2}\n]\n"},
		"objects": {"{\n\"a\":1}{\"a\":2}", "{\n\"a\":1,\"m\":0}\n{\"a\":2}\n"},
		"csv":     {"user_id\n{}\n", "user_id\n{}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := open(t, c.text).Copy(t.Context(), &out, all, mark); err != nil || out.String() != c.want {
				t.Errorf("%v, copied %q", err, out.String())
			}
		})
	}
}
