package e2e

import (
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// TestRequireVerifiedAddress: with ferry's hook before require_verified_address, a
// user who verified the address at Auth0 after the export can log in: at the first
// login if Kratos reads ferry's answer, otherwise at the second. A user who never
// verified it cannot.
func TestRequireVerifiedAddress(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(map[string]any)
		first bool
	}{"parse": {parse, true}, "ignore": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, func(config map[string]any) {
				if c.edit != nil {
					c.edit(config)
				}
				after := at(config, "selfservice", "flows", "login", "after", "password")
				after["hooks"] = append(after["hooks"].([]any), map[string]any{"hook": "require_verified_address"})
			})
			p := s.profiled(t, nil)
			got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
			if err != nil || (got.Sees() == kratostest.SeesSession) != c.first {
				t.Errorf("the first login sees %q, %v", got.Sees(), err)
			}
			p.arrived(t, func(i kratostest.Identity) bool { return marked(i) && verified(i, p.email) })
			p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})

			never := s.profiled(t, func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.EmailVerified = false })
			for range 2 {
				got, err := s.kratos.LoginAPI(t.Context(), never.email, never.password)
				if err != nil || got.Sees() == kratostest.SeesSession {
					t.Errorf("the user without a verified address sees %q, %v", got.Sees(), err)
				}
			}
		})
	}
}

// at returns an object in a parsed kratos.yml.
func at(config map[string]any, path ...string) map[string]any {
	for _, key := range path {
		config = config[key].(map[string]any)
	}
	return config
}
