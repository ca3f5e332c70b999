package auth0sim

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// blockLife is how long a brute-force block lasts after the last failure.
const blockLife = 30 * 24 * time.Hour

// limits is the state of attack protection and rate limits.
type limits struct {
	now func() time.Time

	mu       sync.Mutex
	failures map[failureKey]*failureCount
	buckets  map[string]*bucket
}

// failureKey is the key of brute-force counters. ip is zero if all addresses count
// together.
type failureKey struct {
	connection, identifier string
	ip                     netip.Addr
}

// failureCount is failures in a row.
type failureCount struct {
	count int
	last  time.Time
}

// limitKeys are the keys of the limits that one login counts against.
type limitKeys struct {
	failure failureKey // with the address
	address string
	user    string
}

func newLimits(now func() time.Time) *limits {
	l := &limits{now: now}
	l.reset()
	return l
}

func (l *limits) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = map[failureKey]*failureCount{}
	l.buckets = map[string]*bucket{}
}

// limitKeys returns the keys of the limits that the attempt counts against.
func (a *attempt) limitKeys() limitKeys {
	identifier := a.conn.fold(a.req.param("username"))
	user := a.conn.Name + "\x00" + identifier
	if a.login != nil {
		user = a.login.account.user.ID
	}
	return limitKeys{
		failure: failureKey{connection: a.conn.Name, identifier: identifier, ip: a.ip},
		address: "address " + a.ip.String(),
		user:    "user " + user + " " + a.ip.String(),
	}
}

// in is the key for a mode of counting.
func (k failureKey) in(mode BruteForce) failureKey {
	if mode.PerIdentifier {
		k.ip = netip.Addr{}
	}
	return k
}

// checkLimits refuses a login before its password is looked at.
func (s *Server) checkLimits(a *attempt) (response, bool) {
	if s.Settings().BotDetection {
		return s.refuse(AnswerRequiresVerification), false
	}
	if name := s.overLimits(a); name != "" {
		return s.refuse(name), false
	}
	return response{}, true
}

// overLimits returns the answer to a login that is over a limit, or "".
func (s *Server) overLimits(a *attempt) AnswerName {
	settings := s.Settings()
	switch {
	case s.limits.addressBlocked(a, settings.SuspiciousIP):
		return AnswerSuspiciousIP
	case s.limits.identifierBlocked(a, settings.BruteForce):
		return AnswerBruteForce
	case s.limits.tooManyLogins(a, settings.SameUser):
		return AnswerTooManyLogins
	}
	return ""
}

// addressBlocked reports whether the address has used up its failures.
func (l *limits) addressBlocked(a *attempt, rule SuspiciousIP) bool {
	if !rule.Enabled || allowlisted(a.ip, rule.Allowlist) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.addressBucket(a, rule).has(l.now())
}

func (l *limits) addressBucket(a *attempt, rule SuspiciousIP) *bucket {
	return l.bucket(a.limits.address, rule.MaxAttempts, time.Duration(rule.RateMillis)*time.Millisecond)
}

// identifierBlocked reports whether the identifier has failed too often.
func (l *limits) identifierBlocked(a *attempt, rule BruteForce) bool {
	if !rule.Enabled || allowlisted(a.ip, rule.Allowlist) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.failures[a.limits.failure.in(rule)]
	return ok && f.count >= rule.MaxAttempts && l.now().Sub(f.last) < blockLife
}

