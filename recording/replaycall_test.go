package recording

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/wire"
)

const (
	recordLine = `{"v":1,"time":"2026-11-22T01:02:03Z","route":"password-migration","shape":"fixed",` +
		`"body":{"identifier":"#00","password":"[password]"},"status":403,"answer":{"status":"no_match"},"outcome":"mismatch","took_ms":{}}`
	plain = `{"identifier":"ada@example.org","password":"canary"}`
)

func TestParseCalls(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		routes string // the routes of the calls
		fault  string
	}{
		"a line":                   {recordLine, "password-migration", ""},
		"a line of the other hook": {strings.Replace(recordLine, "password-migration", "after-login", 1), "after-login", ""},
		"a body":                   {plain, "password-migration", ""},
		"a body of the other hook": {`{"identity":{"id":"x"},"flow":{"id":"y"}}`, "after-login", ""},
		"a request":                {`{"method":"POST","url":"/migrate","header":{},"body":` + plain + `}`, "password-migration", ""},
		"a request, body as text":  {`{"method":"POST","body":"{\"identifier\":\"a\",\"password\":\"b\"}"}`, "password-migration", ""},
		"a line of a log":          {`{"level":"debug","msg":"hook","body":"{\"identifier\":\"a\",\"password\":\"b\"}"}`, "password-migration", ""},
		"a body with its quotes":   {`"{\"identifier\":\"a\",\"password\":\"b\"}"`, "password-migration", ""},
		"a byte order mark":        {"\ufeff" + plain, "password-migration", ""},
		"a string":                 {`"canary"`, "", "neither"},
		"a string in a string":     {`"\"{}\""`, "", "neither"},
		"a request by its path":    {`{"method":"POST","url":"/hooks/after-login","body":{}}`, "after-login", ""},
		"a list":                   {"[" + plain + "," + recordLine + "]", "password-migration password-migration", ""},
		"a later format":           {strings.Replace(recordLine, `"v":1`, `"v":2`, 1), "", "format that this version of ferry does not know"},
		"another route":            {strings.Replace(recordLine, "password-migration", "../admin", 1), "", "unknown hook"},
		"a line without a status":  {strings.Replace(recordLine, `"status":403`, `"status":0`, 1), "", "neither"},
		"an empty list":            {`[]`, "", "neither"},
		"a list of lists":          {`[[]]`, "", "neither"},
		"an identity":              {`{"id":"x","traits":{}}`, "", "neither"},
		"a number":                 {`7`, "", "neither"},
		"null":                     {`null`, "", "neither"},
		"truncated":                {plain[:20], "", "truncated"},
		"empty":                    {"", "", "truncated"},
		"a body that is text":      {`{"method":"POST","body":"canary"}`, "", "neither"},
		"headers of another kind":  {`{"method":"POST","header":7,"body":` + plain + `}`, "", "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			calls, err := parseCalls([]byte(c.text))
			var routes []string
			for _, call := range calls {
				routes = append(routes, call.Record.Route)
			}
			if got := strings.Join(routes, " "); got != c.routes {
				t.Errorf("got %q, want %q", got, c.routes)
			}
			if (err == nil) != (c.fault == "") || err != nil && (!strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "canary")) {
				t.Errorf("got %v, want %q", err, c.fault)
			}
		})
	}
}

