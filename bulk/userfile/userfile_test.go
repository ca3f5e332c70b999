package userfile_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/blake2b"

	"ferry/bulk/userfile"
)

func TestFormats(t *testing.T) {
	long := `{"user_id":"` + strings.Repeat("x", 200_000) + `"}` // longer than any buffer
	for name, c := range map[string]struct {
		text   string
		format userfile.Format
		rows   []string
	}{
		"empty":                      {"", userfile.NDJSON, nil},
		"blank":                      {" \n\t\r\n ", userfile.NDJSON, nil},
		"a mark and nothing":         {"\ufeff", userfile.NDJSON, nil},
		"ndjson":                     {"{\"a\":1}\n{\"a\":2}\n", userfile.NDJSON, []string{`1 {"a":1}`, `2 {"a":2}`}},
		"ndjson, no last end":        {"{\"a\":1}\n{\"a\":2}", userfile.NDJSON, []string{`1 {"a":1}`, `2 {"a":2}`}},
		"ndjson, crlf":               {"{\"a\":1}\r\n{\"a\":2}\r\n", userfile.NDJSON, []string{`1 {"a":1}`, `2 {"a":2}`}},
		"ndjson, blank lines":        {"\n  \n{\"a\":1}\n\r\n\n {\"a\":2} \n\n", userfile.NDJSON, []string{`3 {"a":1}`, `6 {"a":2}`}},
		"ndjson, mark":               {"\ufeff{\"a\":1}\n{\"a\":2}\n", userfile.NDJSON, []string{`1 {"a":1}`, `2 {"a":2}`}},
		"ndjson, a line no json":     {"{\"a\":1}\nhello\n[2]\n", userfile.NDJSON, []string{`1 {"a":1}`, `2 hello`, `3 [2]`}},
		"ndjson, first line no json": {"hello, you\n{\"user_id\":1}\n", userfile.NDJSON, []string{`1 hello, you`, `2 {"user_id":1}`}},
		"csv, objects in cells":      {"user_id,m\n1,\"\n{\"\n", userfile.CSV, []string{`2 {"user_id":"1","m":"\n{"}`}},
		"ndjson, long line":          {long + "\n{}", userfile.NDJSON, []string{"1 " + long, "2 {}"}},
		"array":                      {"[{\"a\":1},\n {\"a\": [2]}]\n", userfile.Array, []string{`1 {"a":1}`, `2 {"a": [2]}`}},
		"array, empty":               {" [ ] ", userfile.Array, nil},
		"array, mark":                {"\ufeff\r\n[{\"a\":1}]", userfile.Array, []string{`1 {"a":1}`}},
		"array, no users":            {`[1,"x",null]`, userfile.Array, []string{"1 1", `2 "x"`, "3 null"}},
		"array, odd users":           {"[{\"a\":1,\"a\":2},{\"a\":\"ü\xff\"},{}]", userfile.Array, []string{`1 {"a":1,"a":2}`, "2 {\"a\":\"ü\xff\"}", "3 {}"}},
		"array, long element":        {"[" + long + ",{}]", userfile.Array, []string{"1 " + long, "2 {}"}},
		"arrays":                     {"[{\"a\":1}]\n[{\"a\":2},{\"a\":3}][]", userfile.Array, []string{`1 {"a":1}`, `2 {"a":2}`, `3 {"a":3}`}},
		"an object over lines":       {"{\n \"a\": 1\n}\n", userfile.Objects, []string{"1 {\n \"a\": 1\n}"}},
		"objects over lines":         {"{\n \"a\": 1\n}\n{\r\n\"a\":[\n2]}", userfile.Objects, []string{"1 {\n \"a\": 1\n}", "2 {\r\n\"a\":[\n2]}"}},
		"objects, mark":              {"\ufeff\n{\n \"a\": 1\n}\n", userfile.Objects, []string{"1 {\n \"a\": 1\n}"}},
		"objects on one line":        {`{"a":1}{"a":2} {"a":3}`, userfile.Objects, []string{`1 {"a":1}`, `2 {"a":2}`, `3 {"a":3}`}},
		"objects, long":              {"{\"x\":\"" + strings.Repeat("x", 200_000) + "\",\n\"a\":1}{}", userfile.Objects, []string{"1 {\"x\":\"" + strings.Repeat("x", 200_000) + "\",\n\"a\":1}", "2 {}"}},
		"a page":                     {`{"start":0,"limit":50,"length":1,"total":1,"users":[{"user_id":"auth0|1"}]}`, userfile.Pages, []string{`1 {"user_id":"auth0|1"}`}},
		"a page over lines":          {"{\n\"users\": [\n{\"a\":\n1},\n{\"a\":2}\n],\n\"total\": 2\n}\n", userfile.Pages, []string{"1 {\"a\":\n1}", `2 {"a":2}`}},
		"pages":                      {"{\"start\":0,\"users\":[{\"a\":1}]}\n{\"start\":1,\"users\":[{\"a\":2}],\"total\":2}\n{\"users\":[]}", userfile.Pages, []string{`1 {"a":1}`, `2 {"a":2}`}},
		"pages in an array":          {`[{"users":[{"a":1},{"a":2}]},{"users":[{"users":[{}]}]}]`, userfile.Pages, []string{`1 {"a":1}`, `2 {"a":2}`, `3 {"users":[{}]}`}},
		"an empty page":              {`{"start":0,"limit":50,"length":0,"total":0,"users":[]}`, userfile.Pages, nil},
		"a user who lists users":     {`{"user_id":"auth0|1","users":[{}]}`, userfile.NDJSON, []string{`1 {"user_id":"auth0|1","users":[{}]}`}},
		"a user with a list":         {`{"users":[1],"user_id":"auth0|1"}` + "\n{}", userfile.NDJSON, []string{`1 {"users":[1],"user_id":"auth0|1"}`, "2 {}"}},
		"ndjson, first line cut":     {"{\"a\":[\n{\"a\":1}\n{\"a\":2}\n", userfile.NDJSON, []string{`1 {"a":[`, `2 {"a":1}`, `3 {"a":2}`}},
		"ndjson, cut and no more":    {"{\"a\":\n{\"a\":1}\n", userfile.NDJSON, []string{`1 {"a":`, `2 {"a":1}`}},
		"ndjson, commas":             {"{\"a\":1},\n{\"a\":2},\n", userfile.NDJSON, []string{`1 {"a":1},`, `2 {"a":2},`}},
		"csv":                        {"user_id,email\nauth0|1,a@b.c\nauth0|2,\n", userfile.CSV, []string{`2 {"user_id":"auth0|1","email":"a@b.c"}`, `3 {"user_id":"auth0|2"}`}},
		"csv, no last end":           {"user_id\nauth0|1", userfile.CSV, []string{`2 {"user_id":"auth0|1"}`}},
		"csv, crlf":                  {"user_id\r\nauth0|1\r\n", userfile.CSV, []string{`2 {"user_id":"auth0|1"}`}},
		"csv, mark":                  {"\ufeffuser_id\nauth0|1\n", userfile.CSV, []string{`2 {"user_id":"auth0|1"}`}},
		"csv, blank lines":           {"\n  \nuser_id,name\n\n \t \nauth0|1,x\n\r\n\nauth0|2,y\n\n", userfile.CSV, []string{`6 {"user_id":"auth0|1","name":"x"}`, `9 {"user_id":"auth0|2","name":"y"}`}},
		"csv, lines in a cell":       {"user_id,name\nauth0|1,\"a\nb\"\nauth0|2,\"c \"\"d\"\"\"\n", userfile.CSV, []string{`2 {"user_id":"auth0|1","name":"a\nb"}`, `4 {"user_id":"auth0|2","name":"c \"d\""}`}},
		"csv, header alone":          {"user_id,name", userfile.CSV, nil},
		"csv, header quoted":         {"\"user_id\",\"name\"\nauth0|1,x\n", userfile.CSV, []string{`2 {"user_id":"auth0|1","name":"x"}`}},
		"csv, quoted nothing":        {"user_id\n\"\"\nauth0|1\n", userfile.CSV, []string{`2 {}`, `3 {"user_id":"auth0|1"}`}},
		"csv, long cell":             {"user_id\n" + strings.Repeat("x", 200_000) + "\nauth0|1", userfile.CSV, []string{`2 {"user_id":"` + strings.Repeat("x", 200_000) + `"}`, `3 {"user_id":"auth0|1"}`}},
	} {
		half := len(c.text) / 2
		for packing, text := range map[string]string{
			"plain": c.text, "gzip": pack(t, c.text), "two members": pack(t, c.text[:half]) + pack(t, c.text[half:]),
		} {
			t.Run(name+"/"+packing, func(t *testing.T) {
				s := open(t, text)
				if s.Format() != c.format {
					t.Errorf("format %s, want %s", s.Format(), c.format)
				}
				same(t, mustPass(t, s), c.rows)
				same(t, mustPass(t, s), c.rows)
			})
		}
	}
}

