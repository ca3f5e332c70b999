package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/kratostest"
	"ferry/wire"
	"ferry/wiring"
)

// signUpSettings are ferry's settings for the after-registration hook.
func signUpSettings(more ...string) []string {
	return append([]string{
		"FERRY_SIGN_UP=true", "FERRY_GATEWAY_LOOKUPS_PER_SECOND=100",
		machineID, machineSecret,
	}, more...)
}

// startSignUp starts the stack with the after-registration hook.
func startSignUp(t *testing.T, change func(*kratostest.Options), settings ...string) *stack {
	t.Helper()
	s := startOn(t, func(k *kratostest.Options) {
		after := signUpHooks(t, strings.TrimSuffix(k.HookURL, wire.MigrationPath))
		k.Edit = func(config map[string]any) {
			flows := dig(config, "selfservice", "flows", "registration")
			flows["after"] = after
			methods := dig(config, "selfservice", "methods")
			dig(methods, "code")["passwordless_enabled"] = true
		}
		if change != nil {
			change(k)
		}
	}, settings...)
	s.machine(t)
	s.ready(t)
	return s
}

// signUpHooks is registration.after as `ferry kratos-config --sign-up` writes it where
// each method has session.
func signUpHooks(t *testing.T, ferry string) map[string]any {
	t.Helper()
	before := "selfservice:\n  flows:\n    registration:\n      after:\n"
	for _, method := range []string{"password", "code", "oidc"} {
		before += "        " + method + ":\n          hooks:\n            - hook: session\n"
	}
	merged, err := wiring.Merge([]byte(before), wiring.Options{URL: ferry, Key: secret.New(hookKey), SignUp: true})
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(merged.Text, &config); err != nil {
		t.Fatal(err)
	}
	return dig(config, "selfservice", "flows", "registration", "after")
}

// dig returns the object at a path, and makes what is missing.
func dig(object map[string]any, path ...string) map[string]any {
	for _, key := range path {
		inner, ok := object[key].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[key] = inner
		}
		object = inner
	}
	return object
}

// ready waits until ferry has read Kratos' identities.
func (s *stack) ready(t *testing.T) {
	t.Helper()
	if !await.True(func() bool { return strings.Contains(s.ferry.Logs(), "users register is complete") }) {
		t.Fatal("ferry did not read the identities")
	}
}

// ownPassword is what people choose who sign up.
const ownPassword = "A-new-one-nobody-knows-77"

// signUpWays are the ways to sign up at Kratos without a social login.
func signUpWays(mail *kratostest.Mailbox) map[string]kratostest.SignUp {
	return map[string]kratostest.SignUp{
		"API": {Password: ownPassword}, "page": {Password: ownPassword, Browser: true},
		"two steps": {Password: ownPassword, TwoSteps: true}, "code": {Mailbox: mail},
	}
}

// withEmail returns a sign-up with the address.
func withEmail(s kratostest.SignUp, email string) kratostest.SignUp {
	s.Traits = map[string]string{"email": email}
	return s
}

// schemaWithCode is the example with logins by a code.
func schemaWithCode(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../identity.schema.json.example")
	if err != nil {
		t.Fatal(err)
	}
	const before, after = `"credentials": { "password": { "identifier": true } },
            "verification": { "via": "email" }`, `"credentials": { "password": { "identifier": true }, "code": { "identifier": true, "via": "email" } },
            "verification": { "via": "email" }`
	if !bytes.Contains(text, []byte(before)) {
		t.Fatal("the example schema has another form")
	}
	return bytes.Replace(text, []byte(before), []byte(after), 1)
}

// TestSignUp: who signs up with the address of an Auth0 user sees what an imported user sees,
// and logs in with the password of Auth0, by one attempt. Everybody else signs up as without
// ferry.
func TestSignUp(t *testing.T) {
	mail := kratostest.NewMailbox(t)
	s := startSignUp(t, func(k *kratostest.Options) { k.Mailbox, k.Schema = mail, schemaWithCode(t) }, signUpSettings()...)
	for name, way := range signUpWays(mail) {
		t.Run(name, func(t *testing.T) { testSignUpSees(t, s, way) })
		t.Run(name+" of a stranger", func(t *testing.T) { testStranger(t, s, way) })
	}
	t.Run("what an import would not create", func(t *testing.T) { testSignUpRefused(t, s) })
	t.Run("Auth0 down", func(t *testing.T) { testSignUpAuth0Down(t, s) })
	t.Run("no secrets in logs and answers", s.checkSilence)
	t.Run("ferry down", func(t *testing.T) { testSignUpFerryDown(t, s) })
}