// FuzzParseCalls: every call is for a known hook, and no error quotes the input.
func FuzzParseCalls(f *testing.F) {
	files, err := filepath.Glob("../test/testdata/payloads/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no payloads: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(recordLine))
	f.Add([]byte(plain))
	f.Fuzz(func(t *testing.T, text []byte) {
		calls, err := parseCalls(text)
		if (err == nil) != (len(calls) > 0) {
			t.Fatalf("%d calls and the error %v", len(calls), err)
		}
		if err != nil && len(err.Error()) > 80 {
			t.Fatalf("a long error may quote: %v", err)
		}
		for _, call := range calls {
			if call.Record.Route != wire.RouteMigration && call.Record.Route != wire.RouteAfterLogin {
				t.Fatalf("a call of %q", call.Record.Route)
			}
			if call.Recorded() && call.Record.Version != Version {
				t.Fatalf("a line of version %d", call.Record.Version)
			}
		}
	})
}

// write creates files in a new directory and returns the directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// read returns what a source yields: the positions of the calls, and the errors.
func read(t *testing.T, source *Source) (calls, faults []string, bytes int64) {
	t.Helper()
	for call, err := range source.Calls(func(n int64) { bytes += n }) {
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		calls = append(calls, call.At)
	}
	return calls, faults, bytes
}

func TestSource(t *testing.T) {
	long := `"` + strings.Repeat("x", 17<<20) + `"`
	dir := write(t, map[string]string{
		"b.ndjson":      recordLine + "\n\n" + recordLine[:40] + "\n" + long + "\n" + recordLine, // no newline at the end
		"a/body.json":   "{\n \"identifier\": \"a\",\n \"password\": \"b\"\n}\n",
		"a/list.json":   "[\n" + plain + ",\n" + plain + "\n]",
		"a/person.json": `{"id":"x"}`,
		"a/notes.md":    "no calls",
		"empty.ndjson":  "",
		"torn.json":     "{\n \"identifier\": ",
	})
	source, err := OpenSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	calls, faults, bytes := read(t, source)
	short := func(texts []string) []string {
		for i := range texts {
			texts[i] = strings.ReplaceAll(texts[i], dir+string(filepath.Separator), "")
		}
		return texts
	}
	wantCalls := []string{"a/body.json", "a/list.json[0]", "a/list.json[1]", "b.ndjson:1", "b.ndjson:5"}
	if got := short(calls); !slices.Equal(got, wantCalls) {
		t.Errorf("got the calls %q, want %q", got, wantCalls)
	}
	wantFaults := []string{
		"a/person.json:1: has no calls", "b.ndjson:3: invalid or truncated JSON",
		"b.ndjson:4: a JSON value longer than 16 MiB", "torn.json: invalid or truncated JSON",
	}
	if got := short(faults); !slices.Equal(got, wantFaults) {
		t.Errorf("got the faults %q, want %q", got, wantFaults)
	}
	if bytes != source.Size() {
		t.Errorf("reported %d bytes of %d", bytes, source.Size())
	}
	for call, err := range source.Calls(func(int64) {}) {
		if err != nil || call.At == "" {
			t.Errorf("got %q, %v", call.At, err)
		}
		break // the caller may stop early
	}
}

// TestSourceGrows: a file is read up to its size at the start, so that a replay whose
// calls are recorded into its own source ends.
func TestSourceGrows(t *testing.T) {
	dir := write(t, map[string]string{"calls.ndjson": recordLine + "\n" + recordLine + "\n"})
	source, err := OpenSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "calls.ndjson"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	const rounds, limit = 2, 10
	calls := 0
	for range rounds {
		for _, err := range source.Calls(func(int64) {}) {
			if calls++; err != nil || calls > limit {
				t.Fatalf("after %d calls: %v", calls, err)
			}
			if _, err := file.WriteString(recordLine + "\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if calls != 2*rounds {
		t.Errorf("read %d calls, want %d", calls, 2*rounds)
	}
}

// TestSourceFileIn: a file is found in a directory however the two paths are spelled.
func TestSourceFileIn(t *testing.T) {
	dir := write(t, map[string]string{"sub/calls.ndjson": recordLine})
	source, err := OpenSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(dir, "sub"), link); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{dir: false, filepath.Join(dir, "sub"): true, link: true, filepath.Join(dir, "missing"): false} {
		if file, found := source.FileIn(name); found != want || found != (file != "") {
			t.Errorf("%s: %q, %v", name, file, found)
		}
	}
}

// TestSourceFirstLineBroken: a broken first line costs only itself, like any other
// broken line.
func TestSourceFirstLineBroken(t *testing.T) {
	long := strings.Repeat("x", 9<<20) + "\n"
	for name, c := range map[string]struct {
		text  string
		calls int
		fault string
	}{
		"truncated":          {recordLine[:40] + "\n" + recordLine + "\n" + recordLine[:50] + "\n" + plain, 2, "calls.ndjson:1: invalid or truncated JSON calls.ndjson:3: invalid or truncated JSON"},
		"truncated, of many": {recordLine[:40] + "\n" + recordLine + "\n" + long + long + recordLine, 2, "calls.ndjson:1: invalid or truncated JSON calls.ndjson:3: invalid or truncated JSON calls.ndjson:4: invalid or truncated JSON"},
		"far too long":       {strings.Repeat("x", 17<<20) + "\n" + recordLine, 1, "calls.ndjson:1: a JSON value longer than 16 MiB"},
		"one, far too long":  {"{\n" + strings.Repeat("x", 17<<20), 0, "calls.ndjson: a JSON value longer than 16 MiB"},
		"one, truncated":     {"{\n \"identifier\":\n  {},\n", 0, "calls.ndjson: invalid or truncated JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"calls.ndjson": c.text})
			source, err := OpenSource(dir)
			if err != nil {
				t.Fatal(err)
			}
			calls, faults, bytes := read(t, source)
			got := strings.ReplaceAll(strings.Join(faults, " "), dir+string(filepath.Separator), "")
			if len(calls) != c.calls || got != c.fault || c.calls > 0 && bytes != source.Size() {
				t.Errorf("%d calls, %q, %d bytes of %d", len(calls), got, bytes, source.Size())
			}
		})
	}
}

// TestSourceNamed: a file that was named explicitly is never passed over; if it holds
// no call, that is an error.
func TestSourceNamed(t *testing.T) {
	dir := write(t, map[string]string{"person.json": `{"id":"x"}`, "only/notes.md": ""})
	source, err := OpenSource(filepath.Join(dir, "person.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range source.Calls(func(int64) {}) {
		var passed PassedOver
		if err == nil || errors.As(err, &passed) {
			t.Errorf("got %v", err)
		}
	}
	for _, missing := range []string{filepath.Join(dir, "nowhere"), filepath.Join(dir, "only")} {
		if _, err := OpenSource(missing); err == nil {
			t.Errorf("%s was opened", missing)
		}
	}
}