// TestFatal: a file that breaks off is told with its row, after the rows before it.
func TestFatal(t *testing.T) {
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "{\"user_id\":\"auth0|%d\"}\n", i*i*7919)
	}
	packed := pack(t, text.String())
	wrongSum := []byte(packed)
	wrongSum[len(wrongSum)-8] ^= 1
	damaged := []byte(packed)
	for i := range 64 {
		damaged[len(damaged)/2+i] = 0xff
	}
	for name, c := range map[string]struct{ text, want string }{
		"gzip cut in the data":      {packed[:len(packed)/2], "the gzip file ends too early at row N: copy the whole file again"},
		"gzip cut in the sum":       {packed[:len(packed)-3], "the gzip file ends too early at row 5001: copy the whole file again"},
		"gzip cut at once":          {packed[:5], "the gzip file ends too early at row 1: copy the whole file again"},
		"gzip, wrong sum":           {string(wrongSum), "the gzip file is damaged at row 5001: copy it again, and check it with gzip -t"},
		"gzip, damaged":             {string(damaged), "the gzip file is damaged at row N: copy it again, and check it with gzip -t"},
		"gzip and more":             {packed + "more and more", "the gzip file has other data after its end at row 5001: copy it again, and check it with gzip -t"},
		"gzip and half of the next": {packed + packed[:11], "the gzip file ends too early at row 5001: copy the whole file again"},
		"gzipped array cut":         {pack(t, "["+strings.Repeat("{},", 9))[:20], "the gzip file ends too early at row N: copy the whole file again"},
		"gzipped csv cut":           {pack(t, "user_id,name\n"+text.String())[:500], "the gzip file ends too early at row N: copy the whole file again"},
		"array cut":                 {`[{"a":1},{"a"`, "the array is not closed at row 2: copy the whole file again"},
		"array cut between":         {`[{"a":1},`, "the array is not closed at row 2: copy the whole file again"},
		"array not closed":          {`[{"a":1}`, "the array is not closed at row 2: copy the whole file again"},
		"array, syntax":             {`[{"a":1},{"canary":tru}]`, "the array is not JSON at row 2: fix it there, or write one user per line with jq -c: then a bad line affects no other"},
		"array, no comma":           {`[{"a":1} {"a":2}]`, "the array is not JSON at row 2: fix it there, or write one user per line with jq -c: then a bad line affects no other"},
		"array, trailing comma":     {`[{"a":1},]`, "the array is not JSON at row 2: fix it there, or write one user per line with jq -c: then a bad line affects no other"},
		"array and words":           {"[{}] canary", "there is other text after the array at row 2: a file may contain arrays of users and nothing else"},
		"array and a number":        {"[{}]\n[{}] 1", "there is other text after the array at row 3: a file may contain arrays of users and nothing else"},
		"objects cut":               {"{\n\"a\":1}\n{\n\"a\":", "an object is not closed at row 2: copy the whole file again"},
		"objects cut at once":       {"{\n\"a\":1,\n", "an object is not closed at row 1: copy the whole file again"},
		"objects, syntax":           {"{\n\"a\":1}\n{\n\"canary\":tru}", "an object is not JSON at row 2: fix it there, or write one user per line with jq -c: then a bad line affects no other"},
		"objects, syntax at once":   {"{\n\"canary\":tru}\n", "an object is not JSON at row 1: fix it there, or write one user per line with jq -c: then a bad line affects no other"},
		"page cut":                  {`{"start":0,"users":[{"a":1},{"a"`, "a page is not closed at row 2: copy the whole file again"},
		"page and a user":           {`{"users":[{"a":1}]}{"user_id":"canary"}`, `a page has no list of users at row 2: a page of the Management API lists its users under "users"; import other objects from a separate file`},
		"zip":                       {"PK\x03\x04\x14", "the zip archive is damaged or not whole: copy the whole file again"},
		"tar in gzip":               {pack(t, "users.json"+strings.Repeat("\x00", 247)+"ustar\x00"), "the file is a tar archive at row 1: unpack it first"},
		"gzip in gzip":              {pack(t, packed), "the file is a gzip file at row 1: unpack it first"},
		"zstd":                      {"\x28\xb5\x2f\xfd", "the file is a zstd file at row 1: unpack it first"},
		"a link that expired":       {"<?xml version=\"1.0\"?><Error>", "the file is HTML or XML at row 1: open it: it may be an error page, for example of an expired link"},
		"csv, quote not closed":     {"user_id,name\nauth0|1,x\nauth0|2,\"canary\nauth0|3,x\n", "a quote is not closed at row 3: close it, or double it if it is part of the cell"},
		"csv, header no csv":        {"canary\"user_id\nauth0|1", "the header is not valid CSV at row 1: a users file begins with {, with [, or with the names of its columns"},
		"utf-16":                    {"\xff\xfe{", "the file is damaged UTF-16 at row 1: copy the whole file again, or save it as UTF-8"},
		"utf-32":                    {"\xff\xfe\x00\x00{\x00\x00\x00", "the file is UTF-32 at row 1: save it as UTF-8"},
		"utf-16, no mark":           {"{\x00}\x00", "the file is UTF-16 or UTF-32 without a byte order mark at row 1: save it as UTF-8"},
		"latin-1, \u00c3\u00bc":     {"{\"a\":\"M\xfcller\"}\n{\"a\":\"\xc3\xbc\"}\n{\"a\":\"Jos\xe9\"}\n", "the file is not UTF-8 at row 1, and probably Windows-1252 or Latin-1: convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE >CONVERTED"},
		"utf-16, half a pair":       {"\xff\xfe{\x00\x00\xd8}\x00", "the file is damaged UTF-16 at row 1: copy the whole file again, or save it as UTF-8"},
		"utf-16, second half only":  {"\xfe\xff\x00{\xdc\x00", "the file is damaged UTF-16 at row 1: copy the whole file again, or save it as UTF-8"},
		"latin-1":                   {"{\"a\":1}\n{\"a\":\"\xfc\"}\n", "the file is not UTF-8 at row 2, and probably Windows-1252 or Latin-1: convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE >CONVERTED"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, next, err := readBroken(t, c.text)
			want := "read users file: " + strings.Replace(c.want, "row N", fmt.Sprintf("row %d", next), 1)
			if err == nil || err.Error() != want {
				t.Fatalf("after %d rows: %v\nwant: %s", len(rows), err, want)
			}
			if name == "gzip cut in the data" {
				same(t, values(rows), strings.Split(text.String(), "\n")[:len(rows)])
			}
		})
	}
}

