package wiring_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ferry/secret"
	"ferry/wire"
	"ferry/wiring"
)

const testKey = "0123456789abcdef0123456789abcdef"

func options() wiring.Options {
	return wiring.Options{URL: "http://127.0.0.1:4480", Key: secret.New(testKey)}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "merge", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "merge", name), got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, name); string(want) != string(got) {
		t.Errorf("%s: got\n%s", name, got)
	}
}

// goldens are the files of testdata/merge, and the lines of each that a merge takes
// out or changes. All others stay as they are, in their order; where ferry's hook is
// moved, it alone is in another place.
func goldens() map[string]struct {
	options func(*wiring.Options)
	moved   bool
	gone    []string
} {
	return map[string]struct {
		options func(*wiring.Options)
		moved   bool
		gone    []string
	}{
		"four-spaces": {},
		"global-hooks": {options: func(o *wiring.Options) {
			o.KratosVersion, o.ClientIPHeader, o.Response = "26.2", "X-Forwarded-For", wiring.Parse
		}},
		"anchors": {gone: []string{"      config: {}   # nothing yet"}},
		"crlf":    {gone: []string{"          hooks: [] # none so far", "        migrate_hook:"}},
		"earlier": {moved: true},
		"partial": {moved: true, gone: []string{
			"          enabled: false # not yet",
			"            url: 'http://old.internal:4480/hooks/password-migration'",
			`                value: "Bearer an-older-key-of-thirty-two-letters"`,
			"                name: X-Api-Key # Kratos logs it",
			"                url: http://old.internal:4480/hooks/after-login",
		}},
	}
}

// TestMergeGoldens: six files, each written in its own way, and what becomes of them.
func TestMergeGoldens(t *testing.T) {
	for name, c := range goldens() {
		t.Run(name, func(t *testing.T) {
			o := options()
			if c.options != nil {
				c.options(&o)
			}
			before := read(t, name+".yml")
			merged, err := wiring.Merge(before, o)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".merged.yml", merged.Text)
			golden(t, name+".diff", []byte(merged.Diff))
			golden(t, name+".notes", []byte(strings.Join(append(merged.Notes, ""), "\n")))
			if gone := missing(string(before), string(merged.Text)); !sameLines(unless(c.moved, gone, merged.Text), c.gone) {
				t.Errorf("gone: %q", gone)
			}
			again, err := wiring.Merge(merged.Text, o)
			if err != nil || string(again.Text) != string(merged.Text) || again.Diff != "" {
				t.Errorf("merged twice: %v\n%s", err, again.Diff)
			}
			checkRemoved(t, name, before, merged.Text)
			if merged.Placeholder {
				t.Error("a placeholder, though the key is known")
			}
		})
	}
}

// checkRemoved takes ferry out of a merged file again.
func checkRemoved(t *testing.T, name string, before, merged []byte) {
	t.Helper()
	left, err := wiring.Remove(merged, "")
	switch {
	case err != nil:
		t.Errorf("taken out again: %v", err)
	case strings.Contains(string(before), wire.MigrationPath):
		golden(t, name+".removed.yml", left.Text)
	case string(left.Text) != string(before):
		t.Errorf("taken out again: %s", left.Diff)
	}
}

// unless is without those lines that are elsewhere in the file, if some were moved.
func unless(moved bool, lines []string, text []byte) []string {
	if !moved {
		return lines
	}
	return slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(string(text), "\n"+line) })
}

// missing are the lines of one text that the other lacks, or has in another order.
func missing(before, after string) []string {
	var gone []string
	rest := strings.SplitAfter(after, "\n")
	for line := range strings.Lines(before) {
		if i := slices.Index(rest, line); i >= 0 {
			rest = rest[i+1:]
		} else {
			gone = append(gone, line)
		}
	}
	return gone
}

func sameLines(got, want []string) bool {
	trim := func(lines []string) (out []string) {
		for _, line := range lines {
			out = append(out, strings.TrimRight(line, "\r\n"))
		}
		return out
	}
	got, want = trim(got), trim(want)
	slices.Sort(got)
	slices.Sort(want)
	return slices.Equal(got, want)
}

// TestMergeExample: what ferry ships needs nothing but the address and the key.
func TestMergeExample(t *testing.T) {
	before, err := os.ReadFile("../kratos.yml.example")
	if err != nil {
		t.Fatal(err)
	}
	merged, err := wiring.Merge(before, options())
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(string(before), `"Bearer CHANGE-ME-32-CHARACTERS-OR-MORE"`, `"Bearer `+testKey+`"`)
	if string(merged.Text) != want {
		t.Errorf("got %s", merged.Diff)
	}
}

