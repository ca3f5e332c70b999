package wiring_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"ferry/secret"
	"ferry/wire"
	"ferry/wiring"
)

// FuzzMerge: whatever is merged keeps every value that it had, says the same when it
// is merged again, and shows no key.
func FuzzMerge(f *testing.F) {
	names, err := filepath.Glob("testdata/merge/*.yml")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range append(names, "../kratos.yml.example") {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, true, false)
		f.Add(text, false, true)
	}
	f.Fuzz(func(t *testing.T, file []byte, template, keyless bool) {
		o := options()
		if template {
			o.KratosVersion, o.Bridge = "26.2", testBridge()
		}
		if keyless {
			o.Key, o.SignUp = secret.String{}, true
		}
		merged, err := wiring.Merge(file, o)
		if err != nil {
			return
		}
		again, err := wiring.Merge(merged.Text, o)
		if err != nil || string(again.Text) != string(merged.Text) {
			t.Fatalf("merged twice: %v\n%s", err, again.Diff)
		}
		if !keyless && strings.Contains(merged.Diff, testKey) {
			t.Fatalf("the key shows:\n%s", merged.Diff)
		}
		keepsAll(t, file, merged.Text)
		undoes(t, file, merged.Text)
	})
}

// undoes: what a merge added, a removal takes out, byte for byte where the file had
// nothing of ferry's.
func undoes(t *testing.T, file, merged []byte) {
	t.Helper()
	before, errBefore := wiring.Remove(file, "")
	after, err := wiring.Remove(merged, "")
	if err != nil {
		if errBefore == nil && before.Diff == "" {
			t.Fatalf("merged, but not to be taken out again: %v\n%s", err, merged)
		}
		return
	}
	if bytes.Contains(after.Text, []byte(wire.MigrationPath)) && !bytes.Contains(file, []byte(wire.MigrationPath)) {
		t.Fatalf("something of ferry's is left:\n%s", after.Text)
	}
	if errBefore == nil && before.Diff == "" && !bytes.Contains(file, []byte("migrate_hook")) && !bytes.Contains(file, []byte("oidc")) && string(after.Text) != string(file) {
		t.Fatalf("merged and taken out again is another file:\n%s", after.Diff)
	}
	if again, err := wiring.Remove(after.Text, ""); err != nil || again.Diff != "" {
		t.Fatalf("taken out twice: %v\n%s", err, again.Diff)
	}
}

// keepsAll compares all that a file said with what it says now.
func keepsAll(t *testing.T, file, merged []byte) {
	t.Helper()
	var before, after map[string]any
	if yaml.Unmarshal(file, &before) != nil || yaml.Unmarshal(merged, &after) != nil {
		t.Fatal("it is not YAML")
	}
	now := leaves("", after, map[string]any{})
	for path, value := range leaves("", before, map[string]any{}) {
		if got, ok := now[path]; (!ok || !reflect.DeepEqual(got, value)) && !written(path) {
			t.Fatalf("%s was %v and is %v", path, value, got)
		}
	}
}

// leaves lists the values of a configuration by their paths. Empty values are left out.
func leaves(prefix string, value any, into map[string]any) map[string]any {
	switch node := value.(type) {
	case map[string]any:
		for key, inner := range node {
			leaves(prefix+"/"+key, inner, into)
		}
	case []any:
		for i, inner := range node {
			leaves(fmt.Sprintf("%s/%d", prefix, i), inner, into)
		}
	case nil:
	default:
		into[prefix] = value
	}
	return into
}

// written are the paths that a merge writes to.
func written(path string) bool {
	for _, own := range []string{"/selfservice/methods/password/config/migrate_hook/", "/selfservice/flows/login/after/password/hooks/", "/selfservice/flows/login/after/hooks/", "/selfservice/flows/registration/after/", "/selfservice/methods/oidc/"} {
		if strings.HasPrefix(path, own) {
			return true
		}
	}
	return false
}

// TestMergeAnyStyle: block style, however it is indented, commented and ended, and
// whatever is in it already, is only added to.
func TestMergeAnyStyle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := writer{
			t: t, step: rapid.IntRange(1, 5).Draw(t, "step"), ending: rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "ending"),
		}
		w.list = rapid.SampledFrom([]int{0, w.step}).Draw(t, "list")
		w.mapping(0, []string{"dsn", "identity", "selfservice", "log"}, "")
		before := w.out.String()
		if rapid.Bool().Draw(t, "no end") {
			before = strings.TrimSuffix(before, w.ending)
		}
		if before == "" || !strings.Contains(before, ":") {
			return
		}
		o := options()
		if rapid.Bool().Draw(t, "bridge") {
			o.Bridge = testBridge()
		}
		o.SignUp = rapid.Bool().Draw(t, "sign-up")
		merged, err := wiring.Merge([]byte(before), o)
		if err != nil {
			t.Fatalf("%v\n%s", err, before)
		}
		last := before[strings.LastIndex(strings.TrimSuffix(before, w.ending), "\n")+1:]
		gone := missing(before, strings.ReplaceAll(string(merged.Text), " # was empty", ""))
		if len(gone) > 0 && !slices.Equal(gone, []string{last}) {
			t.Fatalf("gone: %q\n%s\n%s", gone, before, merged.Text)
		}
		again, err := wiring.Merge(merged.Text, o)
		if err != nil || again.Diff != "" {
			t.Fatalf("merged twice: %v\n%s", err, again.Diff)
		}
		checkHooks(t, merged.Text, w.loginHooks, "login", "password")
		if o.SignUp {
			checkHooks(t, merged.Text, w.signUpHooks, "registration", "code")
		}
		checkProviders(t, merged.Text, w.providers, o.Bridge.ID != "")
		left, err := wiring.Remove(merged.Text, "")
		if err != nil || string(left.Text) != before {
			t.Fatalf("taken out again: %v\n%s", err, left.Diff)
		}
	})
}