// readBroken makes a pass that does not come to its end, and says which line is next.
func readBroken(t *testing.T, text string) (rows []string, next int, err error) {
	t.Helper()
	s, err := userfile.Open(t.Context(), write(t, text), nil, t.TempDir(), nil)
	if err != nil {
		return nil, 1, err
	}
	defer s.Close()
	rows, err = pass(t.Context(), s)
	if s.Digest() != "" {
		t.Error("half a pass has a digest")
	}
	next = len(rows) + 1
	if s.Format() == userfile.CSV {
		next++ // the header
	}
	return rows, next, err
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := userfile.Open(t.Context(), dir+"/none", nil, dir, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := userfile.Open(t.Context(), dir, nil, dir, nil); err == nil || !strings.Contains(err.Error(), "it is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := userfile.Open(t.Context(), "-", strings.NewReader("{}"), dir+"/none", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	broken := errors.New("broken")
	if _, err := userfile.Open(t.Context(), "-", iotest.ErrReader(broken), dir, nil); !errors.Is(err, broken) {
		t.Errorf("stdin that breaks: %v", err)
	}
	empty(t, dir)
}

func TestStdinIsReadTwice(t *testing.T) {
	for name, text := range map[string]string{"plain": "{\"a\":1}\n{\"a\":2}\n", "gzip": pack(t, "{\"a\":1}\n{\"a\":2}\n")} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := userfile.Open(t.Context(), "-", iotest.OneByteReader(strings.NewReader(text)), dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			empty(t, dir)
			if mode, err := s.Mode(); err != nil || mode.Perm() != 0o600 {
				t.Errorf("mode %s, %v", mode, err)
			}
			for range 2 {
				same(t, mustPass(t, s), []string{`1 {"a":1}`, `2 {"a":2}`})
			}
			if s.Size() != int64(len(text)) {
				t.Errorf("size %d, want %d", s.Size(), len(text))
			}
		})
	}
}

