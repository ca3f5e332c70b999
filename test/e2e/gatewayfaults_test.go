package e2e

import (
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/kratostest"
)

// TestGatewayOutages: whatever is down, a user whom Kratos does not have never sees that the
// password is wrong, nobody is half created, and the same password logs in afterwards.
func TestGatewayOutages(t *testing.T) {
	s := start(t, "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_AUTH0_TIMEOUT=1s", "FERRY_GATEWAY_PER_MINUTE=10000")
	known := s.person(t, nil)
	if got, err := s.kratos.LoginAPI(t.Context(), known.email, known.password); err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("%q, %v", got.Sees(), err)
	}
	for name, cut := range map[string]func(*testing.T, *stack) (mend func()){
		"Auth0 breaks connections": faulty(auth0sim.Fault{Name: auth0sim.FaultResetBeforeRequest, Path: auth0sim.AnyPath}),
		"Auth0 answers 503":        faulty(auth0sim.Fault{Name: auth0sim.FaultUnavailable, Path: auth0sim.AnyPath}),
		"Auth0 limits the tenant":  faulty(auth0sim.Fault{Name: auth0sim.FaultGlobalLimit, Path: auth0sim.AnyPath}),
		"Kratos' admin API down": func(_ *testing.T, s *stack) func() {
			s.lookups.down.Store(true)
			return func() { s.lookups.down.Store(false) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			testGatewayOutage(t, s, known, cut)
		})
	}
}

// getsIn lets a user try until the limits of ferry towards Auth0 have ended.
func getsIn(t *testing.T, by login, email, password string) bool {
	t.Helper()
	return await.True(func() bool {
		got, err := by(t.Context(), email, password)
		if err != nil {
			t.Fatal(err)
		}
		return got.Sees() == kratostest.SeesSession
	})
}

// faulty makes Auth0 misbehave.
func faulty(f auth0sim.Fault) func(*testing.T, *stack) func() {
	return func(t *testing.T, s *stack) func() {
		t.Helper()
		id, err := s.sim.SetFault(f)
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := s.sim.ClearFault(id); err != nil {
				t.Error(err)
			}
		}
	}
}

func testGatewayOutage(t *testing.T, s *stack, known *person, cut func(*testing.T, *stack) func()) {
	t.Helper()
	for way, by := range map[string]login{"API": s.kratos.LoginAPI, "form": s.kratos.LoginBrowser} {
		u := s.unknown(t, nil)
		mend := cut(t, s)
		got, err := by(t.Context(), u.email, u.password)
		if err != nil || !strings.Contains(got.Sees(), "503") {
			t.Errorf("%s: an unknown user sees %q, %v", way, got.Sees(), err)
		}
		if got, err := by(t.Context(), known.email, known.password); err != nil || got.Sees() != kratostest.SeesSession {
			t.Errorf("%s: a user whom Kratos has sees %q, %v", way, got.Sees(), err)
		}
		mend()
		if !getsIn(t, by, u.email, u.password) {
			t.Errorf("%s: the user does not get in afterwards", way)
		}
	}
}
