package e2e

import (
	"net/http"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// TestCrossing is the main job, by every kind of client: once through Auth0, then
// never again.
func TestCrossing(t *testing.T) {
	s := start(t)
	for name, by := range map[string]login{"app": s.kratos.LoginAPI, "browser": s.kratos.LoginBrowser, "single-page app": s.kratos.LoginSPA} {
		t.Run(name, func(t *testing.T) {
			p := s.person(t, nil)
			p.check(t, by, p.email, p.password+"x", expect{kratostest.SeesInvalidCredentials, 1, 1, false})
			p.check(t, by, "  "+strings.ToUpper(p.email)+" ", p.password, expect{kratostest.SeesSession, 1, 1, true})
			last := s.sim.Requests()[len(s.sim.Requests())-1]
			if !last.PasswordIs(p.password) || last.Username != p.email || last.Realm != users || last.Scope != "openid profile email phone" || last.ForwardedFor != "" {
				t.Errorf("Auth0 was asked %+v", last)
			}
			p.check(t, by, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
			p.check(t, by, p.email, p.password+"x", expect{kratostest.SeesInvalidCredentials, 0, 0, true})
		})
	}
	t.Run("who may not cross", func(t *testing.T) { testRefusals(t, s) })
	t.Run("what Auth0 may answer", func(t *testing.T) { testContract(t, s) })
	t.Run("what Auth0 may do wrong", func(t *testing.T) { testFaults(t, s) })
	t.Run("nothing is said that must not be", s.checkSilence)
}

// testRefusals: nothing in the answer tells these apart, and only what could match
// costs an attempt.
func testRefusals(t *testing.T, s *stack) {
	t.Helper()
	binding := func(auth0 map[string]any) map[string]any { return map[string]any{"auth0": auth0} }
	for name, c := range map[string]struct {
		change func(*auth0sim.User, *kratostest.IdentitySpec)
		want   expect
	}{
		"unbound": {
			func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.MetadataAdmin = nil },
			expect{kratostest.SeesInvalidCredentials, 0, 1, false},
		},
		"bound to another": {func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.MetadataAdmin = binding(map[string]any{"user_id": "auth0|somebody-else"})
		}, expect{kratostest.SeesInvalidCredentials, 1, 1, false}},
		"bound but for case": {func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			i.MetadataAdmin = binding(map[string]any{"user_id": strings.ToUpper(u.ID)})
		}, expect{kratostest.SeesInvalidCredentials, 1, 1, false}},
		"binding garbled": {func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.MetadataAdmin = binding(map[string]any{"user_id": 7})
		}, expect{kratostest.SeesUnavailable, 0, 1, false}},
		"inactive": {
			func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.State = "inactive" },
			expect{kratostest.SeesInvalidCredentials, 0, 1, false},
		},
		"as long a password as may be": {
			func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Password = strings.Repeat("canary-x", 9) },
			expect{kratostest.SeesSession, 1, 1, true},
		},
		"realm not listed": {func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			i.MetadataAdmin = binding(map[string]any{"user_id": u.ID, "connection": "elsewhere"})
		}, expect{kratostest.SeesUnavailable, 0, 1, false}},
		"the recorded realm": {func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			u.Connection = legacy
			i.MetadataAdmin = binding(map[string]any{"user_id": u.ID, "connection": legacy})
		}, expect{kratostest.SeesSession, 1, 1, true}},
		"another realm": {
			func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Connection = legacy },
			expect{kratostest.SeesInvalidCredentials, 1, 1, false},
		},
		"linked account": {func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			i.MetadataAdmin = binding(map[string]any{"user_id": "google-oauth2|1", "user_ids": []string{"google-oauth2|1", u.ID}})
		}, expect{kratostest.SeesSession, 1, 1, true}},
		"blocked at Auth0": {
			func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Blocked = true },
			expect{kratostest.SeesInvalidCredentials, 1, 1, false},
		},
		"second factor": {
			func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.MFA = true },
			expect{kratostest.SeesInvalidCredentials, 1, 1, false},
		},
		"leaked password": {
			func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.PasswordLeaked = true },
			expect{kratostest.SeesInvalidCredentials, 1, 1, false},
		},
		"denied by an Action": {
			func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Deny = &auth0sim.Denial{Reason: "no"} },
			expect{kratostest.SeesInvalidCredentials, 1, 1, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.person(t, c.change)
			p.check(t, s.kratos.LoginAPI, p.email, p.password, c.want)
		})
	}
	t.Run("oversize", func(t *testing.T) {
		p := s.person(t, nil)
		p.check(t, s.kratos.LoginAPI, p.email, p.password+strings.Repeat("x", 73), expect{kratostest.SeesInvalidCredentials, 0, 1, false})
		// From 25.4 on, Kratos itself stumbles over more than about 60 KiB.
		p.check(t, s.kratos.LoginAPI, p.email, p.password+strings.Repeat("x", 30<<10), expect{kratostest.SeesInvalidCredentials, 0, 1, false})
	})
	t.Run("not pending", func(t *testing.T) {
		p := s.person(t, nil)
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
		before := s.attempts()
		if status := s.callHook(t, p.email, p.password); status != http.StatusFailedDependency || s.attempts() != before {
			t.Errorf("status %d, %d attempts", status, s.attempts()-before)
		}
	})
}

// callHook calls ferry as Kratos would, with a header more.
func (s *stack) callHook(t *testing.T, identifier, password string, header ...string) int {
	t.Helper()
	return s.callBody(t, `{"identifier":"`+identifier+`","password":"`+password+`"}`, header...)
}

func (s *stack) callBody(t *testing.T, body string, header ...string) int {
	t.Helper()
	return s.call(t, "/hooks/password-migration", body, header...)
}

func (s *stack) callAfterLogin(t *testing.T, body string) int {
	t.Helper()
	return s.call(t, "/hooks/after-login", body)
}

func (s *stack) call(t *testing.T, path, body string, header ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.ferry.HooksURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+hookKey)
	if len(header) == 2 {
		req.Header.Set(header[0], header[1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
