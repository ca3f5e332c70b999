package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/kratostest"
	"ferry/test/redistest"
)

const stateKey = "canary-state-key-0123456789-0123456789abcdef"

// TestReplicas: two ferry replicas with one Redis, one hook each; then Redis fails.
func TestReplicas(t *testing.T) {
	redis := redistest.Run(t, redistest.Options{TLS: true, User: "ferry", Password: "canary-redis-password"})
	settings := []string{"FERRY_STATE_URL=" + redis.URL(), "FERRY_STATE_KEY=" + stateKey, "SSL_CERT_FILE=" + redis.CAFile()}
	s := start(t, settings...)
	second := s.anotherFerry(t, settings...)
	t.Run("one hook each", func(t *testing.T) {
		s.tap.sendAfterLoginTo(t, second.HooksURL())
		p := s.profiled(t, nil)
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
		p.arrived(t, func(i kratostest.Identity) bool {
			return marked(i) && strings.Contains(second.Logs(), `"msg":"migrated"`)
		})
		if strings.Contains(s.ferry.Logs(), `"msg":"migrated"`) {
			t.Error("the first wrote it too")
		}
	})
	t.Run("re-delivery to the other replica", func(t *testing.T) {
		p := s.person(t, nil)
		before := s.attempts()
		first := s.ferry
		for _, at := range []*ferrytest.Ferry{first, second, first} {
			s.ferry = at
			if status := s.callHook(t, p.email, p.password, "Ory-Webhook-Trigger-Id", "delivery-"+p.subject); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
		s.ferry = first
		if n := s.attempts() - before; n != 1 {
			t.Errorf("%d attempts", n)
		}
	})
	t.Run("killed between the hooks", func(t *testing.T) {
		p := s.profiled(t, nil)
		s.tap.breakAfterLogin(true) // the first ferry is killed before its after-login hook runs
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
		if err := s.ferry.Kill(); err != nil {
			t.Fatal(err)
		}
		s.tap.breakAfterLogin(false)
		s.startFerry(settings...)
		// The next login within two minutes still finds the profile if Kratos sends no login
		// id.
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
	})
	t.Run("redis down", func(t *testing.T) {
		if err := redis.Stop(); err != nil {
			t.Fatal(err)
		}
		p := s.profiled(t, nil)
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
		if metrics := s.get(t, "/metrics/prometheus"); !strings.Contains(metrics, `ferry_state_faults_total{operation="keep"} 1`) {
			t.Error("the metrics do not report it")
		}
	})
	t.Run("no secrets in logs and answers", s.checkSilence)
}

// anotherFerry starts a second replica.
func (s *stack) anotherFerry(t *testing.T, settings ...string) *ferrytest.Ferry {
	t.Helper()
	first, forward := s.ferry, s.tap.target()
	s.startFerry(settings...)
	second := s.ferry
	s.ferry = first
	s.tap.retarget(forward)
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	return second
}

// TestWriteBack: Auth0 is told that a user has migrated, after the migration.
func TestWriteBack(t *testing.T) {
	s := start(t, "FERRY_WRITE_BACK=true", "FERRY_AUTH0_MGMT_CLIENT_ID=machine", "FERRY_AUTH0_MGMT_CLIENT_SECRET=canary-machine-secret")
	err := s.sim.AddApp(auth0sim.App{ClientID: "machine", ClientSecret: "canary-machine-secret", ManagementScopes: []string{"update:users"}})
	if err != nil {
		t.Fatal(err)
	}
	p := s.person(t, func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.AppMetadata = map[string]any{"plan": "gold"} })
	before := s.attempts()
	if got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password); err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("%s, %v", got.Sees(), err)
	}
	p.arrived(t, marked)
	var user auth0sim.User
	p.arrived(t, func(kratostest.Identity) bool { // the simulator counts a write before it applies it
		user, _ = s.sim.User(p.subject)
		return user.AppMetadata["ferry"] != nil
	})
	if n := s.sim.UserWrites(p.subject); n != 1 {
		t.Errorf("%d writes", n)
	}
	note := fmt.Sprint(user.AppMetadata["ferry"])
	if !strings.Contains(note, p.identity) || user.AppMetadata["plan"] != "gold" {
		t.Errorf("app_metadata %v", user.AppMetadata)
	}
	if n := s.attempts() - before; n != 2 { // the login and one token for the Management API
		t.Errorf("%d token requests", n)
	}
	s.checkSilence(t)
}

// TestManyLogins: two hundred logins of one new user, by calls as Kratos makes them.
// Those in progress share one attempt, and the profile is written once.
func TestManyLogins(t *testing.T) {
	s := start(t, "FERRY_AUTH0_TIMEOUT=20s")
	p := s.profiled(t, nil)
	var ended atomic.Int64
	release := p.holding(t, 200, &ended)
	before := s.attempts()
	results := make(chan int, 200)
	for range 200 {
		go func() {
			results <- s.callHook(t, p.email, p.password)
			ended.Add(1)
		}()
	}
	release()
	for range 200 {
		if status := <-results; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	if n := s.attempts() - before; n != 1 {
		t.Errorf("%d attempts", n)
	}
	want := expect{kratostest.SeesSession, 0, 1, true}
	if s.namesDeliveries(t) {
		want.attempts = 1 // its delivery id differs from the earlier calls
	}
	p.check(t, s.kratos.LoginAPI, p.email, p.password, want)
	p.arrived(t, func(i kratostest.Identity) bool {
		return marked(i) && strings.Contains(s.ferry.Logs(), `"msg":"migrated"`)
	})
	if n := strings.Count(s.ferry.Logs(), `"msg":"migrated"`); n != 1 {
		t.Errorf("written %d times", n)
	}
}
