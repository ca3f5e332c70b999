package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// keyPair writes a private key to a file and returns its public key as PEM.
func keyPair(t *testing.T) (file, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key.pem")
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(file, private, 0o600); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return file, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestOneAttempt: concurrent, interrupted and repeated deliveries reach Auth0 once.
func TestOneAttempt(t *testing.T) {
	s := start(t, "FERRY_TRUSTED_PROXIES=1", "FERRY_AUTH0_FORWARD_CLIENT_IP=true", "FERRY_AUTH0_TIMEOUT=20s")
	t.Run("the user's address", func(t *testing.T) { testAddress(t, s) })
	t.Run("many at once", func(t *testing.T) { testManyAtOnce(t, s) })
	t.Run("re-delivery", func(t *testing.T) { testDeliveredAgain(t, s) })
	t.Run("killed while Auth0 is asked", func(t *testing.T) { testKilled(t, s) })
	t.Run("keys rotate", func(t *testing.T) { testRotation(t, s) })
	t.Run("no secrets in logs and answers", s.checkSilence)
}

// testAddress: from 25.4 on, ferry forwards the address that the operator's proxy
// appended, never one that the user sent.
func testAddress(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	from := kratostest.WithHeader("X-Forwarded-For", "192.0.2.66, 203.0.113.9")
	if got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password, from); err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("%s, %v", got.Sees(), err)
	}
	want := ""
	if s.tap.sendsTriggerID() {
		want = "203.0.113.9"
	}
	requests := s.sim.Requests()
	if got := requests[len(requests)-1].ForwardedFor; got != want {
		t.Errorf("Auth0 was told %q, want %q", got, want)
	}
}

// testManyAtOnce: four concurrent logins of one user cost one attempt at Auth0. Kratos
// may refuse some of them.
func testManyAtOnce(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	var ended atomic.Int64
	release := p.holding(t, 4, &ended)
	before := s.attempts()
	var all sync.WaitGroup
	sessions := make(chan bool, 4)
	for range 4 {
		all.Go(func() {
			defer ended.Add(1)
			got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
			if err != nil {
				t.Error(err)
			}
			sessions <- got.Sees() == kratostest.SeesSession
		})
	}
	release()
	all.Wait()
	close(sessions)
	in := 0
	for session := range sessions {
		if session {
			in++
		}
	}
	if n := s.attempts() - before; n != 1 || in == 0 {
		t.Errorf("%d attempts, %d sessions", n, in)
	}
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
}

// testDeliveredAgain repeats a delivery as Kratos 25.4 does when its connection
// breaks.
func testDeliveredAgain(t *testing.T, s *stack) {
	t.Helper()
	for name, c := range map[string]struct {
		password string
		status   int
	}{"right": {"", http.StatusOK}, "wrong": {"x", http.StatusForbidden}} {
		p := s.person(t, nil)
		before := s.attempts()
		for range 3 {
			if got := s.callHook(t, p.email, p.password+c.password, "Ory-Webhook-Trigger-Id", "7d2ac5a8-3f0e-4a5b-9d53-"+p.subject); got != c.status {
				t.Errorf("%s: status %d", name, got)
			}
		}
		if n := s.attempts() - before; n != 1 {
			t.Errorf("%s: %d attempts", name, n)
		}
		if got := s.callHook(t, p.email, p.password+c.password, "Ory-Webhook-Trigger-Id", "another-"+p.subject); got != c.status || s.attempts()-before != 2 {
			t.Errorf("%s: another delivery: status %d, %d attempts", name, got, s.attempts()-before)
		}
	}
}

// testKilled: ferry is killed while Auth0 is asked. Kratos calls again, the new ferry
// asks Auth0 once more, and the user is logged in.
func testKilled(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	s.fault(t, auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Minute, Times: 1})
	before := s.attempts()
	var restarted sync.WaitGroup
	restarted.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := s.sim.WaitForRequests(ctx, before+1); err != nil {
			t.Error(err)
		}
		if err := s.ferry.Kill(); err != nil {
			t.Error(err)
		}
		s.startFerry("FERRY_TRUSTED_PROXIES=1", "FERRY_AUTH0_FORWARD_CLIENT_IP=true")
	})
	got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
	restarted.Wait()
	if err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("%s, %v", got.Sees(), err)
	}
	if n := s.attempts() - before; n != 2 {
		t.Errorf("%d attempts, want the one that was lost and one more", n)
	}
}

// testRotation: Auth0 signs with a new key and removes the old one.
func testRotation(t *testing.T, s *stack) {
	t.Helper()
	for _, keepOld := range []bool{true, false} {
		if _, err := s.sim.RotateKey(keepOld); err != nil {
			t.Fatal(err)
		}
		p := s.person(t, nil)
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	}
}

