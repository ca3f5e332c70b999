package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"ferry/test/kratostest"
)

// doors are the ways by which a user whom nobody imported gets an identity, by name. Each
// fails the test unless the user sees what an imported user sees.
func doors() map[string]func(t *testing.T, s *stack, u *unknown) {
	return map[string]func(t *testing.T, s *stack, u *unknown){
		"login": func(t *testing.T, _ *stack, u *unknown) {
			t.Helper()
			u.sees(t, u.password, kratostest.SeesSession)
		},
		"ensure": func(t *testing.T, s *stack, u *unknown) {
			t.Helper()
			if status := s.call(t, "/hooks/ensure", fmt.Sprintf(`{"identifier":%q}`, u.email)); status != http.StatusNoContent {
				t.Errorf("ensure: %d", status)
			}
		},
		"sign-up": func(t *testing.T, s *stack, u *unknown) {
			t.Helper()
			got, err := s.kratos.SignUp(t.Context(), withEmail(kratostest.SignUp{Password: ownPassword}, u.email))
			if err != nil || got.Sees() != kratostest.SeesExists {
				t.Errorf("sign-up: %q, %v", got.Sees(), err)
			}
		},
	}
}

// TestDoorsDuringImport: an import creates a user after a door has looked for the user in
// Kratos, or the door after the import has. The other finds the user created: no row fails,
// and the user has one identity and logs in by one attempt.
func TestDoorsDuringImport(t *testing.T) {
	s := startSignUp(t, nil, signUpSettings("FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_GATEWAY_PER_MINUTE=100000", "FERRY_ENSURE=true")...)
	for name, door := range doors() {
		for order, importFirst := range map[string]bool{"the import is first": true, "the import is second": false} {
			t.Run(name+", "+order, func(t *testing.T) { testDoorDuringImport(t, s, door, importFirst) })
		}
	}
	s.checkSilence(t)
}

func testDoorDuringImport(t *testing.T, s *stack, door func(*testing.T, *stack, *unknown), importFirst bool) {
	t.Helper()
	imports := func(u *unknown, want string) {
		t.Helper()
		counts, out, failed := s.runImport(t, []string{"FERRY_KRATOS_ADMIN_URL=" + s.admin, s.publicURL()}, usersFile(t, []*unknown{u}))
		if failed || counts[want] != 1 {
			t.Errorf("import: failed %v, %v\n%s", failed, counts, out)
		}
	}
	u := s.unknown(t, nil)
	first, second := func() { door(t, s, u) }, func() { imports(u, "skipped") }
	if importFirst {
		first, second = func() { imports(u, "created_pending") }, first
	}
	s.lookups.before.Store(&first)
	second()
	if s.lookups.before.Load() != nil {
		t.Error("it did not try to create the user")
	}
	u.sees(t, u.password, kratostest.SeesSession)
	if n := s.sim.Attempts(u.subject); n != 1 {
		t.Errorf("%d attempts", n)
	}
	if bound := s.bound(t)[u.subject]; !slices.Equal(bound, []string{u.email}) {
		t.Errorf("the identities of %q", bound)
	}
}