// tooManyLogins counts a login and reports whether it exceeds the limit.
func (l *limits) tooManyLogins(a *attempt, rule Limit) bool {
	if !rule.Enabled {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.bucket(a.limits.user, rule.Burst, perMinute(rule.PerMinute)).take(l.now())
}

// failed counts wrong credentials.
func (l *limits) failed(a *attempt, settings Settings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if rule := settings.SuspiciousIP; rule.Enabled && !allowlisted(a.ip, rule.Allowlist) {
		l.addressBucket(a, rule).take(now)
	}
	if rule := settings.BruteForce; rule.Enabled && !allowlisted(a.ip, rule.Allowlist) {
		key := a.limits.failure.in(rule)
		f, ok := l.failures[key]
		if !ok || now.Sub(f.last) >= blockLife {
			f = &failureCount{}
			l.failures[key] = f
		}
		f.count++
		f.last = now
	}
}

// succeeded resets the failure counter: the password was right.
func (l *limits) succeeded(a *attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failures, a.limits.failure)
	delete(l.failures, a.limits.failure.in(BruteForce{PerIdentifier: true}))
}

// unblock lifts the brute-force blocks of everything a user can log in with.
func (s *Server) unblock(u User) {
	s.limits.forget(u.owns)
}

// owns reports whether failures counted under the key are about one of the user's logins.
func (u User) owns(key failureKey) bool {
	own := Identity{Connection: u.Connection, Email: u.Email, Username: u.Username, Phone: u.Phone}
	for _, identity := range append([]Identity{own}, u.Identities...) {
		if key.connection == identity.Connection && identity.answersTo(key.identifier) {
			return true
		}
	}
	return false
}

// answersTo reports whether the identity can log in under an identifier.
func (i Identity) answersTo(identifier string) bool {
	return identifier != "" && (strings.EqualFold(identifier, i.Email) ||
		strings.EqualFold(identifier, i.Username) || identifier == i.Phone)
}

func allowlisted(ip netip.Addr, list []string) bool {
	for _, entry := range list {
		if prefix, err := parsePrefix(entry); err == nil && prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// limited does the work within a limit, counted under a name; beyond it, it answers
// with the refusal.
func (s *Server) limited(name string, limit Limit, refusal AnswerName, work func() response) response {
	if !limit.Enabled {
		return work()
	}
	state := s.limits.spend(name, limit)
	var resp response
	if state.ok {
		resp = work()
	} else {
		resp = s.refuse(refusal)
	}
	state.writeTo(resp.header)
	return resp
}

// limitState is the content of the x-ratelimit headers.
type limitState struct {
	ok               bool
	limit, remaining int
	reset            time.Time
}

func (st limitState) writeTo(header http.Header) {
	header.Set("X-Ratelimit-Limit", strconv.Itoa(st.limit))
	header.Set("X-Ratelimit-Remaining", strconv.Itoa(st.remaining))
	header.Set("X-Ratelimit-Reset", strconv.FormatInt(st.reset.Unix(), 10))
}

// spend takes one from a named bucket.
func (l *limits) spend(name string, limit Limit) limitState {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.bucket(name, limit.Burst, perMinute(limit.PerMinute))
	ok := b.take(now)
	return limitState{
		ok: ok, limit: limit.Burst, remaining: int(b.tokens),
		reset: now.Add(max(time.Second, time.Duration((b.burst-b.tokens)*float64(b.every)))),
	}
}

// bucket finds or makes a bucket. The caller holds the lock.
func (l *limits) bucket(name string, burst int, every time.Duration) *bucket {
	b, ok := l.buckets[name]
	if !ok {
		b = &bucket{tokens: float64(burst), at: l.now()}
		l.buckets[name] = b
	}
	b.burst, b.every = float64(burst), every
	b.tokens = math.Min(b.tokens, b.burst)
	return b
}

// bucket is a token bucket.
type bucket struct {
	burst  float64
	every  time.Duration // the time to refill one token
	tokens float64
	at     time.Time
}

func (b *bucket) refill(now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = math.Min(b.burst, b.tokens+float64(passed)/float64(b.every))
	}
	b.at = now
}

func (b *bucket) has(now time.Time) bool {
	b.refill(now)
	return b.tokens >= 1
}

func (b *bucket) take(now time.Time) bool {
	if !b.has(now) {
		return false
	}
	b.tokens--
	return true
}

func perMinute(n int) time.Duration { return time.Minute / time.Duration(n) }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
