package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/kratostest"
	"ferry/wiring"
)

// profiled makes a user with a full profile at Auth0.
func (s *stack) profiled(t *testing.T, change func(*auth0sim.User, *kratostest.IdentitySpec)) *person {
	t.Helper()
	return s.person(t, func(u *auth0sim.User, i *kratostest.IdentitySpec) {
		u.GivenName, u.FamilyName, u.Name = "Canary-Given", "Canary-Family", "Canary-Given Canary-Family"
		u.Nickname, u.Picture = "canarynick", "https://example.org/canary.png"
		if change != nil {
			change(u, i)
		}
	})
}

// arrived waits until ferry has written the profile, which Kratos does not wait for.
func (p *person) arrived(t *testing.T, done func(kratostest.Identity) bool) kratostest.Identity {
	t.Helper()
	var identity kratostest.Identity
	if !await.True(func() bool {
		var err error
		if identity, err = p.stack.kratos.Get(t.Context(), p.identity); err != nil {
			t.Fatal(err)
		}
		return done(identity)
	}) {
		t.Fatalf("the profile was not written: %+v; ferry: %s", identity, p.stack.ferry.Logs())
	}
	return identity
}

func marked(i kratostest.Identity) bool {
	admin, _ := i.MetadataAdmin.(map[string]any)
	auth0, _ := admin["auth0"].(map[string]any)
	return auth0["migrated_at"] != nil && auth0["ferry"] != nil
}

func verified(i kratostest.Identity, value string) bool {
	for _, a := range i.VerifiableAddresses {
		if a.Value == value {
			return a.Verified
		}
	}
	return false
}

// TestProfile: with the shipped wiring, the profile is written after the password.
func TestProfile(t *testing.T) {
	s := start(t)
	t.Run("whole profile", func(t *testing.T) { testProfileArrives(t, s) })
	t.Run("the user's own traits are kept", func(t *testing.T) { testOwnTraits(t, s) })
	t.Run("unverified stays unverified", func(t *testing.T) { testUnverified(t, s) })
	t.Run("the right address is marked", func(t *testing.T) { testRightAddress(t, s) })
	t.Run("password changed meanwhile", func(t *testing.T) { testChangedMeanwhile(t, s) })
	t.Run("ferry down after the match", func(t *testing.T) { testAfterLoginDown(t, s) })
	t.Run("no secrets in logs and answers", s.checkSilence)
}

func testProfileArrives(t *testing.T, s *stack) {
	t.Helper()
	p := s.profiled(t, func(u *auth0sim.User, _ *kratostest.IdentitySpec) {
		u.CustomClaims = map[string]any{"app_metadata": map[string]any{"plan": "gold", "ferry": map[string]any{"identity_id": "x"}}}
	})
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	got := p.arrived(t, marked)
	if kept := fmt.Sprint(got.MetadataAdmin); !strings.Contains(kept, "app_metadata:map[plan:gold]") || !strings.Contains(kept, "user_id:"+p.subject) {
		t.Errorf("metadata_admin %s", kept)
	}
	if got.Traits["given_name"] != "Canary-Given" || got.Traits["family_name"] != "Canary-Family" || got.Traits["email"] != p.email || !verified(got, p.email) {
		t.Errorf("traits %v, addresses %v", got.Traits, got.VerifiableAddresses)
	}
	if got.HashedPassword == "" || got.Pending {
		t.Error("the hash is gone")
	}
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
	if again := p.arrived(t, marked); !again.PasswordUpdatedAt.Equal(got.PasswordUpdatedAt) {
		t.Error("the second login wrote again")
	}
	if strings.Contains(s.ferry.Logs(), "password changed while") {
		t.Error("ferry reported a password change that did not happen")
	}
}

func testOwnTraits(t *testing.T, s *stack) {
	t.Helper()
	p := s.profiled(t, func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.Traits["given_name"] = "my own" })
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	if got := p.arrived(t, marked); got.Traits["given_name"] != "my own" || got.Traits["family_name"] != "Canary-Family" {
		t.Errorf("traits %v", got.Traits)
	}
}

