package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// end is what becomes of a user who logs in through the gateway.
type end struct {
	change     func(*auth0sim.User)
	before     prepare
	identifier func(u *unknown) string // default: the e-mail address
	sees       string                  // default: a session
	identities int                     // of the Auth0 user afterwards; default: 1 with a session, else 0
	attempts   int                     // in all; default: 1, as a result is remembered for 100 s
}

// prepare changes something before the login.
type prepare func(t *testing.T, s *stack, u *unknown)

// loggedIn logs the user in through the gateway, and returns the identity.
func (s *stack) loggedIn(t *testing.T, u *unknown) string {
	t.Helper()
	got, err := s.kratos.LoginAPI(t.Context(), u.email, u.password)
	if err != nil {
		t.Fatal(err)
	}
	// ferry's own change of the identity must not undo the test's.
	(&person{stack: s, identity: got.IdentityID}).arrived(t, marked)
	return got.IdentityID
}

func deleted(t *testing.T, s *stack, u *unknown) {
	t.Helper()
	if err := s.kratos.Delete(t.Context(), s.loggedIn(t, u)); err != nil {
		t.Fatal(err)
	}
}

func moved(t *testing.T, s *stack, u *unknown) {
	t.Helper()
	s.move(t, s.loggedIn(t, u), "moved."+u.email)
}

// importedAndMoved: an import created the user after ferry had read Kratos.
func importedAndMoved(t *testing.T, s *stack, u *unknown) {
	t.Helper()
	s.imports(t, u)
	moved(t, s, u)
}

func verifiedTwin(t *testing.T, s *stack, u *unknown) {
	t.Helper()
	s.twin(t, u, true)
}

func unverifiedTwin(t *testing.T, s *stack, u *unknown) {
	t.Helper()
	s.twin(t, u, false)
}

// gatewayEnds are the rows of which an import must decide too, by name.
func gatewayEnds() map[string]end {
	const wrong = kratostest.SeesInvalidCredentials
	return map[string]end{
		"nobody before": {},
		"blocked":       {change: func(u *auth0sim.User) { u.Blocked = true }, sees: wrong},
		"second factor": {change: func(u *auth0sim.User) { u.MFA = true }, sees: wrong},
		"username":      {change: func(u *auth0sim.User) { u.Username = "canary.name1" }, identifier: func(*unknown) string { return " Canary.Name1" }},
		"phone": {
			change:     func(u *auth0sim.User) { u.Phone, u.PhoneVerified = "+4915123456789", true },
			identifier: func(*unknown) string { return "+49 151 23456789" }, sees: wrong, // as Kratos itself compares
		},
		"phone as it is stored": {
			change:     func(u *auth0sim.User) { u.Phone, u.PhoneVerified = "+4915123456788", true },
			identifier: func(*unknown) string { return "+4915123456788" },
		},
		"deleted at Kratos":                {before: deleted, sees: wrong},
		"e-mail address changed at Kratos": {before: moved, sees: wrong, identities: 1},
		// The hook asked Auth0 about the identity, and the gateway about an unknown user.
		"imported, and e-mail address changed at Kratos": {before: importedAndMoved, sees: wrong, identities: 1, attempts: 2},
		"unverified": {change: func(u *auth0sim.User) { u.EmailVerified = false }},
		"unverified, verified in the other database": {
			change: func(u *auth0sim.User) { u.EmailVerified = false }, before: verifiedTwin, sees: wrong,
		},
		"verified, unverified in the other database": {before: unverifiedTwin},
		"verified in two databases":                  {before: verifiedTwin},
	}
}

// twin adds a user with the same address to the other database.
func (s *stack) twin(t *testing.T, u *unknown, verified bool) {
	t.Helper()
	if _, err := s.sim.AddUser(auth0sim.User{ID: u.subject + "twin", Connection: legacy, Email: u.email, EmailVerified: verified, Password: "canary-Passw0rd twin"}); err != nil {
		t.Fatal(err)
	}
}

