//go:build browser

package browser

import (
	"context"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/wiring"
)

// user is a user of Auth0.
type user struct{ id, email, password string }

var (
	ann  = user{"auth0|ann", "ann@example.org", "password of ann ö🔑"}
	mary = user{"auth0|mary", "mary@example.org", "password of mary"}
	bo   = user{"auth0|bo", "bo@example.org", "password of bo"}
	dora = user{"auth0|dora", "dora@example.org", "password of dora"}
)

const (
	wrongCredentials = `#login [data-message="4000006"]`
	loginButton      = `#password button`
)

// TestJourney goes through everything that a user whom Kratos does not have may do, in a
// browser before the gateway.
func TestJourney(t *testing.T) {
	s, c := start(t), startChromium(t)
	for _, u := range []user{ann, mary, bo, dora} {
		if _, err := s.sim.AddUser(auth0sim.User{ID: u.id, Connection: database, Email: u.email, EmailVerified: true, Password: u.password, MFA: u == bo}); err != nil {
			t.Fatal(err)
		}
	}
	s.importBridged(t, `{"user_id":"auth0|bo","email":"bo@example.org","email_verified":true,"multifactor":["google-authenticator"],"identities":[{"provider":"auth0","user_id":"bo","connection":"`+database+`"}]}`)
	j := journey{s, c}
	annsTab := c.visitor(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"login", func(t *testing.T) { t.Helper(); j.login(t, annsTab) }},
		{"recovery", j.recovery},
		{"bridge", j.bridge},
		{"outage", j.outage},
		{"login without Auth0", func(t *testing.T) { t.Helper(); j.again(t, annsTab) }},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

// journey is the steps.
type journey struct {
	*stack

	chromium *chromium
}

// logIn fills the login form, presses its button and waits for a page.
func (v *visitor) logIn(u user, password, page string) {
	v.t.Helper()
	v.do("log in as "+u.email, fill("identifier", u.email), fill("password", password), press(loginButton), see(page))
}

// login: a user whom nobody imported logs in, first with a wrong password, and costs one attempt
// at Auth0 each time.
func (j journey) login(t *testing.T, v *visitor) {
	t.Helper()
	v.t = t
	v.open(j.ui.URL+"/login", "#login")
	v.picture("login")
	v.logIn(ann, "not the password", wrongCredentials)
	v.picture("login-wrong-password")
	if text := v.text(wrongCredentials); !strings.Contains(text, "credentials are invalid") {
		t.Errorf("after a wrong password the page says %q", text)
	}
	j.attempts(t, ann, 1)
	v.logIn(ann, ann.password, "#home")
	v.picture("login-welcome")
	j.is(t, v, ann, "password")
	j.attempts(t, ann, 2)
}

// recovery: a user whom nobody imported has forgotten the password, gets a code by e-mail and
// sets a new password, which then logs in. Auth0 sees no password.
func (j journey) recovery(t *testing.T) {
	t.Helper()
	v := j.chromium.visitor(t)
	v.open(j.ui.URL+"/login", "#login")
	v.do("forgot the password", press("#forgot"), see("#recovery"), fill("email", mary.email))
	v.picture("recovery")
	v.do("ask for a code", press(`#code button[name="method"]`), see(`input[name="code"]`))
	v.picture("recovery-code")
	ctx, cancel := context.WithTimeout(t.Context(), stepLimit)
	defer cancel()
	code, err := j.mail.Code(ctx, mary.email)
	if err != nil {
		t.Fatal(err)
	}
	v.do("enter the code", fill("code", code), press(`#code button[name="method"]`), see("#settings"))
	v.picture("recovery-settings")
	fresh := "wind-tunnel-and-slide-rule"
	v.do("set a password", fill("password", fresh), press("#password button"), see(`#settings [data-message="1050001"]`))
	v.picture("recovery-saved")
	other := j.chromium.visitor(t)
	other.open(j.ui.URL+"/login", "#login")
	other.logIn(mary, mary.password, wrongCredentials)
	other.logIn(mary, fresh, "#home")
	other.picture("recovery-login")
	j.is(t, other, mary, "password")
	j.attempts(t, mary, 0)
}

// bridge: a user with a second factor at Auth0 cannot log in with the password, and takes the
// bridge to Auth0's pages and back.
func (j journey) bridge(t *testing.T) {
	t.Helper()
	v := j.chromium.visitor(t)
	v.open(j.ui.URL+"/login", "#login")
	v.logIn(bo, bo.password, wrongCredentials)
	v.picture("bridge-wrong-password")
	v.do("take the bridge", press(`#oidc button[value="`+provider+`"]`), see(`input[name="username"]`))
	v.picture("bridge-auth0")
	v.do("log in at Auth0", fill("username", bo.email), fill("password", bo.password), press("button"), see(`input[name="code"]`))
	v.picture("bridge-auth0-factor")
	v.do("pass the second factor", fill("code", auth0sim.OneTimeCode), press("button"), see("#home"))
	v.picture("bridge-welcome")
	j.is(t, v, bo, wiring.DefaultLabel)
	j.attempts(t, bo, 0)
}

// outage: while Auth0 is down, a user whom Kratos does not have sees the page for outages, and
// not that the password is wrong. Afterwards the same password logs in.
func (j journey) outage(t *testing.T) {
	t.Helper()
	id, err := j.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultUnavailable, Path: auth0sim.AnyPath})
	if err != nil {
		t.Fatal(err)
	}
	v := j.chromium.visitor(t)
	v.open(j.ui.URL+"/login", "#login")
	v.logIn(dora, dora.password, "#outage")
	v.picture("outage")
	if text := v.text("body"); strings.Contains(text, "credentials") {
		t.Errorf("in an outage the page says %q", text)
	}
	if err := j.sim.ClearFault(id); err != nil {
		t.Fatal(err)
	}
	v.do("go back to the login", press("#again"), see("#login"))
	v.logIn(dora, dora.password, "#home")
	v.picture("outage-over")
	j.is(t, v, dora, "password")
}

// again: a user who has migrated logs out, and in again while Auth0 is down.
func (j journey) again(t *testing.T, v *visitor) {
	t.Helper()
	v.t = t
	if _, err := j.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultUnavailable, Path: auth0sim.AnyPath}); err != nil {
		t.Fatal(err)
	}
	v.do("log out", press("#logout"), see("#stranger"))
	v.picture("logout")
	v.do("go to the login", press("#again"), see("#login"))
	v.logIn(ann, ann.password, "#home")
	v.picture("login-again")
	j.is(t, v, ann, "password")
	j.attempts(t, ann, 2)
}

// is checks whose session the page shows, and how it began.
func (j journey) is(t *testing.T, v *visitor, u user, method string) {
	t.Helper()
	if email, methods := v.text("#email"), v.text("#methods"); email != u.email || methods != method {
		t.Errorf("the page is of %q by %q, not of %q by %q", email, methods, u.email, method)
	}
}

// attempts checks how many passwords of the user have reached Auth0's token endpoint so far.
func (j journey) attempts(t *testing.T, u user, want int) {
	t.Helper()
	if n := j.sim.Attempts(u.id); n != want {
		t.Errorf("%d attempts of %s reached Auth0, want %d", n, u.email, want)
	}
}