// TestMergeRefuses: each error names the line, and nothing of the file.
func TestMergeRefuses(t *testing.T) {
	const hook = "selfservice:\n  methods:\n    password:\n      config:\n        migrate_hook:\n"
	for name, c := range map[string]struct{ file, want string }{
		"nothing":       {"", "0 documents instead of one: put the output"},
		"comments":      {"# nothing\n", "0 documents"},
		"two documents": {"a: 1\n---\nb: 2\n", "2 documents"},
		"JSON":          {`{"dsn": "memory"}`, "it is JSON"},
		"TOML":          {"dsn = \"memory\"\n[log]\nlevel = \"info\"\n", "TOML"},
		"a list":        {"- hidden\n", "not a mapping"},
		"tabs":          {"a:\n\tb: hidden\n", "line 2 is not valid YAML"},
		"twice":         {"a: hidden\na: hidden\n", "line 2 is not valid YAML"},
		"lone return":   {"a: 1\rb: 2\n", "carriage return"},
		"flow on the way": {
			"a: 1\nselfservice: {flows: {error: {ui_url: hidden}}}\n",
			"line 2: selfservice is written in flow style",
		},
		"alias on the way": {
			"x: &x\n  password: {enabled: true}\nselfservice:\n  methods: *x\n",
			"line 4: selfservice.methods is an alias",
		},
		"merged key": {
			"x: &x\n  methods: {link: {enabled: true}}\nselfservice:\n  <<: *x\n  flows: {}\n",
			"line 3: selfservice takes methods from an alias",
		},
		"anchor used elsewhere": {
			"x: &x\n  a: 1\nselfservice:\n  methods:\n    password: &p\n      enabled: true\n    other: *p\n",
			"without changing something else",
		},
		"a scalar on the way": {"selfservice:\n  methods: hidden\n", "line 2: selfservice.methods is neither"},
		"another's hook": {
			hook + "          enabled: true\n          config:\n            url: https://hidden.example.org/check\n",
			"line 8: selfservice.methods.password.config.migrate_hook.config.url does not call ferry: remove it, or allow replacing it (--replace)",
		},
		"hooks by alias": {
			"x: &x\n  - hook: revoke_active_sessions\nselfservice:\n  flows:\n    login:\n      after:\n        password:\n          hooks: *x\n",
			"line 8: selfservice.flows.login.after.password.hooks cannot be edited",
		},
		"global hooks by alias": {
			"x: &x\n  - hook: revoke_active_sessions\nselfservice:\n  flows:\n    login:\n      after:\n        hooks: *x\n",
			"line 7: selfservice.flows.login.after.hooks cannot be copied",
		},
		"global hooks with anchor": {
			"selfservice:\n  flows:\n    login:\n      after:\n        hooks:\n          - &hidden\n            hook: revoke_active_sessions\n",
			"line 5: selfservice.flows.login.after.hooks contains an anchor",
		},
		"hooks in flow style": {
			"selfservice:\n  flows:\n    login:\n      after:\n        password:\n          hooks: [{hook: revoke_active_sessions}]\n",
			"line 6: selfservice.flows.login.after.password.hooks cannot be edited",
		},
	} {
		t.Run(name, func(t *testing.T) {
			merged, err := wiring.Merge([]byte(c.file), options())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v, want %q\n%s", err, c.want, merged.Text)
			}
		})
	}
}

// TestMergeReplaces: Merge replaces settings of others if it is allowed to.
func TestMergeReplaces(t *testing.T) {
	const before = "selfservice:\n  methods:\n    password:\n      config:\n        migrate_hook:\n          enabled: true\n" +
		"          config:\n            url: https://example.org/check\n            headers:\n              X-Key: abc\n        min_password_length: 9\n"
	o := options()
	o.Replace = true
	merged, err := wiring.Merge([]byte(before), o)
	if err != nil {
		t.Fatal(err)
	}
	got := values(t, merged.Text)
	config := at(got, "selfservice", "methods", "password", "config")
	if at(config, "min_password_length") != uint64(9) || at(config, "migrate_hook", "config", "headers") != nil ||
		at(config, "migrate_hook", "config", "url") != "http://127.0.0.1:4480/hooks/password-migration" {
		t.Errorf("got %v", config)
	}
}

// failer is a test, or a property on trial.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func values(t failer, text []byte) any {
	t.Helper()
	var out any
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

func at(value any, path ...string) any {
	for _, step := range path {
		here, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = here[step]
	}
	return value
}

