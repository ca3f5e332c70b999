// Package limit limits the failed logins that ferry lets reach Auth0. Auth0 counts failed
// logins too, and blocks users and addresses: ferry stops one step earlier.
//
//	a user from one address   below Auth0's brute-force threshold, until a success, for 30 days
//	a user from anywhere      so many a day
//	an address                below Auth0's suspicious-IP throttling, for all users
//
// The address is the one that Auth0 counts by: the user's, or ferry's own where Auth0 is not
// told the user's. Only a mismatch counts. Parallel logins do not pass a limit of a user together:
// one that could waits until enough of the others have ended.
//
// Everything is counted in this process, in bounded memory, and, where several replicas share
// a Redis, there as well; the stricter count decides. While Redis is down, each process limits
// by its own counts.
package limit

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/attempt"
	"ferry/clientip"
	"ferry/identifier"
	"ferry/outcome"
	"ferry/state"
	"ferry/upstream"
)

const (
	// pairLife is how long Auth0 remembers the failed logins of a user from one address, after
	// the last one.
	pairLife = 30 * 24 * time.Hour
	day      = 24 * time.Hour
	// warnPercent and stopPercent of what Auth0 lets one address fail: ferry warns, and stops.
	// The rest is for failed logins that do not pass ferry, and for those in flight.
	warnPercent = 80
	stopPercent = 95

	// TurnTime is how long a login waits at most for others of the same user, which are in flight
	// and could reach a limit with it.
	TurnTime = 2 * time.Second
	turnPoll = 50 * time.Millisecond
)

// The reasons of a refusal, as in the log.
const (
	ReasonUserAddress = "limit_user_address"
	ReasonUser        = "limit_user"
	ReasonAddress     = "limit_address"
	ReasonOwnAddress  = "limit_own_address"
	ReasonInFlight    = "limit_in_flight"
	ReasonTogether    = "throttled_together"
)

// Shared counts for all replicas. Package state says what each method does.
type Shared interface {
	Take(ctx context.Context, login state.FailedLogin, rules state.FailedLoginRules) (state.FailedLoginCount, error)
	Settle(ctx context.Context, login state.FailedLogin, rules state.FailedLoginRules, result state.FailedLoginResult) (state.FailedLoginCount, error)
}

// Options configure Limits. InFlight, Log, Hash, Metrics and Now are required.
type Options struct {
	// BruteForce is the threshold of Auth0's brute-force protection: ferry stops after one
	// failed login less. 0: no limit.
	BruteForce int
	// PerUser is how many failed logins a day one user may have, from all addresses. 0: no
	// limit.
	PerUser int
	// SuspiciousIP is how many failed logins a day Auth0's suspicious-IP throttling lets one
	// address have: ferry stops at 95 % of them. 0: no limit.
	SuspiciousIP int
	// InFlight is how long Auth0's answer to a login may take. Where logins are counted in Redis,
	// one that takes longer counts no longer, for its process may have died.
	InFlight time.Duration
	// Shared counts for all replicas; nil: this process counts alone.
	Shared Shared
	// File keeps the failed logins from ferry's own address over a restart; empty: a restart
	// forgets them.
	File string

	Log *zap.Logger
	// Hash stands for an identifier in the log.
	Hash    func(string) string
	Metrics prometheus.Registerer
	// Now is the clock.
	Now func() time.Time
}

// Limits implement attempt.Limits. They are safe for concurrent use.
type Limits struct {
	opts    Options
	rules   state.FailedLoginRules
	warnAt  int
	metrics *metrics
	file    *file

	mu       sync.Mutex
	counts   *counts
	inFlight flying // logins by the address that Auth0 counts by
	own      ownLevel
	together together
}

// New makes Limits; the error names what is missing, or the file that cannot be read.
func New(opts Options) (*Limits, error) {
	if opts.InFlight <= 0 || opts.Log == nil || opts.Hash == nil || opts.Metrics == nil || opts.Now == nil {
		return nil, errors.New("limit: the time of a login, log, hash, metrics and clock are required")
	}
	l := &Limits{opts: opts, rules: rules(opts), warnAt: opts.SuspiciousIP * warnPercent / 100, counts: newCounts(maxRecords), inFlight: flying{}}
	if opts.File != "" && opts.Shared == nil {
		l.file = &file{path: opts.File}
		var err error
		if l.counts.own.until, err = l.file.read(opts.Now(), opts.Log); err != nil {
			return nil, err
		}
	}
	var err error
	l.metrics, err = newMetrics(opts.Metrics, l)
	return l, err
}

