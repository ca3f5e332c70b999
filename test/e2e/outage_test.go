package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

// TestOutages: an outage is never reported as a wrong password, no hash is stored, and
// the same login works afterwards.
func TestOutages(t *testing.T) {
	s := start(t)
	t.Run("auth0 down", func(t *testing.T) { testAuth0Down(t, s) })
	t.Run("auth0 down for many", func(t *testing.T) { testBreaker(t, s) })
	t.Run("ferry down", func(t *testing.T) { testFerryDown(t, s) })
	t.Run("ferry stops during a login", func(t *testing.T) { testDrain(t, s) })
	t.Run("ready with auth0 down", func(t *testing.T) { testReady(t, s) })
	t.Run("not kratos' admin API", func(t *testing.T) { testNotAdmin(t, s) })
}

func testAuth0Down(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	s.down(t)
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesUnavailable, 0, 1, false})
	s.sim.ClearFaults()
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
}

// testBreaker: while Auth0 is down, users see an outage at once, and Auth0 is left alone. When
// it is back, logins work again by themselves.
func testBreaker(t *testing.T, s *stack) {
	t.Helper()
	people := make([]*person, 6)
	for i := range people {
		people[i] = s.person(t, nil)
	}
	s.down(t)
	for _, p := range people {
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesUnavailable, 0, 1, false})
	}
	s.sim.ClearFaults()
	last := people[5]
	last.check(t, s.kratos.LoginAPI, last.email, last.password, expect{kratostest.SeesUnavailable, 0, 1, false})
	if state := s.get(t, "/upstream"); !strings.Contains(state, `"open"`) || !strings.Contains(s.ferry.Logs(), `"reason":"breaker_open"`) {
		t.Errorf("%s, the log: %s", state, s.ferry.Logs())
	}
	if !await.True(func() bool { return strings.Contains(s.get(t, "/upstream"), `"half-open"`) }) {
		t.Fatal("the breaker stays open")
	}
	for _, p := range people {
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	}
}

// testFerryDown: Kratos tries three times, and the user is not locked out.
func testFerryDown(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	if err := s.ferry.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.ferry.Logs(), `"msg":"stopped"`) {
		t.Errorf("ferry did not drain: %s", s.ferry.Logs())
	}
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesUnavailable, 0, 3, false})
	s.startFerry()
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
}

// testDrain: SIGTERM lets a login in progress end, whatever its outcome.
func testDrain(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	held, err := s.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Minute, Times: 1})
	if err != nil {
		t.Fatal(err)
	}
	asked := s.attempts() + 1
	stopped := make(chan error, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() { stopped <- errors.Join(s.sim.WaitForRequests(ctx, asked), s.ferry.Stop()) }()
	go func() { stopped <- errors.Join(s.logged(ctx, `"msg":"draining"`), s.sim.ClearFault(held)) }()
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	if err := errors.Join(<-stopped, <-stopped); err != nil {
		t.Fatal(err)
	}
	if log := s.ferry.Logs(); strings.Index(log, `"msg":"draining"`) > strings.LastIndex(log, `"outcome":"match"`) {
		t.Errorf("no login was in progress when ferry was stopped: %s", log)
	}
	if log := s.ferry.Logs(); !strings.Contains(log, `"msg":"profile expired unclaimed","identity_id":"`+p.identity+`"`) {
		t.Errorf("the log does not name the user whose profile was lost: %s", log)
	}
	s.startFerry()
}

func testReady(t *testing.T, s *stack) {
	t.Helper()
	s.down(t)
	defer s.sim.ClearFaults()
	s.restartFerry(t)
	for _, path := range []string{"/health/alive", "/health/ready"} {
		if got := s.get(t, path); got != "{\"status\":\"ok\"}\n" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func testNotAdmin(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	s.restartFerry(t, "FERRY_KRATOS_ADMIN_URL="+s.kratos.PublicURL())
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesUnavailable, 0, 1, false})
	if !strings.Contains(s.ferry.Logs(), `"reason":"kratos_not_there"`) {
		t.Errorf("the log: %s", s.ferry.Logs())
	}
}

// down makes all of Auth0 unreachable.
func (s *stack) down(t *testing.T) {
	t.Helper()
	if _, err := s.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultResetBeforeRequest, Path: auth0sim.AnyPath}); err != nil {
		t.Fatal(err)
	}
}

func (s *stack) restartFerry(t *testing.T, settings ...string) {
	t.Helper()
	if err := s.ferry.Stop(); err != nil {
		t.Fatal(err)
	}
	s.startFerry(settings...)
}

// TestVerifiedIdentifier: the setting under which unbound identities may match.
func TestVerifiedIdentifier(t *testing.T) {
	s := start(t, "FERRY_BINDING=verified_identifier")
	unbound := func(verified bool) func(*auth0sim.User, *kratostest.IdentitySpec) {
		return func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			u.EmailVerified = verified
			i.MetadataAdmin = nil
		}
	}
	p := s.person(t, unbound(false))
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesInvalidCredentials, 1, 1, false})
	p = s.person(t, unbound(true))
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
}

// TestServeRefuses: ferry reports every invalid setting by name at the start.
func TestServeRefuses(t *testing.T) {
	ferry, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: []string{
		"FERRY_AUTH0_DOMIAN=canary.example", "FERRY_AUTH0_TIMEOUT=canary",
	}})
	if err == nil {
		_ = ferry.Stop()
		t.Fatal("ferry started without settings")
	}
	for _, want := range []string{
		"exit status 2", "FERRY_HOOK_KEYS: is not set", "FERRY_AUTH0_DOMAIN: is not set", "FERRY_AUTH0_CLIENT_ID: is not set",
		"FERRY_AUTH0_CLIENT_SECRET: is not set", "FERRY_KRATOS_ADMIN_URL: is not set",
		"FERRY_AUTH0_TIMEOUT: must be a duration", "FERRY_AUTH0_DOMIAN: is not a setting; did you mean FERRY_AUTH0_DOMAIN?",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a value was printed: %v", err)
	}
}