// testSignUpSees: an Auth0 user sees what an imported user sees.
func testSignUpSees(t *testing.T, s *stack, way kratostest.SignUp) {
	t.Helper()
	imported, u := s.person(t, nil), s.unknown(t, nil)
	want, err := s.kratos.SignUp(t.Context(), withEmail(way, imported.email))
	if err != nil || want.Sees() != kratostest.SeesExists {
		t.Fatalf("an imported user sees %q, %v", want.Sees(), err)
	}
	got, err := s.kratos.SignUp(t.Context(), withEmail(way, u.email))
	if err != nil || got.Sees() != want.Sees() {
		t.Fatalf("an Auth0 user sees %q, %v\n%s", got.Sees(), err, s.ferry.Logs())
	}
	attempts := s.attempts()
	got, err = s.kratos.LoginAPI(t.Context(), u.email, u.password)
	if err != nil || got.Sees() != kratostest.SeesSession || s.attempts() != attempts+1 {
		t.Errorf("the password of Auth0: %q, %v, %d attempts\n%s", got.Sees(), err, s.attempts()-attempts, s.ferry.Logs())
	}
	// The password of the sign-up opens nothing: whoever signs up may not be the user.
	got, err = s.kratos.LoginAPI(t.Context(), u.email, ownPassword)
	if err != nil || got.Sees() != kratostest.SeesInvalidCredentials || s.attempts() != attempts+1 {
		t.Errorf("the password of the sign-up: %q, %v, %d attempts", got.Sees(), err, s.attempts()-attempts)
	}
}

// testStranger: a stranger is let in, and bound to nobody.
func testStranger(t *testing.T, s *stack, way kratostest.SignUp) {
	t.Helper()
	s.people++
	got, err := s.kratos.SignUp(t.Context(), withEmail(way, fmt.Sprintf("canary-stranger%d@example.org", s.people)))
	if err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("%q, %v", got.Sees(), err)
	}
	if identity, err := s.kratos.Get(t.Context(), got.IdentityID); err != nil || identity.MetadataAdmin != nil || identity.Pending {
		t.Errorf("%+v, %v", identity, err)
	}
}

// testSignUpRefused: users with a second factor sign up as strangers, as after an import.
func testSignUpRefused(t *testing.T, s *stack) {
	t.Helper()
	u := s.unknown(t, func(u *auth0sim.User) { u.MFA = true })
	got, err := s.kratos.SignUp(t.Context(), withEmail(kratostest.SignUp{Password: ownPassword}, u.email))
	if err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("%q, %v", got.Sees(), err)
	}
	if identity, err := s.kratos.Get(t.Context(), got.IdentityID); err != nil || identity.MetadataAdmin != nil {
		t.Errorf("bound: %+v, %v", identity, err)
	}
}

// testSignUpAuth0Down: a sign-up goes on, whoever it is.
func testSignUpAuth0Down(t *testing.T, s *stack) {
	t.Helper()
	u := s.unknown(t, nil)
	s.fault(t, auth0sim.Fault{Name: auth0sim.FaultUnavailable, Path: auth0sim.AnyPath})
	got, err := s.kratos.SignUp(t.Context(), withEmail(kratostest.SignUp{Password: ownPassword}, u.email))
	if err != nil || got.Sees() != kratostest.SeesSession {
		t.Errorf("%q, %v\n%s", got.Sees(), err, s.ferry.Logs())
	}
}

// testSignUpFerryDown: Kratos refuses every sign-up, unless something answers in the place of
// ferry.
func testSignUpFerryDown(t *testing.T, s *stack) {
	t.Helper()
	if err := s.ferry.Stop(); err != nil {
		t.Fatal(err)
	}
	signUp := withEmail(kratostest.SignUp{Password: ownPassword}, "canary-late@example.org")
	got, err := s.kratos.SignUp(t.Context(), signUp)
	if err != nil || got.Sees() == kratostest.SeesSession || got.ErrorCode == 0 {
		t.Errorf("without ferry: %q, %v", got.Sees(), err)
	}
	instead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer instead.Close()
	s.tap.forwardTo(t, instead.URL)
	got, err = s.kratos.SignUp(t.Context(), signUp)
	if err != nil || got.Sees() != kratostest.SeesSession {
		t.Errorf("with an empty answer instead: %q, %v", got.Sees(), err)
	}
}