// rules are the limits in numbers.
func rules(opts Options) state.FailedLoginRules {
	r := state.FailedLoginRules{PairLife: pairLife, User: opts.PerUser, InFlight: opts.InFlight}
	if opts.BruteForce > 0 {
		r.Pair = max(opts.BruteForce-1, 1)
	}
	if opts.PerUser > 0 {
		r.UserEvery = day / time.Duration(opts.PerUser)
	}
	if opts.SuspiciousIP > 0 {
		r.Address = max(opts.SuspiciousIP*stopPercent/100, 1)
		r.AddressEvery = day / time.Duration(opts.SuspiciousIP)
	}
	return r
}

// ownAddress stands for the address from which ferry reaches Auth0.
const ownAddress = "own"

// keysOf are what a login counts against: the identity, or the identifier of a user whom Kratos
// does not have, and the address that Auth0 counts by.
func keysOf(login attempt.Login) state.FailedLogin {
	k := state.FailedLogin{Login: rand.Text(), User: UserKey(login.IdentityID, login.Credentials.Username), Address: AddressKey(login.Credentials.ClientIP)}
	k.Pair = k.User + " " + k.Address
	return k
}

// UserKey is the key of a user: the identity, or, if it is empty, the identifier.
func UserKey(identityID, username string) string {
	if identityID != "" {
		return "identity " + identityID
	}
	return "identifier " + identifier.Normalize(username)
}

// AddressKey is the key of the address that is sent to Auth0; the zero value is ferry's own.
func AddressKey(sent netip.Addr) string {
	if !sent.IsValid() {
		return ownAddress
	}
	return clientip.Key(sent)
}

// Admit implements attempt.Limits.
func (l *Limits) Admit(ctx context.Context, login attempt.Login) (settle func(ctx context.Context, err error) error, refusal *upstream.LoginError) {
	keys := keysOf(login)
	shared, refused := l.take(ctx, keys)
	for turn := l.opts.Now().Add(TurnTime); refused == state.RefusedInFlight && l.opts.Now().Before(turn) && wait(ctx, turnPoll); {
		shared, refused = l.take(ctx, keys)
	}
	if refused != state.NotRefused {
		return nil, l.refuse(keys, refused)
	}
	return func(ctx context.Context, err error) error { return l.settle(ctx, login, keys, shared, err) }, nil
}

// wait is false if ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take notes that the login is in flight, unless a limit refuses it. shared is true if Shared
// has noted it.
func (l *Limits) take(ctx context.Context, keys state.FailedLogin) (shared bool, refused state.FailedLoginRefusal) {
	l.mu.Lock()
	own := l.counts.take(keys, l.rules, l.opts.Now())
	if own.Refused == state.NotRefused {
		l.inFlight[keys.Address]++
	}
	// Whatever is not in flight now is in the counts that are read next.
	inFlight := l.inFlight[keys.Address]
	l.mu.Unlock()
	if own.Refused == state.RefusedInFlight {
		return false, own.Refused // logins that wait do not ask Redis again and again
	}
	count, shared := l.takeShared(ctx, keys)
	switch {
	case count.Refused != state.NotRefused:
		refused = count.Refused
	case own.Refused != state.NotRefused:
		refused = own.Refused
	case l.crowded(inFlight, stricter(own, count)):
		refused = state.RefusedAddress
	default:
		return shared, state.NotRefused
	}
	if own.Refused == state.NotRefused {
		l.mu.Lock()
		l.counts.settle(keys, l.rules, state.NotFailed, l.opts.Now())
		l.inFlight.land(keys.Address)
		l.mu.Unlock()
	}
	if count.Refused == state.NotRefused {
		l.settleShared(ctx, keys, state.NotFailed, shared)
	}
	return false, refused
}

// takeShared notes the login at Shared. taken is false if that is not known.
func (l *Limits) takeShared(ctx context.Context, keys state.FailedLogin) (count state.FailedLoginCount, taken bool) {
	if l.opts.Shared == nil {
		return count, false
	}
	count, err := l.opts.Shared.Take(ctx, keys, l.rules)
	if err != nil {
		l.metrics.faults.WithLabelValues("take").Inc()
		return state.FailedLoginCount{}, false
	}
	if keys.Address == ownAddress {
		l.raiseOwn(count.Address)
	}
	return count, true
}

