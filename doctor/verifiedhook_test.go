package doctor_test

import (
	"testing"

	"ferry/doctor"
)

// The hooks of a method replace those of all logins.
func TestRequiresVerified(t *testing.T) {
	t.Parallel()
	const all = `selfservice: {flows: {login: {after: {hooks: [{hook: require_verified_address}]`
	for text, want := range map[string][2]bool{
		"version: v1.3.1": {false, false},
		all + `}}}}`:      {true, true},
		all + `, password: {hooks: [{hook: web_hook}]}}}}}`: {false, true},
		`{"selfservice": {"flows": {"login": {"after": {"password": {"hooks": [{"hook": "web_hook"}, {"hook": "require_verified_address"}]}}}}}}`: {true, false},
	} {
		for i, method := range []string{"password", "oidc"} {
			if got, err := doctor.RequiresVerified([]byte(text), method); err != nil || got != want[i] {
				t.Errorf("%s, %s: %v, %v", text, method, got, err)
			}
		}
	}
	if _, err := doctor.RequiresVerified([]byte("a: ["), "password"); err == nil {
		t.Error("half a file is taken")
	}
}
