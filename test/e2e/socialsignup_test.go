package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/wiring"
)

// documentedMapper returns the mapper of a social login in docs/sign-up.md.
func documentedMapper(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/sign-up.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```jsonnet\n")
	mapper, _, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		t.Fatal("docs/sign-up.md has no mapper")
	}
	return mapper
}

// startSocial starts the stack with a social login at Kratos, whose mapper passes on the
// subject.
func startSocial(t *testing.T, settings ...string) (*stack, *provider) {
	t.Helper()
	google := startProvider(t)
	s := startSignUp(t, func(k *kratostest.Options) {
		edit := k.Edit
		k.Edit = func(config map[string]any) {
			edit(config)
			oidc := dig(config, "selfservice", "methods", "oidc")
			oidc["enabled"] = true
			oidc["config"] = map[string]any{"providers": []any{google.config(wiring.Base64(documentedMapper(t)))}}
		}
	}, signUpSettings(settings...)...)
	return s, google
}

// social makes a user of Auth0 who logs in at Google there, and is the one who logs in at the
// provider next.
func (s *stack) social(t *testing.T, google *provider, change func(*auth0sim.User)) *unknown {
	t.Helper()
	s.people++
	sub := fmt.Sprintf("google-subject-%d", s.people)
	u := &unknown{stack: s, email: fmt.Sprintf("canary-social%d@example.org", s.people), subject: "google-oauth2|" + sub}
	user := auth0sim.User{ID: u.subject, Connection: "google-oauth2", Email: u.email, EmailVerified: true, Nickname: "canarynick", AppMetadata: map[string]any{"plan": "gold"}}
	if change != nil {
		change(&user)
	}
	if _, err := s.sim.AddUser(user); err != nil {
		t.Fatal(err)
	}
	google.user(map[string]any{"sub": sub, "email": u.email, "email_verified": true})
	return u
}

// binding returns the part of metadata_admin that ferry writes.
func binding(i kratostest.Identity) map[string]any {
	admin, _ := i.MetadataAdmin.(map[string]any)
	auth0, _ := admin["auth0"].(map[string]any)
	return auth0
}

// login logs in at Google in a new browser.
func (u *unknown) login(t *testing.T) (*kratostest.Social, kratostest.Login, kratostest.Identity) {
	t.Helper()
	browser, err := u.stack.kratos.NewSocial()
	if err != nil {
		t.Fatal(err)
	}
	got, err := browser.Login(t.Context(), socialID)
	if err != nil {
		t.Fatalf("%v\n%s", err, u.stack.ferry.Logs())
	}
	var identity kratostest.Identity
	if got.IdentityID != "" {
		if identity, err = u.stack.kratos.Get(t.Context(), got.IdentityID); err != nil {
			t.Fatal(err)
		}
	}
	return browser, got, identity
}

// TestSocialSignUp: a social login whose user Kratos does not have.
func TestSocialSignUp(t *testing.T) {
	s, google := startSocial(t)
	t.Run("an Auth0 user is bound", func(t *testing.T) {
		u := s.social(t, google, nil)
		_, got, identity := u.login(t)
		if auth0 := binding(identity); got.Sees() != kratostest.SeesSession || auth0["user_id"] != u.subject ||
			fmt.Sprint(auth0["user_ids"]) != "["+u.subject+"]" || fmt.Sprint(auth0["app_metadata"]) != "map[plan:gold]" ||
			identity.Traits["nickname"] != "canarynick" || identity.MetadataPublic != nil || identity.Pending {
			t.Errorf("%q, %+v\n%s", got.Sees(), identity, s.ferry.Logs())
		}
		if _, again, _ := u.login(t); again.IdentityID != got.IdentityID {
			t.Errorf("the second login: %q, %s", again.Sees(), again.IdentityID)
		}
	})
	t.Run("a stranger is not", func(t *testing.T) {
		u := &unknown{stack: s}
		google.user(map[string]any{"sub": "nobody", "email": "canary-nobody@example.org", "email_verified": true})
		_, got, identity := u.login(t)
		if got.Sees() != kratostest.SeesSession || identity.MetadataAdmin != nil || identity.MetadataPublic != nil {
			t.Errorf("%q, %+v", got.Sees(), identity)
		}
	})
	t.Run("a blocked user stays out", func(t *testing.T) {
		u := s.social(t, google, func(u *auth0sim.User) { u.Blocked = true })
		_, got, _ := u.login(t)
		if got.Sees() == kratostest.SeesSession || got.SessionID != "" {
			t.Errorf("%q\n%s", got.Sees(), s.ferry.Logs())
		}
	})
	t.Run("a second factor at Auth0", func(t *testing.T) {
		u := s.social(t, google, func(u *auth0sim.User) { u.MFA = true })
		if _, got, identity := u.login(t); got.Sees() != kratostest.SeesSession || identity.MetadataAdmin != nil {
			t.Errorf("%q, %+v", got.Sees(), identity)
		}
	})
	t.Run("Auth0 down", func(t *testing.T) {
		u := s.social(t, google, nil)
		s.fault(t, auth0sim.Fault{Name: auth0sim.FaultUnavailable, Path: auth0sim.AnyPath})
		if _, got, identity := u.login(t); got.Sees() != kratostest.SeesSession || identity.MetadataAdmin != nil || identity.MetadataPublic != nil {
			t.Errorf("%q, %+v", got.Sees(), identity)
		}
	})
	t.Run("the address of a password user", func(t *testing.T) { testSocialLink(t, s, google, nil) })
	t.Run("of a password user with the login linked", func(t *testing.T) { testSocialLink(t, s, google, linked) })
	t.Run("an unverified twin", func(t *testing.T) { testSocialTwin(t, s, google) })
	t.Run("no secrets in logs and answers", s.checkSilence)
}

// linked links a Google account to a user.
func linked(u *auth0sim.User, sub string) {
	u.Identities = append(u.Identities, auth0sim.Identity{Provider: "google-oauth2", UserID: sub, Connection: "google-oauth2", IsSocial: true})
}

// testSocialLink: Auth0 has a user with a password and the address. The identity is created as
// by an import, and Kratos asks for the password to link the social login. The password of
// Auth0 works then and afterwards: Kratos 26.2 loses the hash by linking, and asks ferry again.
func testSocialLink(t *testing.T, s *stack, google *provider, change func(*auth0sim.User, string)) {
	t.Helper()
	var sub string
	u := s.unknown(t, func(u *auth0sim.User) {
		sub = "google of " + u.Email
		if change != nil {
			change(u, sub)
		}
	})
	google.user(map[string]any{"sub": sub, "email": u.email, "email_verified": true})
	browser, got, _ := u.login(t)
	if got.Sees() != kratostest.SeesLink {
		t.Fatalf("%q\n%s", got.Sees(), s.ferry.Logs())
	}
	got, err := browser.Password(t.Context(), u.email, u.password)
	if err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("linking: %q, %v\n%s", got.Sees(), err, s.ferry.Logs())
	}
	for range 2 {
		again, err := s.kratos.LoginAPI(t.Context(), u.email, u.password)
		if err != nil || again.Sees() != kratostest.SeesSession || again.IdentityID != got.IdentityID {
			t.Errorf("the password afterwards: %q, %v", again.Sees(), err)
		}
	}
	identity, err := s.kratos.Get(t.Context(), got.IdentityID)
	if err != nil || identity.Pending || identity.HashedPassword == "" || binding(identity)["user_id"] != u.subject {
		t.Errorf("%+v, %v", identity, err)
	}
	if _, again, _ := u.login(t); again.IdentityID != got.IdentityID {
		t.Errorf("the social login afterwards: %q", again.Sees())
	}
}

// testSocialTwin: whoever did not verify the address at Auth0 gets nothing of the user who did.
func testSocialTwin(t *testing.T, s *stack, google *provider) {
	t.Helper()
	owner := s.unknown(t, nil)
	twin := s.social(t, google, func(u *auth0sim.User) { u.Email, u.EmailVerified = owner.email, false })
	google.user(map[string]any{"sub": strings.TrimPrefix(twin.subject, "google-oauth2|"), "email": owner.email, "email_verified": false})
	if _, got, _ := twin.login(t); got.Sees() != kratostest.SeesLink {
		t.Errorf("%q\n%s", got.Sees(), s.ferry.Logs())
	}
	got, err := s.kratos.LoginAPI(t.Context(), owner.email, owner.password)
	if err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("the owner: %q, %v", got.Sees(), err)
	}
	if identity, err := s.kratos.Get(t.Context(), got.IdentityID); err != nil || fmt.Sprint(binding(identity)["user_ids"]) != "["+owner.subject+"]" {
		t.Errorf("%+v, %v", identity, err)
	}
}

// TestSocialSignUpOfImportedProvider: where FERRY_PROVIDERS names the provider, the identity
// that ferry creates has the social login already: the next one works, without a link.
func TestSocialSignUpOfImportedProvider(t *testing.T) {
	s, google := startSocial(t, "FERRY_PROVIDERS=google-oauth2="+socialID)
	var sub string
	u := s.unknown(t, func(u *auth0sim.User) { sub = "google-9"; linked(u, sub) })
	google.user(map[string]any{"sub": sub, "email": u.email, "email_verified": true})
	if _, got, _ := u.login(t); got.Sees() != kratostest.SeesLink {
		t.Errorf("the first login: %q", got.Sees())
	}
	_, got, identity := u.login(t)
	if got.Sees() != kratostest.SeesSession || !identity.Pending || binding(identity)["user_id"] != u.subject {
		t.Errorf("%q, %+v\n%s", got.Sees(), identity, s.ferry.Logs())
	}
}