// settleShared ends a login at Shared, unless there is nothing to count and nothing in flight.
func (l *Limits) settleShared(ctx context.Context, keys state.FailedLogin, result state.FailedLoginResult, taken bool) (count state.FailedLoginCount) {
	if l.opts.Shared == nil || !taken && result == state.NotFailed {
		return count
	}
	count, err := l.opts.Shared.Settle(ctx, keys, l.rules, result)
	if err != nil {
		l.metrics.faults.WithLabelValues("settle").Inc()
	}
	return count
}

// stricter is the higher of two counts.
func stricter(a, b state.FailedLoginCount) state.FailedLoginCount {
	return state.FailedLoginCount{Pair: max(a.Pair, b.Pair), Address: max(a.Address, b.Address)}
}

// crowded reports whether the logins in flight, this one included, could take the address over
// its limit. Below the warning they do not count: those of a burst are usually right.
func (l *Limits) crowded(inFlight int, count state.FailedLoginCount) bool {
	failed := int(math.Ceil(count.Address))
	return l.rules.Address > 0 && failed >= l.warnAt && failed+inFlight > l.rules.Address
}

// refuse is the refusal of a login.
func (l *Limits) refuse(keys state.FailedLogin, by state.FailedLoginRefusal) *upstream.LoginError {
	e := &upstream.LoginError{Outcome: outcome.Locked, Reason: ReasonUserAddress}
	switch {
	case by == state.RefusedUser:
		e.Reason = ReasonUser
	case by == state.RefusedInFlight: // whether the password is right is not known yet
		e.Outcome, e.Reason = outcome.Limited, ReasonInFlight
	case by == state.RefusedAddress && keys.Address == ownAddress:
		e.Outcome, e.Reason = outcome.Limited, ReasonOwnAddress
	case by == state.RefusedAddress:
		e.Outcome, e.Reason = outcome.Limited, ReasonAddress
	}
	l.metrics.refused.WithLabelValues(e.Reason).Inc()
	return e
}

// settle counts what Auth0 answered, and returns the error to use.
func (l *Limits) settle(ctx context.Context, login attempt.Login, keys state.FailedLogin, shared bool, err error) error {
	answered := outcome.Match
	var fault *upstream.LoginError
	if err != nil {
		answered = outcome.InvalidResponse
	}
	if errors.As(err, &fault) {
		answered = fault.Outcome
	}
	result := resultOf(answered)
	now := l.opts.Now()
	l.mu.Lock()
	count := l.counts.settle(keys, l.rules, result, now)
	users := l.together.note(answered, keys, now)
	l.mu.Unlock()
	count = stricter(count, l.settleShared(ctx, keys, result, shared))
	l.mu.Lock()
	l.inFlight.land(keys.Address) // now that Redis has it, too
	l.mu.Unlock()
	if result == state.Failed {
		l.failed(login, keys, count)
	}
	if users >= togetherUsers {
		return l.throttledTogether(fault, users)
	}
	return err
}

// resultOf says what an outcome counts as.
func resultOf(o outcome.Outcome) state.FailedLoginResult {
	switch o {
	case outcome.Match:
		return state.Succeeded
	case outcome.Mismatch:
		return state.Failed
	case outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.Throttled, outcome.Locked,
		outcome.SubjectMismatch, outcome.Unbound, outcome.Inactive, outcome.NotPending, outcome.Oversize, outcome.Closed, outcome.Paused, outcome.Observed,
		outcome.Suspicious, outcome.Limited, outcome.Unavailable, outcome.Misconfigured, outcome.InvalidResponse:
	}
	return state.NotFailed
}

// failed logs what a failed login used up.
func (l *Limits) failed(login attempt.Login, keys state.FailedLogin, count state.FailedLoginCount) {
	if l.rules.Pair > 0 && count.Pair == l.rules.Pair {
		l.opts.Log.Warn("attempt limit reached: Auth0 is not asked about this user from this address any more, because one more wrong password would make Auth0 block the user; the user can recover the account at Kratos",
			zap.String("identity_id", login.IdentityID), zap.String("identifier_hash", l.opts.Hash(identifier.Normalize(login.Credentials.Username))), zap.Int("wrong_passwords", count.Pair))
	}
	if keys.Address == ownAddress {
		l.ownFailed(count.Address)
	}
}
