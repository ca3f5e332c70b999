package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// protected starts a stack with a gateway, whose Auth0 protects itself as it does by default.
func protected(t *testing.T, settings ...string) *stack {
	t.Helper()
	s := startWith(t, nil, append([]string{"FERRY_GATEWAY_LISTEN=127.0.0.1:0"}, settings...)...)
	if err := s.sim.SetSettings(auth0sim.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	s.gatewayReady(t)
	return s
}

// atAuth0 is the HTTP status of a login at Auth0 itself, from ferry's address.
func (s *stack) atAuth0(t *testing.T, email, password string) int {
	t.Helper()
	form := url.Values{
		"grant_type": {"http://auth0.com/oauth/grant-type/password-realm"}, "realm": {users}, "username": {email}, "password": {password},
		"client_id": {clientID}, "client_secret": {clientSecret}, "scope": {"openid"},
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.sim.URL()+auth0sim.PathToken, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// locked is the number of logins that ferry refused.
func (s *stack) locked() int {
	n := 0
	for line := range strings.Lines(s.ferry.Logs()) {
		var entry struct{ Outcome, Reason string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Outcome == "locked" && entry.Reason == "limit_user_address" {
			n++
		}
	}
	return n
}

// TestAttemptLimits: ferry stops asking before Auth0 blocks anybody, and recovery is the way
// out.
func TestAttemptLimits(t *testing.T) {
	settings := []string{"FERRY_DATA_DIR=" + t.TempDir()}
	s := protected(t, settings...)
	t.Run("a user", func(t *testing.T) {
		p := s.person(t, nil)
		before := s.attempts()
		for i := range 10 {
			s.sees(t, p.email, fmt.Sprint(p.password, i), kratostest.SeesInvalidCredentials)
		}
		s.sees(t, p.email, p.password, kratostest.SeesInvalidCredentials)
		if n := s.attempts() - before; n != 9 {
			t.Errorf("Auth0 saw %d passwords, want 9", n)
		}
		s.await(t, "the log of the last login", func() bool { return s.locked() >= 2 })
		if n := s.locked(); n != 2 || !strings.Contains(s.ferry.Logs(), "attempt limit reached") {
			t.Errorf("%d logins locked; ferry: %s", n, s.ferry.Logs())
		}
		if status := s.atAuth0(t, p.email, p.password); status != http.StatusOK {
			t.Errorf("Auth0 blocks the user: status %d", status)
		}
		if err := s.kratos.Recover(t.Context(), p.identity, "a-new-Passw0rd canary"); err != nil {
			t.Fatal(err)
		}
		before = s.attempts()
		s.sees(t, p.email, "a-new-Passw0rd canary", kratostest.SeesSession)
		s.sees(t, p.email, p.password, kratostest.SeesInvalidCredentials)
		if n := s.attempts() - before; n != 0 {
			t.Errorf("Auth0 saw %d passwords after the recovery", n)
		}
	})
	t.Run("a user whom Kratos does not have", func(t *testing.T) {
		u := s.unknown(t, nil)
		before := s.attempts()
		for i := range 10 {
			typed := []string{u.email, strings.ToUpper(u.email), " " + u.email}[i%3]
			s.sees(t, typed, fmt.Sprint(u.password, i), kratostest.SeesInvalidCredentials)
		}
		s.sees(t, u.email, u.password, kratostest.SeesInvalidCredentials)
		if n := s.attempts() - before; n != 9 {
			t.Errorf("Auth0 saw %d passwords, want 9", n)
		}
		if status := s.atAuth0(t, u.email, u.password); status != http.StatusOK {
			t.Errorf("Auth0 blocks the user: status %d", status)
		}
	})
	t.Run("all users, over a restart", func(t *testing.T) { testOwnAddress(t, s, settings) })
	s.checkSilence(t)
}

// sees logs in and checks what the user sees.
func (s *stack) sees(t *testing.T, identifier, password, want string) {
	t.Helper()
	got, err := s.kratos.LoginAPI(t.Context(), identifier, password)
	if err != nil || got.Sees() != want {
		t.Fatalf("the user sees %q, %v; want %q; ferry: %s", got.Sees(), err, want, s.ferry.Logs())
	}
}

// testOwnAddress uses up the failed logins of ferry's own address.
func testOwnAddress(t *testing.T, s *stack, settings []string) {
	t.Helper()
	statuses := map[int]int{}
	var p *person
	for i := 0; statuses[http.StatusFailedDependency] == 0 && i < 200; i++ {
		if i%9 == 0 {
			p = s.person(t, nil)
		}
		statuses[s.callHook(t, p.email, fmt.Sprint(p.password, i))]++
	}
	failed := 2*9 + statuses[http.StatusForbidden] // those of the two users before
	if failed != 95 || statuses[http.StatusFailedDependency] != 1 {
		t.Errorf("Auth0 saw %d failed logins, answers %v", failed, statuses)
	}
	if n := s.metric(t, "ferry_own_address_failed_logins"); n < 94 || n > 95 {
		t.Errorf("the metric says %v", n)
	}
	for _, line := range []string{"from ferry's own address are almost used up", "from ferry's own address are used up"} {
		if strings.Count(s.ferry.Logs(), line) != 1 {
			t.Errorf("%q is not in the log once", line)
		}
	}
	p = s.person(t, nil)
	if status := s.atAuth0(t, p.email, p.password); status != http.StatusOK {
		t.Errorf("Auth0 blocks ferry: status %d", status)
	}
	before := s.attempts()
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesUnavailable, 0, 1, false})
	if err := s.ferry.Stop(); err != nil {
		t.Fatal(err)
	}
	s.startFerry(append([]string{"FERRY_GATEWAY_LISTEN=127.0.0.1:0"}, settings...)...)
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesUnavailable, 0, 1, false})
	if n := s.attempts() - before; n != 0 {
		t.Errorf("Auth0 saw %d passwords", n)
	}
}