// checkHooks looks at what runs after a flow with a method.
func checkHooks(t *rapid.T, merged []byte, others bool, flow, method string) {
	hooks, _ := at(values(t, merged), "selfservice", "flows", flow, "after", method, "hooks").([]any)
	if others && (len(hooks) < 2 || at(hooks[1], "hook") != "require_verified_address") {
		t.Fatalf("require_verified_address is not in force: %v", hooks)
	}
	if len(hooks) == 0 || at(hooks[0], "config", "url") != "http://127.0.0.1:4480/hooks/after-"+flow {
		t.Fatalf("ferry's hook is not the first: %v", hooks)
	}
}

// checkProviders looks at the providers of the OIDC method.
func checkProviders(t *rapid.T, merged []byte, others, bridge bool) {
	providers, _ := at(values(t, merged), "selfservice", "methods", "oidc", "config", "providers").([]any)
	var ids []string
	for _, one := range providers {
		ids = append(ids, fmt.Sprint(at(one, "id")))
	}
	var want []string
	if others {
		want = append(want, "google")
	}
	if bridge {
		want = append(want, "old")
	}
	if !slices.Equal(ids, want) {
		t.Fatalf("the providers are %v, not %v", ids, want)
	}
}

// writer writes a kratos.yml in a style of its own.
type writer struct {
	t          *rapid.T
	out        strings.Builder
	step, list int
	ending     string
	providers  bool // there is a provider of somebody else
	// Somewhere after a login with a password, or a registration with a code, stands
	// require_verified_address.
	loginHooks, signUpHooks bool
}

func (w *writer) line(column int, text string) {
	switch rapid.IntRange(0, 5).Draw(w.t, "around") {
	case 0:
		w.out.WriteString(w.ending)
	case 1:
		w.out.WriteString(strings.Repeat(" ", column) + "# about: what follows" + w.ending)
	case 2:
		text += " # a remark"
	default:
	}
	w.out.WriteString(strings.Repeat(" ", column) + text + w.ending)
}

// below are the keys that matter, by the key above.
func below(path string) []string {
	return map[string][]string{
		"/selfservice":                               {"methods", "flows", "default_browser_return_url"},
		"/selfservice/methods":                       {"link", "password", "oidc", "code"},
		"/selfservice/methods/password":              {"enabled", "config"},
		"/selfservice/methods/password/config":       {"haveibeenpwned_enabled", "migrate_hook"},
		"/selfservice/methods/oidc":                  {"config"},
		"/selfservice/methods/oidc/config":           {"base_redirect_uri", "providers"},
		"/selfservice/flows":                         {"error", "login", "registration"},
		"/selfservice/flows/registration":            {"ui_url", "after"},
		"/selfservice/flows/registration/after":      {"hooks", "code", "default_browser_return_url"},
		"/selfservice/flows/registration/after/code": {"hooks"},
		"/selfservice/flows/login":                   {"ui_url", "after"},
		"/selfservice/flows/login/after":             {"hooks", "password", "oidc"},
		"/selfservice/flows/login/after/password":    {"hooks", "default_browser_return_url"},
	}[path]
}

func (w *writer) mapping(column int, keys []string, path string) {
	for _, key := range rapid.Permutation(keys).Draw(w.t, "order") {
		if !rapid.Bool().Draw(w.t, key) {
			continue
		}
		inner := path + "/" + key
		children := below(inner)
		switch {
		case key == "hooks":
			w.loginHooks = w.loginHooks || strings.Contains(path, "/login/")
			w.signUpHooks = w.signUpHooks || strings.Contains(path, "/registration/")
			w.line(column, "hooks:")
			w.line(column+w.list, "- hook: require_verified_address")
			w.line(column+w.list, "-   hook: web_hook")
			w.line(column+w.list+4, "config: {url: 'http://a/b'}")
		case key == "providers":
			w.providers = true
			w.line(column, "providers:")
			w.line(column+w.list, "- id: google")
		case len(children) > 0 || key == "migrate_hook":
			w.line(column, key+":")
			w.mapping(column+w.step, children, inner)
		case rapid.Bool().Draw(w.t, "text"):
			w.line(column, key+": |")
			w.out.WriteString(strings.Repeat(" ", column+w.step) + "# no comment" + w.ending)
		default:
			w.line(column, key+": 'a: b' ")
		}
	}
}