// TestPipeIsReadTwice: what a shell puts in the place of a file name.
func TestPipeIsReadTwice(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.WriteString(in, "{\"a\":1}\n"); err != nil {
		t.Fatal(err)
	}
	in.Close()
	s, err := userfile.Open(t.Context(), fmt.Sprintf("/dev/fd/%d", out.Fd()), nil, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		same(t, mustPass(t, s), []string{`1 {"a":1}`})
	}
}

func TestCancel(t *testing.T) {
	for name, text := range map[string]string{
		"ndjson": strings.Repeat("{}\n", 9), "array": "[{},{},{}]", "csv": "user_id\n1\n2\n3\n", "gzip": pack(t, strings.Repeat("{}\n", 9)),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, text)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			seen := 0
			for _, err := range s.Rows(ctx) {
				if seen == 1 {
					if !errors.Is(err, context.Canceled) {
						t.Fatalf("err = %v", err)
					}
				}
				seen++
				cancel()
			}
			if seen != 2 {
				t.Fatalf("the pass went on after the context was over: %d steps", seen)
			}
			if _, err := pass(ctx, s); !errors.Is(err, context.Canceled) {
				t.Fatalf("a new pass: %v", err)
			}
			same(t, mustPass(t, s)[:1], []string{mustPass(t, s)[0]})
		})
	}
}

