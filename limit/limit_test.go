package limit_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ferry/attempt"
	"ferry/limit"
	"ferry/outcome"
	"ferry/upstream"
)

// clock is a clock that tests advance.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// replica is one ferry with its log and metrics.
type replica struct {
	*limit.Limits

	clock    *clock
	log      *observer.ObservedLogs
	registry *prometheus.Registry
}

// start starts a replica with ferry's default limits.
func start(t *testing.T, change func(*limit.Options)) *replica {
	t.Helper()
	core, log := observer.New(zapcore.DebugLevel)
	r := &replica{clock: &clock{now: time.Now()}, log: log, registry: prometheus.NewRegistry()}
	opts := limit.Options{
		BruteForce: 10, PerUser: 50, SuspiciousIP: 100, InFlight: time.Minute,
		Log: zap.New(core), Hash: strings.ToUpper, Metrics: r.registry, Now: r.clock.Now,
	}
	if change != nil {
		change(&opts)
	}
	var err error
	if r.Limits, err = limit.New(opts); err != nil {
		t.Fatal(err)
	}
	return r
}

// loginOf is a login of a user from an address; empty: Auth0 sees ferry's.
func loginOf(user, address string) attempt.Login {
	l := attempt.Login{IdentityID: user, Credentials: upstream.Credentials{Username: user + "@example.org"}}
	if address != "" {
		l.Credentials.ClientIP = netip.MustParseAddr(address)
	}
	return l
}

// unknown is a login of somebody whom Kratos does not have.
func unknown(identifier, address string) attempt.Login {
	l := loginOf("", address)
	l.Credentials.Username = identifier
	return l
}

// login logs in where Auth0 answers o. It returns the outcome and the reason.
func (r *replica) login(t *testing.T, l attempt.Login, o outcome.Outcome) (outcome.Outcome, string) {
	t.Helper()
	settle, refusal := r.Admit(t.Context(), l)
	if refusal != nil {
		return refusal.Outcome, refusal.Reason
	}
	return outcomeOf(settle(t.Context(), answer(o)))
}

// answer is what Auth0's client returns for an outcome.
func answer(o outcome.Outcome) error {
	if o == outcome.Match {
		return nil
	}
	return &upstream.LoginError{Outcome: o, Reason: "auth0"}
}

func outcomeOf(err error) (outcome.Outcome, string) {
	var e *upstream.LoginError
	if errors.As(err, &e) {
		return e.Outcome, e.Reason
	}
	return outcome.Match, ""
}

// times logs in n times, and fails unless Auth0 is asked each time.
func (r *replica) times(t *testing.T, n int, l attempt.Login, o outcome.Outcome) {
	t.Helper()
	for i := range n {
		if got, reason := r.login(t, l, o); got != o {
			t.Fatalf("login %d of %d: %s (%s), want %s", i+1, n, got, reason, o)
		}
	}
}

// refused fails unless the login is refused without Auth0.
func (r *replica) refused(t *testing.T, l attempt.Login, want outcome.Outcome, reason string) {
	t.Helper()
	if got, because := r.login(t, l, outcome.Match); got != want || because != reason {
		t.Fatalf("%s (%s), want %s (%s)", got, because, want, reason)
	}
}

const (
	home   = "198.51.100.1"
	office = "203.0.113.7"
)