// move changes the e-mail address of an identity, as an administrator would.
func (s *stack) move(t *testing.T, id, email string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.kratos.AdminURL()+"/admin/identities/"+id,
		strings.NewReader(`[{"op":"replace","path":"/traits/email","value":"`+email+`"}]`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// identitiesOf counts the identities that are bound to the Auth0 user.
func (s *stack) identitiesOf(t *testing.T, subject string) (n int) {
	t.Helper()
	var all []struct {
		Metadata struct {
			Auth0 struct {
				UserID string `json:"user_id"`
			} `json:"auth0"`
		} `json:"metadata_admin"`
	}
	s.readAdmin(t, "/admin/identities?page_size=1000", &all)
	for _, one := range all {
		if one.Metadata.Auth0.UserID == subject {
			n++
		}
	}
	return n
}

// TestGatewayEnds: those of whom an import decides too end as there: nobody is brought back,
// doubled, or given somebody else's address.
func TestGatewayEnds(t *testing.T) {
	s := startRows(t, map[string]any{"methods.code.enabled": true})
	for name, c := range gatewayEnds() {
		t.Run(name, func(t *testing.T) { c.test(t, s) })
	}
	s.checkSilence(t)
}

func (c end) test(t *testing.T, s *stack) {
	t.Helper()
	u := s.unknown(t, c.change)
	if c.before != nil {
		c.before(t, s, u)
	}
	identifier := u.email
	if c.identifier != nil {
		identifier = c.identifier(u)
	}
	if c.sees == "" {
		c.sees, c.identities = kratostest.SeesSession, 1
	}
	got, err := s.kratos.LoginAPI(t.Context(), identifier, u.password)
	if err != nil || got.Sees() != c.sees {
		t.Errorf("the user sees %q, %v; want %q", got.Sees(), err, c.sees)
	}
	if n := s.sim.Attempts(u.subject); n != max(c.attempts, 1) {
		t.Errorf("%d attempts", n)
	}
	if n := s.identitiesOf(t, u.subject); n != c.identities {
		t.Errorf("%d identities, want %d", n, c.identities)
	}
}

// TestGatewayRecovery: after a recovery the new password is the only one. An address that Auth0
// has not verified belongs to whoever receives its mail: the old password of Auth0 opens
// nothing, even before there is a new one.
func TestGatewayRecovery(t *testing.T) {
	s := startRows(t, map[string]any{"methods.code.enabled": true})
	for name, verified := range map[string]bool{"verified": true, "unverified": false} {
		t.Run(name, func(t *testing.T) {
			testRecovery(t, s, verified)
		})
	}
}

func testRecovery(t *testing.T, s *stack, verified bool) {
	t.Helper()
	u := s.unknown(t, func(user *auth0sim.User) { user.EmailVerified = verified })
	s.recover(t, u)
	sees := map[bool]string{true: kratostest.SeesSession, false: kratostest.SeesInvalidCredentials}
	u.sees(t, u.password, sees[verified])
	if n := s.sim.Attempts(u.subject); (n == 1) != verified {
		t.Errorf("%d attempts", n)
	}
	if err := s.kratos.Recover(t.Context(), s.identityOf(t, u.email), "a-new-Passw0rd canary"); err != nil {
		t.Fatal(err)
	}
	u.sees(t, u.password, kratostest.SeesInvalidCredentials)
	u.sees(t, "a-new-Passw0rd canary", kratostest.SeesSession)
}

// recover recovers the account by a code, without a new password.
func (s *stack) recover(t *testing.T, u *unknown) {
	t.Helper()
	j := s.begin(t, spa, "recovery")
	if seen := j.submit(t, map[string]string{"method": "code", "email": u.email}); !strings.Contains(seen, "state=sent_email") {
		t.Fatal(seen)
	}
	mails, body := s.mails(t, u.email)
	if !slices.Equal(mails, []string{"recovery_code_valid"}) {
		t.Fatalf("mail %q", mails)
	}
	code := regexp.MustCompile(`\b[0-9]{6}\b`).FindString(body)
	if seen := j.submit(t, map[string]string{"method": "code", "code": code}); !strings.HasPrefix(seen, "422 to /settings") {
		t.Fatal(seen)
	}
}

// sees logs in.
func (u *unknown) sees(t *testing.T, password, want string) {
	t.Helper()
	if got, err := u.stack.kratos.LoginAPI(t.Context(), u.email, password); err != nil || got.Sees() != want {
		t.Errorf("the user sees %q, %v; want %q", got.Sees(), err, want)
	}
}

// TestGatewayCustomDatabase: in a custom database the case of a username counts, at the first
// login and, if the hook failed then, at the next.
func TestGatewayCustomDatabase(t *testing.T) {
	s := start(t, "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_AUTH0_REALMS=own", "FERRY_AUTH0_CUSTOM_REALMS=own")
	if err := s.sim.AddConnection(auth0sim.Connection{Name: "own", Custom: true}); err != nil {
		t.Fatal(err)
	}
	s.gatewayReady(t)
	for name, broken := range map[string]bool{"CanaryKim": false, "CanaryLee": true} {
		u := s.unknown(t, func(user *auth0sim.User) { user.Connection, user.Username = "own", name })
		if broken {
			s.tap.forwardTo(t, "http://127.0.0.1:1")
			if got, err := s.kratos.LoginAPI(t.Context(), name, u.password); err != nil || got.Sees() != kratostest.SeesUnavailable {
				t.Errorf("%s, the hook is broken: %q, %v", name, got.Sees(), err)
			}
			s.tap.forwardTo(t, s.ferry.HooksURL())
		}
		got, err := s.kratos.LoginAPI(t.Context(), name, u.password)
		if err != nil || got.Sees() != kratostest.SeesSession || s.sim.Attempts(u.subject) != 1 {
			t.Fatalf("%s: %q, %v, %d attempts\n%s", name, got.Sees(), err, s.sim.Attempts(u.subject), s.ferry.Logs())
		}
		if got.Traits["username"] != name {
			t.Errorf("the identity has %v: the hook would ask about another user", got.Traits)
		}
	}
}