// TestMergeWithoutKey: Merge keeps an existing key, and reports a missing one.
func TestMergeWithoutKey(t *testing.T) {
	o := options()
	merged, err := wiring.Merge(read(t, "four-spaces.yml"), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Key = secret.String{}
	if again, err := wiring.Merge(merged.Text, o); err != nil || again.Diff != "" || again.Placeholder {
		t.Errorf("with a key in the file: %v, %v\n%s", again.Placeholder, err, again.Diff)
	}
	fresh, err := wiring.Merge(read(t, "four-spaces.yml"), o)
	if err != nil || !fresh.Placeholder {
		t.Fatalf("with none: %v, %v", fresh.Placeholder, err)
	}
	if again, err := wiring.Merge(fresh.Text, o); err != nil || again.Diff != "" || !again.Placeholder {
		t.Errorf("with the placeholder in the file: %v, %v\n%s", again.Placeholder, err, again.Diff)
	}
}

// TestMergeRotates the key, in flow style and behind an alias too.
func TestMergeRotates(t *testing.T) {
	o := options()
	merged, err := wiring.Merge(read(t, "partial.yml"), o)
	if err != nil {
		t.Fatal(err)
	}
	const quoted = `value: "Bearer ` + testKey + `"`
	first := strings.Index(string(merged.Text), quoted)
	text := string(merged.Text[:first]) + `value: &key "Bearer ` + testKey + `"` + string(merged.Text[first+len(quoted):])
	o.Key = secret.New(strings.Repeat("n", 32))
	for name, file := range map[string]string{
		"flow":  text,
		"alias": strings.Replace(text, "config: { name: Authorization, "+quoted+", in: header }", "config:\n                    name: Authorization\n                    value: *key\n                    in: header", 1),
	} {
		rotated, err := wiring.Merge([]byte(file), o)
		if err != nil || strings.Contains(string(rotated.Text), testKey) || strings.Contains(rotated.Diff, strings.Repeat("n", 32)) {
			t.Errorf("%s: %v\n%s", name, err, rotated.Text)
		}
		if gone := missing(file, string(rotated.Text)); len(gone) > 3 {
			t.Errorf("%s: gone %q", name, gone)
		}
	}
}

// TestMergeKeeps what an operator has chosen and a merge was not asked to change.
func TestMergeKeeps(t *testing.T) {
	with := options()
	with.KratosVersion, with.ClientIPHeader, with.Response = "v25.4.0", "X-Real-Ip", wiring.Parse
	merged, err := wiring.Merge(read(t, "four-spaces.yml"), with)
	if err != nil {
		t.Fatal(err)
	}
	later := options()
	later.KratosVersion = "26.2"
	if again, err := wiring.Merge(merged.Text, later); err != nil || again.Diff != "" {
		t.Errorf("the header or the response went: %v\n%s", err, again.Diff)
	}
	later.ClientIPHeader = "True-Client-Ip"
	if again, err := wiring.Merge(merged.Text, later); err != nil ||
		!strings.Contains(string(again.Text), wiring.Base64(wiring.MigrateJsonnet("True-Client-Ip"))) {
		t.Errorf("the header stayed: %v", err)
	}
	older := options()
	older.KratosVersion = "1.3.1"
	again, err := wiring.Merge(merged.Text, older)
	if err != nil || again.Diff != "" || !slices.ContainsFunc(again.Notes, func(note string) bool { return strings.Contains(note, "refuses to start") }) {
		t.Errorf("the body of another version: %v, %q", err, again.Notes)
	}
	const basic = "              type: basic_auth\n              config: {user: kratos, password: " + testKey + "}\n"
	text := string(merged.Text)
	begin := strings.Index(text, "type: api_key")
	end := strings.Index(text, "in: header\n") + len("in: header\n")
	column := begin - strings.LastIndex(text[:begin], "\n") - 1
	text = text[:begin-column] + strings.ReplaceAll(basic, "              ", strings.Repeat(" ", column)) + text[end:]
	if again, err := wiring.Merge([]byte(text), with); err != nil || again.Diff != "" {
		t.Errorf("basic authentication with the key: %v\n%s", err, again.Diff)
	}
}

func TestOptionsCheck(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*wiring.Options)
		want string
	}{
		"no scheme":          {func(o *wiring.Options) { o.URL = "127.0.0.1:4480" }, "url"},
		"a user":             {func(o *wiring.Options) { o.URL = "http://hidden@127.0.0.1" }, "url"},
		"a query":            {func(o *wiring.Options) { o.URL = "http://127.0.0.1/?hidden" }, "url"},
		"a fragment":         {func(o *wiring.Options) { o.URL = "http://127.0.0.1/#" }, "url"},
		"version":            {func(o *wiring.Options) { o.KratosVersion = "24.1" }, "version"},
		"version, no number": {func(o *wiring.Options) { o.KratosVersion = "v1" }, "version"},
		"header":             {func(o *wiring.Options) { o.ClientIPHeader = "X Real" }, "header"},
		"header with 1.3.1":  {func(o *wiring.Options) { o.ClientIPHeader, o.KratosVersion = "X-Real-Ip", "1.3.1" }, "1.3.1"},
		"response":           {func(o *wiring.Options) { o.Response = "both" }, "response"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			c.edit(&o)
			err := o.Check()
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v", err)
			}
			if _, merging := wiring.Merge([]byte("dsn: memory\n"), o); errors.Is(merging, nil) {
				t.Error("merged all the same")
			}
		})
	}
}