// TestLimits: Auth0's attack protection, with and without the user's address.
func TestLimits(t *testing.T) {
	s := start(t, "FERRY_TRUSTED_PROXIES=1", "FERRY_AUTH0_FORWARD_CLIENT_IP=true",
		"FERRY_AUTH0_BRUTE_FORCE_ATTEMPTS=0", "FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=0") // ferry's own limits come first
	if err := s.sim.AddApp(auth0sim.App{ClientID: clientID, ClientSecret: clientSecret, TrustForwardedFor: true}); err != nil {
		t.Fatal(err)
	}
	settings := auth0sim.DefaultSettings()
	settings.SuspiciousIP.MaxAttempts = 12
	if err := s.sim.SetSettings(settings); err != nil {
		t.Fatal(err)
	}
	victim, other := s.person(t, nil), s.person(t, nil)
	deliveries := 0
	from := func(p *person, password, ip string) int {
		deliveries++
		return s.callBody(t, `{"identifier":"`+p.email+`","password":"`+password+`","client":{"ip":"192.0.2.1, `+ip+`"}}`,
			"Ory-Webhook-Trigger-Id", strconv.Itoa(deliveries))
	}
	for range 11 {
		if got := from(victim, "wrong", "203.0.113.66"); got != http.StatusForbidden {
			t.Fatalf("status for the attacker: %d", got)
		}
	}
	if got := from(victim, victim.password, "203.0.113.66"); got != http.StatusForbidden {
		t.Errorf("Auth0 blocks the attacker's address for the victim even with the right password: status %d", got)
	}
	if !strings.Contains(s.ferry.Logs(), `"outcome":"throttled"`) {
		t.Error("throttled is not in the log")
	}
	if got := from(victim, victim.password, "198.51.100.7"); got != http.StatusOK {
		t.Errorf("status for the victim at another address: %d", got)
	}
	for range 3 {
		from(other, "wrong", "203.0.113.66")
	}
	if got := from(other, other.password, "203.0.113.66"); got != http.StatusFailedDependency {
		t.Errorf("status where Auth0 blocks the whole address: %d", got)
	}
	if got := from(other, other.password, "198.51.100.8"); got != http.StatusOK {
		t.Errorf("status from another address: %d", got)
	}
	t.Run("ferry stops first", func(t *testing.T) { testForwardedLimits(t, s, from) })
}

// testForwardedLimits: with its own limits, ferry refuses the attacker before Auth0 does, and
// only at the attacker's address.
func testForwardedLimits(t *testing.T, s *stack, from func(p *person, password, ip string) int) {
	t.Helper()
	first := s.ferry
	s.ferry = s.anotherFerry(t, "FERRY_TRUSTED_PROXIES=1", "FERRY_AUTH0_FORWARD_CLIENT_IP=true")
	defer func() { s.ferry = first }()
	victim := s.person(t, nil)
	before := s.attempts()
	for i := range 11 {
		ip := "2001:db8:66::" + strconv.Itoa(i+1) // one network
		if got := from(victim, "wrong", ip); got != http.StatusForbidden {
			t.Fatalf("status for the attacker: %d", got)
		}
	}
	if got := from(victim, victim.password, "2001:db8:66::66"); got != http.StatusForbidden {
		t.Errorf("status for the attacker with the right password: %d", got)
	}
	if n := s.attempts() - before; n != 9 {
		t.Errorf("Auth0 saw %d passwords, want 9", n)
	}
	s.await(t, "the log of the last login", func() bool { return s.locked() >= 3 })
	if n := s.locked(); n != 3 || strings.Contains(s.ferry.Logs(), `"outcome":"throttled"`) {
		t.Errorf("%d logins locked", n)
	}
	if got := from(victim, victim.password, "2001:db8:67::1"); got != http.StatusOK {
		t.Errorf("status for the victim at another address: %d", got)
	}
}

// TestCustomDatabase: a case-sensitive connection is asked with the identifier as the
// trait spells it.
func TestCustomDatabase(t *testing.T) {
	s := start(t, "FERRY_AUTH0_CUSTOM_REALMS="+legacy)
	if err := s.sim.AddConnection(auth0sim.Connection{Name: legacy, Custom: true}); err != nil {
		t.Fatal(err)
	}
	mixed := "Canary.Mixed@Example.org"
	p := s.person(t, func(u *auth0sim.User, i *kratostest.IdentitySpec) {
		u.Connection, u.Email = legacy, mixed
		i.Traits = map[string]any{"email": mixed}
		i.MetadataAdmin = map[string]any{"auth0": map[string]any{"user_id": u.ID, "connection": legacy}}
	})
	p.check(t, s.kratos.LoginAPI, strings.ToLower(mixed), p.password, expect{kratostest.SeesSession, 1, 1, true})
}
