package wiring_test

import (
	"os"
	"strings"
	"testing"

	"ferry/wiring"
)

// TestRemoveKeepsWhatIsNotFerrys: hooks of the operator's own, in every list.
func TestRemoveKeepsWhatIsNotFerrys(t *testing.T) {
	const head = "selfservice:\n  flows:\n    login:\n      after:\n"
	const ours = "- hook: web_hook\n            config:\n              url: https://ferry.internal/hooks/after-login\n"
	for name, c := range map[string]struct{ file, want, note string }{
		"between others": {
			head + "        password:\n          hooks:\n          - hook: revoke_active_sessions\n          " + ours + "          # stays\n          - hook: require_verified_address\n",
			head + "        password:\n          hooks:\n          - hook: revoke_active_sessions\n          # stays\n          - hook: require_verified_address\n", "",
		},
		"in the global list and another method's": {
			head + "        hooks:\n          " + ours + "          - hook: require_verified_address\n        oidc:\n          hooks:\n          " + ours + "        code:\n          hooks:\n          - hook: revoke_active_sessions\n",
			head + "        hooks:\n          - hook: require_verified_address\n        code:\n          hooks:\n          - hook: revoke_active_sessions\n", "",
		},
		"copies that were edited since": {
			head + "        hooks:\n          - hook: require_verified_address\n        password:\n          hooks:\n          " + ours + "          # Copied from login.after.hooks, which do not run where this list is.\n          - hook: revoke_active_sessions\n",
			head + "        hooks:\n          - hook: require_verified_address\n        password:\n          hooks:\n          # Copied from login.after.hooks, which do not run where this list is.\n          - hook: revoke_active_sessions\n",
			"was kept",
		},
		"the same hooks, but not copies": {
			head + "        hooks:\n          - hook: require_verified_address\n        password:\n          hooks:\n          " + ours + "          - hook: require_verified_address\n",
			head + "        hooks:\n          - hook: require_verified_address\n        password:\n          hooks:\n          - hook: require_verified_address\n", "",
		},
		"another's migration hook": {
			"selfservice:\n  methods:\n    password:\n      config:\n        migrate_hook:\n          config: {url: https://example.org/check}\n",
			"selfservice:\n  methods:\n    password:\n      config:\n        migrate_hook:\n          config: {url: https://example.org/check}\n",
			"was not changed",
		},
		"an exception of Kratos' own filter": {
			"clients: {http: {private_ip_exception_urls: [http://10.0.0.1/hooks/after-login]}}\n",
			"clients: {http: {private_ip_exception_urls: [http://10.0.0.1/hooks/after-login]}}\n",
			"still contains ferry's hooks",
		},
	} {
		t.Run(name, func(t *testing.T) {
			left, err := wiring.Remove([]byte("dsn: memory\n"+c.file), "")
			if err != nil || string(left.Text) != "dsn: memory\n"+c.want {
				t.Errorf("%v, got\n%s", err, left.Text)
			}
			if got := strings.Join(left.Notes, "\n"); !strings.Contains(got, c.note) || c.note == "" && got != "" {
				t.Errorf("notes: %s", got)
			}
		})
	}
}

// TestRemoveExample: what ferry ships is a whole kratos.yml without ferry, too.
func TestRemoveExample(t *testing.T) {
	text, err := os.ReadFile("../kratos.yml.example")
	if err != nil {
		t.Fatal(err)
	}
	left, err := wiring.Remove(text, "")
	if err != nil {
		t.Fatal(err)
	}
	got := values(t, left.Text)
	if at(got, "selfservice", "flows", "login", "after") != nil || at(got, "selfservice", "methods", "password", "config", "migrate_hook") != nil ||
		at(got, "selfservice", "methods", "password", "config", "haveibeenpwned_enabled") != true {
		t.Errorf("left:\n%s", left.Text)
	}
	if len(left.Notes) != 1 || !strings.Contains(left.Notes[0], "error 500") || !strings.Contains(left.Notes[0], "ferry finish") {
		t.Errorf("notes: %q", left.Notes)
	}
}

// TestRemoveRefuses: each error names the line, and nothing of the file.
func TestRemoveRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"nothing else": {wiring.Fragment(options()), "contains nothing else"},
		"flow style": {
			"dsn: memory\nselfservice: {flows: {login: {after: {hooks: [{hook: hidden}, {hook: web_hook, config: {url: 'http://a/hooks/after-login'}}]}}}}\n",
			"line 2: selfservice is written in flow style",
		},
		"an alias on the way": {
			"x: &x\n  login: {after: {hooks: [{hook: web_hook, config: {url: 'http://a/hooks/after-login'}}]}}\nselfservice:\n  flows: *x\n",
			"line 4: selfservice.flows is an alias",
		},
		"an anchor that is used elsewhere": {
			"selfservice:\n  flows:\n    login:\n      after:\n        password:\n          hooks:\n          - hook: web_hook\n            config:\n              url: http://a/hooks/after-login\n              auth: &hidden {type: api_key}\nx: *hidden\n",
			"cannot be removed, perhaps because an anchor",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wiring.Remove([]byte(c.file), "")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
