package export

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func zipped(tb testing.TB, text []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestCountUsers(t *testing.T) {
	t.Parallel()
	const user = `{"user_id":"auth0|1","app_metadata":{"a":1,"A":2}}`
	long := func(n int) string {
		return `{"user_id":"auth0|1","x":"` + strings.Repeat("x", n) + `"}`
	}
	for name, c := range map[string]struct {
		text  string
		users int64
		err   string
	}{
		"none":                 {"", 0, ""},
		"one":                  {user, 1, ""},
		"with ends":            {user + "\r\n" + user + "\n", 2, ""},
		"blank lines":          {"\n" + user + "\n  \n" + user + "\n\n", 2, ""},
		"many":                 {strings.Repeat(user+"\n", 5000), 5000, ""},
		"long lines":           {long(1<<16) + "\n" + long(1<<20) + "\n" + user, 3, ""},
		"key twice":            {`{"user_id":"a","user_id":"b"}`, 1, ""},
		"not UTF-8":            {"{\"user_id\":\"a\xff\"}", 1, ""},
		"no id":                {user + "\n{}\n", 0, "line 2 is not a user"},
		"an empty id":          {`{"user_id":""}`, 0, "line 1 is not a user"},
		"an id in other case":  {`{"User_ID":"a"}`, 0, "line 1 is not a user"},
		"an id that is none":   {`{"user_id":7}`, 0, "line 1 is not a user"},
		"an array":             {"[" + user + "]", 0, "line 1 is not a user"},
		"two in a line":        {user + user, 0, "line 1 is not a user"},
		"CSV":                  {"user_id,email\nauth0|1,a@b.test\n", 0, "line 1 is not a user"},
		"half a line":          {user + "\n" + user[:10], 0, "line 2 is not a user"},
		"spread over lines":    {"{\n\"user_id\":\"a\"}", 0, "line 1 is not a user"},
		"nothing but an error": {"<Error/>", 0, "line 1 is not a user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := int64(0)
			users, err := countUsers(bytes.NewReader(zipped(t, []byte(c.text))), func(n int64) error { told += n; return nil })
			if c.err == "" {
				if err != nil || users != c.users || told != users {
					t.Errorf("%d users, told %d, %v", users, told, err)
				}
				return
			}
			var broken *brokenError
			if err == nil || !strings.Contains(err.Error(), c.err) || errors.As(err, &broken) || strings.Contains(err.Error(), "auth0|") {
				t.Errorf("%d users, %v", users, err)
			}
		})
	}
}

func TestNextLineIsBounded(t *testing.T) {
	t.Parallel()
	most := strings.Repeat("x", maxExportLine-1) + "\n"
	lines := bufio.NewReader(strings.NewReader(most + "x" + most))
	if row, last, err := nextLine(lines); len(row) != maxExportLine-1 || last || err != nil {
		t.Errorf("%d bytes, %t, %v", len(row), last, err)
	}
	if _, _, err := nextLine(lines); !errors.Is(err, bufio.ErrTooLong) {
		t.Errorf("%v", err)
	}
}

// A file is broken wherever it is cut, and whichever byte of it changed that counts.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	whole := zipped(t, []byte(strings.Repeat(`{"user_id":"auth0|1"}`+"\n", 50)))
	nothing := func(int64) error { return nil }
	for cut := range len(whole) {
		var broken *brokenError
		if _, err := countUsers(bytes.NewReader(whole[:cut]), nothing); !errors.As(err, &broken) {
			t.Errorf("cut after %d of %d bytes: %v", cut, len(whole), err)
		}
	}
	for at := len(whole) - 8; at < len(whole); at++ { // its CRC and its length
		changed := bytes.Clone(whole)
		changed[at] ^= 1
		var broken *brokenError
		if _, err := countUsers(bytes.NewReader(changed), nothing); !errors.As(err, &broken) {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
	if _, err := countUsers(bytes.NewReader(append(bytes.Clone(whole), "<html>"...)), nothing); err == nil {
		t.Error("something after the end")
	}
	if users, err := countUsers(bytes.NewReader(append(bytes.Clone(whole), whole...)), nothing); err != nil || users != 100 {
		t.Errorf("two in one: %d, %v", users, err)
	}
	wanted := errors.New("enough")
	if _, err := countUsers(bytes.NewReader(whole), func(int64) error { return wanted }); !errors.Is(err, wanted) {
		t.Errorf("%v", err)
	}
}

func TestPollAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ left, last, want time.Duration }{
		{0, time.Second, 2 * time.Second},
		{0, 8 * time.Second, 15 * time.Second},
		{0, 15 * time.Second, 15 * time.Second},
		{time.Millisecond, 15 * time.Second, time.Second},
		{7 * time.Second, 15 * time.Second, 7 * time.Second},
		{time.Hour, time.Second, 15 * time.Second},
	} {
		if got := pollAfter(c.left, c.last); got != c.want {
			t.Errorf("%s left after %s: %s, want %s", c.left, c.last, got, c.want)
		}
	}
}

// FuzzCountUsers: what is counted is every line that is not blank, and each of them is
// a JSON object.
func FuzzCountUsers(f *testing.F) {
	f.Add([]byte("{\"user_id\":\"auth0|1\"}\n\n{\"user_id\":\"auth0|2\"}"), true)
	f.Add([]byte("{\"user_id\":\"\\ud800\"}\r\n"), true)
	f.Add([]byte("[]"), true)
	f.Add(zipped(f, []byte(`{"user_id":"a"}`)), false)
	f.Fuzz(func(t *testing.T, text []byte, compress bool) {
		file := text
		if compress {
			file = zipped(t, text)
		}
		users, err := countUsers(bytes.NewReader(file), func(int64) error { return nil })
		if err != nil || !compress {
			return
		}
		lines := int64(0)
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			if lines++; line[0] != '{' || !json.Valid(line) {
				t.Errorf("took %q for a user", line)
			}
		}
		if lines != users {
			t.Errorf("%d users in %d lines", users, lines)
		}
	})
}