// TestLimits: what counts, against what, and for how long.
func TestLimits(t *testing.T) {
	ada := loginOf("ada", home)
	for name, run := range map[string]func(t *testing.T, r *replica){
		"ferry stops before Auth0's threshold": func(t *testing.T, r *replica) {
			t.Helper()
			r.times(t, 9, ada, outcome.Mismatch)
			r.refused(t, ada, outcome.Locked, limit.ReasonUserAddress)
			r.times(t, 1, loginOf("ada", office), outcome.Match)
			r.times(t, 1, loginOf("bob", home), outcome.Match)
		},
		"a success clears its own pair": func(t *testing.T, r *replica) {
			t.Helper()
			r.times(t, 8, ada, outcome.Mismatch)
			r.times(t, 8, loginOf("ada", office), outcome.Mismatch)
			r.times(t, 1, ada, outcome.Match)
			r.times(t, 9, ada, outcome.Mismatch)
			r.refused(t, ada, outcome.Locked, limit.ReasonUserAddress)
			r.times(t, 1, loginOf("ada", office), outcome.Mismatch)
			r.refused(t, loginOf("ada", office), outcome.Locked, limit.ReasonUserAddress)
		},
		"only a mismatch counts": func(t *testing.T, r *replica) {
			t.Helper()
			for _, o := range outcome.All() {
				if o != outcome.Mismatch && o != outcome.Throttled {
					r.times(t, 60, ada, o)
				}
			}
			r.times(t, 9, ada, outcome.Mismatch)
		},
		"as long as Auth0 remembers": func(t *testing.T, r *replica) {
			t.Helper()
			r.times(t, 8, ada, outcome.Mismatch)
			r.clock.advance(29 * 24 * time.Hour)
			r.times(t, 1, ada, outcome.Mismatch)
			r.clock.advance(29 * 24 * time.Hour)
			r.refused(t, ada, outcome.Locked, limit.ReasonUserAddress)
			r.clock.advance(24 * time.Hour)
			r.times(t, 9, ada, outcome.Mismatch)
		},
		"a user from many addresses": func(t *testing.T, r *replica) {
			t.Helper()
			for i := range 50 {
				r.times(t, 1, loginOf("ada", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String()), outcome.Mismatch)
			}
			r.refused(t, loginOf("ada", home), outcome.Locked, limit.ReasonUser)
			r.clock.advance(24 * time.Hour / 50)
			r.times(t, 1, loginOf("ada", home), outcome.Match) // a success gives nothing back
			r.times(t, 1, loginOf("ada", home), outcome.Mismatch)
			r.refused(t, loginOf("ada", home), outcome.Locked, limit.ReasonUser)
		},
		"an address with many users": func(t *testing.T, r *replica) {
			t.Helper()
			for i := range 95 {
				r.times(t, 1, unknown(string(rune('a'+i))+"@example.org", home), outcome.Mismatch)
			}
			r.refused(t, ada, outcome.Limited, limit.ReasonAddress)
			r.times(t, 1, loginOf("ada", office), outcome.Match)
			r.clock.advance(864 * time.Second)
			r.times(t, 1, ada, outcome.Match) // a success gives an address nothing back
			r.times(t, 1, ada, outcome.Mismatch)
			r.refused(t, ada, outcome.Limited, limit.ReasonAddress)
		},
		"IPv6 by the network of one user": func(t *testing.T, r *replica) {
			t.Helper()
			for i := range 9 {
				r.times(t, 1, loginOf("ada", "2001:db8:0:1::"+string(rune('1'+i))), outcome.Mismatch)
			}
			r.refused(t, loginOf("ada", "2001:db8:0:1:ffff::1"), outcome.Locked, limit.ReasonUserAddress)
			r.times(t, 1, loginOf("ada", "2001:db8:0:2::1"), outcome.Mismatch)
		},
		"an unknown user by the normalized identifier": func(t *testing.T, r *replica) {
			t.Helper()
			for _, typed := range []string{"kim@example.org", " Kim@example.org", "KIM@EXAMPLE.ORG "} {
				r.times(t, 3, unknown(typed, home), outcome.Mismatch)
			}
			r.refused(t, unknown("kIm@example.org", home), outcome.Locked, limit.ReasonUserAddress)
			r.times(t, 1, unknown("kim@example.com", home), outcome.Mismatch)
		},
		"where Auth0 sees only ferry, it counts users together": func(t *testing.T, r *replica) {
			t.Helper()
			l := loginOf("ada", "")
			l.IP = netip.MustParseAddr(home)
			r.times(t, 9, l, outcome.Mismatch)
			l.IP = netip.MustParseAddr(office)
			r.refused(t, l, outcome.Locked, limit.ReasonUserAddress)
		},
	} {
		t.Run(name, func(t *testing.T) { run(t, start(t, nil)) })
	}
}

// TestLimitsOff: a limit of 0 is off.
func TestLimitsOff(t *testing.T) {
	r := start(t, func(o *limit.Options) { o.BruteForce, o.PerUser, o.SuspiciousIP = 0, 0, 0 })
	for _, l := range []attempt.Login{loginOf("ada", home), loginOf("ada", "")} {
		r.times(t, 300, l, outcome.Mismatch)
	}
}

