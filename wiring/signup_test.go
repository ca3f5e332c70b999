package wiring_test

import (
	"os"
	"strings"
	"testing"

	"ferry/secret"
	"ferry/wiring"
)

func signedUp(change func(*wiring.Options)) wiring.Options {
	o := options()
	o.SignUp = true
	if change != nil {
		change(&o)
	}
	return o
}

const (
	registrationHead = "dsn: memory\nselfservice:\n  flows:\n    registration:\n      ui_url: /registration\n"
	globalHook       = "      after:\n        hooks:\n          - hook: web_hook # stays\n            config: {url: http://a/b}\n"
	sessionOIDC      = "      after:\n        oidc:\n          hooks:\n            - hook: session\n"
)

// ferrysSignUp is ferry's hook as a release with another address wrote it.
const ferrysSignUp = "      after:\n        code:\n          hooks:\n            - hook: web_hook\n              config:\n                url: http://10.0.0.1:1/hooks/after-registration\n                response:\n                  ignore: true\n"

// The hook is added to the three lists, the operator's global hooks are copied behind it, and a
// removal restores the file.
func TestMergeSignUp(t *testing.T) {
	for name, c := range map[string]mergedSignUp{
		"nothing there":  {"dsn: memory\n", []string{"    registration:\n      after:\n        password:\n          hooks:\n"}, ""},
		"global hooks":   {registrationHead + globalHook, []string{"            # Copied from registration.after.hooks, which do not run where this list is.\n            - hook: web_hook # stays\n              config: {url: http://a/b}\n"}, ""},
		"one of its own": {registrationHead + sessionOIDC, []string{"wiring/after-registration.jsonnet\n"}, ""},
		"global, and one of its own": {
			registrationHead + globalHook + strings.TrimPrefix(sessionOIDC, "      after:\n"), nil,
			"registration.after.hooks has web_hook, which registration.after.oidc.hooks does not have: it does not run after sign-ups by oidc",
		},
	} {
		t.Run(name, c.check)
	}
}

// mergedSignUp is a file, and what a merge with the hook makes of it.
type mergedSignUp struct {
	file  string
	has   []string // in the file after the merge
	notes string
}

func (c mergedSignUp) check(t *testing.T) {
	merged, err := wiring.Merge([]byte(c.file), signedUp(nil))
	if err != nil {
		t.Fatal(err)
	}
	text := string(merged.Text)
	for _, has := range append(c.has, "parse: true") {
		if !strings.Contains(text, has) {
			t.Errorf("it lacks %q:\n%s", has, text)
		}
	}
	if n := strings.Count(text, "/hooks/after-registration\n"); n != 3 || !strings.Contains(strings.Join(merged.Notes, "\n"), c.notes) {
		t.Errorf("%d hooks, notes %q", n, merged.Notes)
	}
	for _, o := range []wiring.Options{signedUp(nil), options()} { // without the option they stay
		if again, err := wiring.Merge(merged.Text, o); err != nil || again.Diff != "" {
			t.Errorf("merged twice: %v\n%s", err, again.Diff)
		}
	}
	if left, err := wiring.Remove(merged.Text, ""); err != nil || string(left.Text) != c.file {
		t.Errorf("removed: %v\n%s", err, left.Diff)
	}
}

// Kratos calls a hook before it stores the identity only from the list of a method.
func TestMergeSignUpInTheGlobalList(t *testing.T) {
	file := registrationHead + strings.Replace(globalHook, "http://a/b", "http://10.0.0.1:1/hooks/after-registration", 1)
	if _, err := wiring.Merge([]byte(file), signedUp(nil)); err == nil || !strings.Contains(err.Error(), "registration.after.hooks has ferry's hook") {
		t.Error(err)
	}
}

// Only the option adds the hook. One that is there follows the address and the key.
func TestMergeSignUpThatIsThere(t *testing.T) {
	merged, err := wiring.Merge([]byte(registrationHead), options())
	if err != nil || strings.Contains(string(merged.Text), "after-registration") {
		t.Errorf("%v\n%s", err, merged.Text)
	}
	merged, err = wiring.Merge([]byte(registrationHead+ferrysSignUp), options())
	if err != nil || strings.Count(string(merged.Text), "url: http://127.0.0.1:4480/hooks/after-registration\n") != 1 || strings.Count(string(merged.Text), "parse: true") != 1 {
		t.Errorf("%v\n%s", err, merged.Text)
	}
	file := registrationHead + "clients:\n  http:\n    disallow_private_ip_ranges: true\n"
	merged, err = wiring.Merge([]byte(file), signedUp(func(o *wiring.Options) { o.KeyFromEnvironment, o.Key = true, secret.String{} }))
	if err != nil || len(merged.Variables) != 5 || strings.Join(merged.Variables, " ") != strings.Join(signedUp(nil).KeyVariables(), " ") ||
		!strings.Contains(strings.Join(merged.Notes, "\n"), "does not call http://127.0.0.1:4480/hooks/after-registration") {
		t.Errorf("%v, %q, %q", err, merged.Variables, merged.Notes)
	}
}

// The fragment is what a merge adds, and the template is the file that the page names.
func TestFragmentHasTheSignUp(t *testing.T) {
	merged, err := wiring.Merge([]byte(wiring.Fragment(signedUp(nil))), signedUp(nil))
	if err != nil || merged.Diff != "" {
		t.Errorf("%v\n%s", err, merged.Diff)
	}
	if text, err := os.ReadFile("after-registration.jsonnet"); err != nil || string(text) != wiring.AfterRegistrationJsonnet() {
		t.Error("the file is not what the package has", err)
	}
}