func testUnverified(t *testing.T, s *stack) {
	t.Helper()
	p := s.profiled(t, func(u *auth0sim.User, i *kratostest.IdentitySpec) {
		u.EmailVerified, u.Username = false, "canaryuser"
		i.Traits = map[string]any{"username": "canaryuser"}
	})
	p.check(t, s.kratos.LoginAPI, "canaryuser", p.password, expect{kratostest.SeesSession, 1, 1, true})
	if got := p.arrived(t, marked); got.Traits["email"] != nil || len(got.VerifiableAddresses) != 0 || len(got.Identifiers) != 1 {
		t.Errorf("traits %v, addresses %v, identifiers %v", got.Traits, got.VerifiableAddresses, got.Identifiers)
	}
}

func testRightAddress(t *testing.T, s *stack) {
	t.Helper()
	const phone = "+4915112345678"
	p := s.profiled(t, func(u *auth0sim.User, i *kratostest.IdentitySpec) {
		u.EmailVerified, u.Phone, u.PhoneVerified = false, phone, true
		u.CustomClaims = map[string]any{"phone_number": phone, "phone_number_verified": true} // set by an Action
		i.Traits["phone"] = phone
	})
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	if got := p.arrived(t, marked); verified(got, p.email) || !verified(got, phone) {
		t.Errorf("addresses %v", got.VerifiableAddresses)
	}
}

// testChangedMeanwhile: a password that the user sets between the match and the patch
// is kept.
func testChangedMeanwhile(t *testing.T, s *stack) {
	t.Helper()
	p := s.profiled(t, nil)
	release := s.tap.holdAfterLogin()
	got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
	if err == nil {
		err = s.kratos.ChangePassword(t.Context(), got, "canary-Passw0rd of their own")
	}
	release()
	if err != nil {
		t.Fatal(err)
	}
	p.arrived(t, marked)
	p.check(t, s.kratos.LoginAPI, p.email, "canary-Passw0rd of their own", expect{kratostest.SeesSession, 0, 0, true})
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesInvalidCredentials, 0, 0, true})
}

// testAfterLoginDown: ferry is down when Kratos calls the after-login hook. The login
// succeeds.
func testAfterLoginDown(t *testing.T, s *stack) {
	t.Helper()
	p := s.profiled(t, nil)
	s.tap.breakAfterLogin(true)
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	s.tap.breakAfterLogin(false)
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
}

// TestParse: the documented alternative wiring, in which Kratos reads the answer of
// the after-login hook. The login shows the profile, and ferry's failures do not fail
// it.
func TestParse(t *testing.T) {
	s := startWith(t, parse)
	p := s.profiled(t, nil)
	got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
	if err != nil || got.Sees() != kratostest.SeesSession || got.Traits["given_name"] != "Canary-Given" {
		t.Errorf("%s, %v, %v", got.Sees(), got.Traits, err)
	}
	if !marked(p.arrived(t, marked)) {
		t.Error("not marked")
	}
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
	for _, body := range []string{"", "x", `{"identity":7}`} {
		if status := s.callAfterLogin(t, body); status != http.StatusNoContent {
			t.Errorf("%q: %d", body, status)
		}
	}
	s.checkSilence(t)
}

// parse makes Kratos read ferry's answer to the after-login hook.
func parse(config map[string]any) {
	hook := afterLoginHook(config)
	hook["response"] = map[string]any{"parse": true}
	hook["body"] = wiring.Base64(wiring.AfterLoginJsonnet(wiring.Parse))
}

// afterLoginHook returns the web hook in a parsed kratos.yml.
func afterLoginHook(config map[string]any) map[string]any {
	var here any = config
	for _, key := range []string{"selfservice", "flows", "login", "after", "password"} {
		here = here.(map[string]any)[key]
	}
	return here.(map[string]any)["hooks"].([]any)[0].(map[string]any)["config"].(map[string]any)
}
