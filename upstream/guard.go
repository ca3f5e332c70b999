package upstream

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"ferry/outcome"
)

const (
	// A rate limit is taken for that of all users once Auth0 has told limitUsers users in
	// limitNetworks networks that nothing remains. Until it resets, neither they nor others are
	// asked about.
	limitUsers    = 2
	limitNetworks = 2
	// Auth0's windows are a minute at most. After a 429 that names no time, ferry waits for
	// limitWaitLeast.
	guardWaitMost = time.Minute
)

// GuardOptions configure a Guard. PerSecond may be 0; the rest is required.
type GuardOptions struct {
	// PerSecond is the maximum rate of requests to the Authentication API; 0 sets none.
	PerSecond int
	Log       *zap.Logger
	Metrics   prometheus.Registerer
	// Now is the clock.
	Now func() time.Time
}

// Guard decides whether Auth0 may be asked about a login now: within the operator's rate,
// while Auth0's own limit is not used up, and while Auth0 is not down. A login that it refuses
// sends nothing, and could not be verified: the outcome is never about the user. It is safe
// for concurrent use, and knows nothing of other processes.
type Guard struct {
	opts     GuardOptions
	seed     maphash.Seed
	rate     *rate.Limiter
	refusals *prometheus.CounterVec

	mu       sync.Mutex
	breakers map[string]*breaker // by realm, which are those of the settings
	limited  witnesses           // since an answer that asked for no wait
	until    time.Time           // for all users
	told     map[string]rateLimit
}

// NewGuard makes a Guard; the error names what is missing.
func NewGuard(opts GuardOptions) (*Guard, error) {
	if opts.PerSecond < 0 || opts.Log == nil || opts.Metrics == nil || opts.Now == nil {
		return nil, errors.New("upstream: a guard needs a rate of 0 or more, log, metrics and clock")
	}
	g := &Guard{
		opts: opts, seed: maphash.MakeSeed(), rate: rate.NewLimiter(rate.Inf, 0),
		breakers: map[string]*breaker{}, limited: witnesses{}, told: map[string]rateLimit{},
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_auth0_refusals_total", Help: "Logins about which ferry did not ask Auth0, by reason: own_rate_limit, auth0_rate_limit, breaker_open, breaker_probing.",
		}, []string{"reason"}),
	}
	if opts.PerSecond > 0 {
		g.rate = rate.NewLimiter(rate.Limit(opts.PerSecond), opts.PerSecond)
	}
	for _, c := range []prometheus.Collector{g.refusals, guardCollector{g}} {
		if err := opts.Metrics.Register(c); err != nil {
			return nil, fmt.Errorf("upstream: register metrics: %w", err)
		}
	}
	for _, reason := range []string{ReasonOwnRateLimit, ReasonAuth0RateLimit, ReasonBreakerOpen, ReasonBreakerProbing} {
		g.refusals.WithLabelValues(reason)
	}
	return g, nil
}

// run verifies a login, unless the guard refuses it. A nil Guard refuses none.
func (g *Guard) run(c Credentials, verify func() (Profile, error)) (Profile, error) {
	if g == nil {
		return verify()
	}
	profile, err := g.ask(c, verify)
	var refusal *LoginError
	if errors.As(err, &refusal) && Unasked(refusal.Reason) {
		g.refusals.WithLabelValues(refusal.Reason).Inc()
	}
	return profile, err
}

func (g *Guard) ask(c Credentials, verify func() (Profile, error)) (Profile, error) {
	if g.waits(c) {
		return Profile{}, &LoginError{Outcome: outcome.Limited, Reason: ReasonAuth0RateLimit}
	}
	return g.breaker(c.Realm).run(originOf(g.seed, c, c.From), c.ClientIP.IsValid(), func() (Profile, error) {
		if !g.rate.AllowN(g.opts.Now(), 1) {
			return Profile{}, &LoginError{Outcome: outcome.Limited, Reason: ReasonOwnRateLimit}
		}
		return verify()
	})
}

// waits reports whether Auth0's limit has not reset, for all or for this user.
func (g *Guard) waits(c Credentials) bool {
	user := originOf(g.seed, c, netip.Addr{}).user
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.opts.Now()
	return now.Before(g.until) || now.Before(g.limited[user].until)
}

// count counts a request beyond the first of a login against the operator's rate. The login
// that needs it was let in, so it does not wait: later logins are refused instead.
func (g *Guard) count() {
	if g != nil {
		g.rate.ReserveN(g.opts.Now(), 1)
	}
}

// heard notes what the headers of an answer to a grant say about Auth0's limit; err is what the
// answer means, nil if it has tokens. The limit of one user says nothing about others.
func (g *Guard) heard(c Credentials, header http.Header, err *LoginError) {
	addressTold := c.ClientIP.IsValid()
	if g == nil || err != nil && isOfOneUser(err, addressTold) {
		return
	}
	from, now := originOf(g.seed, c, c.ClientIP), g.opts.Now()
	said := rateLimits(header, now)
	wait := time.Duration(0)
	for _, limit := range said {
		if limit.remaining == 0 && limit.reset <= guardWaitMost {
			wait = max(wait, limit.reset)
		}
	}
	if err != nil && err.Outcome == outcome.Limited {
		wait = min(max(waitAsked(header, now), limitWaitLeast), guardWaitMost)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, limit := range said {
		g.told[name] = limit
	}
	if wait <= 0 {
		clear(g.limited)
		return
	}
	g.limited.add(from, now.Add(wait), now)
	if !g.limited.enough(limitUsers, limitNetworks) {
		return
	}
	if !now.Before(g.until) {
		g.opts.Log.Warn("auth0's rate limit is used up: logins are not verified until it resets", zap.Duration("wait", wait))
	}
	if end := now.Add(wait); end.After(g.until) {
		g.until = end
	}
}

// breaker returns the breaker of a connection.
func (g *Guard) breaker(realm string) *breaker {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.breakers[realm]
	if b == nil {
		log := g.opts.Log.With(zap.String("connection", connectionName(realm)))
		b = newBreaker(g.opts.Now, func(state gobreaker.State) {
			switch state {
			case gobreaker.StateOpen:
				log.Error("auth0 is down: the circuit breaker is open, and logins are not verified", zap.Duration("retry_in", breakerOpenTime))
			case gobreaker.StateHalfOpen:
				log.Info("circuit breaker half-open: one login at a time is verified")
			case gobreaker.StateClosed:
				log.Info("auth0 answers again: the circuit breaker is closed")
			}
		})
		g.breakers[realm] = b
	}
	return b
}

// connectionName is the realm in logs and metrics.
func connectionName(realm string) string {
	if realm == "" {
		return "default_directory"
	}
	return strings.ToValidUTF8(realm, "?")
}