func TestCancelWhileStdinSaysNothing(t *testing.T) {
	stdin, in := io.Pipe()
	defer in.Close() // ends the read that is left behind
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(in, "{}\n") // returns once it is read
		cancel()
	}()
	if _, err := userfile.Open(ctx, "-", stdin, dir, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
	empty(t, dir)
}

func TestBreakAndDigest(t *testing.T) {
	for name, text := range map[string]string{
		"ndjson": "{}\n{}\n", "array": "[{},{}]  ", "csv": "user_id\n1\n2\n", "gzip": pack(t, "{}\n{}\n"), "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, text)
			if s.Offset() != 0 || s.Size() != int64(len(text)) {
				t.Errorf("offset %d, size %d", s.Offset(), s.Size())
			}
			beginPass(t, s)
			if text != "" && s.Digest() != "" {
				t.Error("half a pass has a digest")
			}
			mustPass(t, s)
			sum := blake2b.Sum256([]byte(text))
			if s.Digest() != hex.EncodeToString(sum[:]) {
				t.Error("the digest is not that of the file")
			}
			if s.Offset() != s.Size() {
				t.Errorf("offset %d of %d after a whole pass", s.Offset(), s.Size())
			}
		})
	}
}

// beginPass reads one row.
func beginPass(t *testing.T, s *userfile.Source) {
	t.Helper()
	for _, err := range s.Rows(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		return
	}
}

func TestFileChanges(t *testing.T) {
	name := write(t, "{\"a\":1}\n")
	s, err := userfile.Open(t.Context(), name, nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustPass(t, s)
	for _, c := range []struct{ text, want string }{
		{"{\"a\":2}\n", "read users file: the file changed since it was read before: import a copy that no program writes to"},
		{"{}\n", "read users file: the file became shorter while it was read at row 2: import a copy that no program writes to"},
	} {
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pass(t.Context(), s); err == nil || err.Error() != c.want {
			t.Errorf("err = %v\nwant: %s", err, c.want)
		}
	}
}

func TestTooLongRows(t *testing.T) {
	const most = 8 << 20
	fit := `{"a":"` + strings.Repeat("x", most-8) + `"}`
	s := open(t, "{}\n"+fit+"\n"+fit+" \n"+fit+fit+fit+"\n{}\n"+fit+fit)
	rows := mustPass(t, s)
	for i, row := range rows {
		if row == "2 "+fit {
			rows[i] = "2 fits"
		}
	}
	const refused = "error: the row is longer than 8 MiB"
	same(t, rows, []string{"1 {}", "2 fits", "3 " + refused, "4 " + refused, "5 {}", "6 " + refused})
}

// TestRowsThatAreHeld: a row of an array or of CSV is refused while its end can be
// found, and ends the pass where it seems to have none.
func TestRowsThatAreHeld(t *testing.T) {
	const row, held = 100_000, 300_000
	long, endless := strings.Repeat("x", row), strings.Repeat("x", 2*held)
	const refused, fatal = "error: the row is longer than 8 MiB", "read users file: the row is longer than 64 MiB at row %d: a quote or a bracket is probably not closed there"
	for name, c := range map[string]struct {
		text  string
		rows  []string
		fatal int
	}{
		"array": {`[{},"` + long + `",{},"` + endless + `",{}]`, []string{"1 {}", "2 " + refused, "3 {}"}, 4},
		"csv":   {"user_id\n1\n" + long + "x\n2\n\"" + endless + "\"\n3\n", []string{`2 {"user_id":"1"}`, "3 " + refused, `4 {"user_id":"2"}`}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, c.text)
			s.Limit(row, held)
			rows, err := pass(t.Context(), s)
			same(t, rows, c.rows)
			if err == nil || err.Error() != fmt.Sprintf(fatal, c.fatal) {
				t.Errorf("err = %v", err)
			}
		})
	}
}