// TestReached: the log says once why Auth0 is not asked any more, and the metrics count
// refusals.
func TestReached(t *testing.T) {
	r := start(t, nil)
	r.times(t, 9, loginOf("ada", home), outcome.Mismatch)
	r.refused(t, loginOf("ada", home), outcome.Locked, limit.ReasonUserAddress)
	reached := r.log.FilterMessageSnippet("attempt limit reached").All()
	if len(reached) != 1 || reached[0].ContextMap()["identity_id"] != "ada" || reached[0].ContextMap()["identifier_hash"] != "ADA@EXAMPLE.ORG" {
		t.Errorf("logged %v", reached)
	}
	for reason, want := range map[string]float64{limit.ReasonUserAddress: 1, limit.ReasonUser: 0, limit.ReasonAddress: 0, limit.ReasonOwnAddress: 0} {
		if got := sample(t, r.registry, "ferry_limit_refusals_total", reason); got != want {
			t.Errorf("%v refusals by %s, want %v", got, reason, want)
		}
	}
}

// TestBurst: a burst of logins passes while few have failed. Close to the limit of an address,
// logins in flight count as failed.
func TestBurst(t *testing.T) {
	r := start(t, nil)
	others := func(i int) attempt.Login { return loginOf("user "+string(rune('a'+i)), "") }
	logins := parallel{replicas: []*replica{r}, n: 300, together: 300, login: others}
	if got := logins.run(t, outcome.Match); got.asked != 300 {
		t.Errorf("%d of 300 right passwords passed", got.asked)
	}
	logins.n, logins.together = 80, 80
	if got := logins.run(t, outcome.Mismatch); got.asked != 80 {
		t.Errorf("%d of 80 wrong passwords passed", got.asked)
	}
	logins.n, logins.together = 300, 15
	if got := logins.run(t, outcome.Mismatch); got.asked != 15 || got.refused[limit.ReasonOwnAddress] != 285 {
		t.Errorf("wrong passwords after 80: %+v, want 15", got)
	}
}

// TestOwnAddress: where Auth0 sees only ferry's address, ferry warns at 80 failed logins,
// stops at 95, and lets one more pass in each 14.4 minutes.
func TestOwnAddress(t *testing.T) {
	r := start(t, nil)
	fail := func(n int) {
		t.Helper()
		for i := range n {
			r.times(t, 1, loginOf("user "+string(rune('a'+i))+r.clock.Now().String(), ""), outcome.Mismatch)
		}
	}
	logged := func(snippet string) int { return r.log.FilterMessageSnippet(snippet).Len() }
	fail(79)
	if logged("ferry's own address") != 0 {
		t.Errorf("logged %v", r.log.All())
	}
	fail(1)
	if logged("almost used up") != 1 || sample(t, r.registry, "ferry_own_address_failed_logins", "") != 80 || sample(t, r.registry, "ferry_own_address_failed_logins_max", "") != 100 {
		t.Errorf("logged %v, %v", r.log.All(), sample(t, r.registry, "ferry_own_address_failed_logins", ""))
	}
	fail(15)
	if logged("almost used up") != 1 || logged("are used up") != 1 {
		t.Errorf("logged %v", r.log.All())
	}
	for range 3 {
		r.refused(t, loginOf("ada", ""), outcome.Limited, limit.ReasonOwnAddress)
		r.times(t, 1, loginOf("ada", home), outcome.Match) // another address
		r.clock.advance(863 * time.Second)
		r.refused(t, loginOf("ada", ""), outcome.Limited, limit.ReasonOwnAddress)
		r.clock.advance(time.Second)
		r.times(t, 5, loginOf("ada", ""), outcome.Match)
		fail(1)
	}
	r.clock.advance(24 * time.Hour)
	if n := sample(t, r.registry, "ferry_own_address_failed_logins", ""); n != 0 {
		t.Errorf("%v failed logins a day later", n)
	}
	fail(95)
	if logged("almost used up") != 2 || logged("are used up") != 2 {
		t.Errorf("logged %v", r.log.All())
	}
}

// sample returns the value of a metric, with that value of a label if it is not empty.
func sample(t *testing.T, registry *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %s", name, label)
	return 0
}

// damage overwrites a file.
func damage(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRestart: the failed logins of ferry's own address survive a restart, where there is a
// data directory. A damaged file is not a reason not to start.
func TestRestart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "data", limit.FileName)
	open := func() *replica { return start(t, func(o *limit.Options) { o.File = name }) }
	before := open()
	for i := range 95 {
		before.times(t, 1, loginOf("user "+string(rune('a'+i)), ""), outcome.Mismatch)
	}
	open().refused(t, loginOf("ada", ""), outcome.Limited, limit.ReasonOwnAddress)
	damage(t, name)
	after := open()
	after.times(t, 1, loginOf("ada", ""), outcome.Mismatch)
	if after.log.FilterMessageSnippet("the file is damaged").Len() != 1 {
		t.Errorf("logged %v", after.log.All())
	}
}
