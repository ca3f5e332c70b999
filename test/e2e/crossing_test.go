package e2e

import (
	"net/http"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// TestCrossing: with every kind of client, the first login asks Auth0 and later ones
// do not.
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
	t.Run("refusals", func(t *testing.T) { testRefusals(t, s) })
	t.Run("answers of Auth0", func(t *testing.T) { testContract(t, s) })
	t.Run("faults of Auth0", func(t *testing.T) { testFaults(t, s) })
	t.Run("no secrets in logs and answers", s.checkSilence)
}

// testRefusals: all refusals have the same answer, and only a login that could match
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
		"bound to another user": {func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.MetadataAdmin = binding(map[string]any{"user_id": "auth0|somebody-else"})
		}, expect{kratostest.SeesInvalidCredentials, 1, 1, false}},
		"bound to a user id in another case": {func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			i.MetadataAdmin = binding(map[string]any{"user_id": strings.ToUpper(u.ID)})
		}, expect{kratostest.SeesInvalidCredentials, 1, 1, false}},
		"invalid binding": {func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.MetadataAdmin = binding(map[string]any{"user_id": 7})
		}, expect{kratostest.SeesUnavailable, 0, 1, false}},
		"inactive": {
			func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.State = "inactive" },
			expect{kratostest.SeesInvalidCredentials, 0, 1, false},
		},
		"longest allowed password": {
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
		// From 25.4 on, Kratos itself fails on more than about 60 KiB.
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

// callHook calls ferry as Kratos does, with extra headers.
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
