package upstream

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"ferry/outcome"
)

const (
	// A breaker opens after failures of breakerUsers users in breakerNetworks networks in a row,
	// each at most breakerWindow ago. It counts failures in a row, and not their share: while some
	// logins succeed, an open breaker would keep those users out.
	breakerUsers    = 5
	breakerNetworks = 3
	breakerWindow   = time.Minute
	// breakerOpenTime is how long it stays open before one login at a time finds out whether
	// Auth0 answers again.
	breakerOpenTime = 5 * time.Second
)

// breaker is the circuit breaker of one connection: the custom database or directory behind
// one may be down while the others work. It is safe for concurrent use.
type breaker struct {
	gobreaker *gobreaker.CircuitBreaker[struct{}]
	now       func() time.Time

	mu     sync.Mutex
	failed witnesses // since a login was answered
}

// What a login says about Auth0, for gobreaker. A login without error was answered.
var (
	errOutage  = errors.New("outage")
	errNothing = errors.New("nothing")
)

// newBreaker makes a breaker. changed is called with each new state; it must not call the
// breaker.
func newBreaker(now func() time.Time, changed func(state gobreaker.State)) *breaker {
	return &breaker{now: now, failed: witnesses{}, gobreaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:   1,
		Timeout:       breakerOpenTime,
		ReadyToTrip:   func(gobreaker.Counts) bool { return true }, // weigh has counted
		IsExcluded:    func(err error) bool { return err != nil && !errors.Is(err, errOutage) },
		OnStateChange: func(_ string, _, to gobreaker.State) { changed(to) },
	})}
}

// run verifies a login, unless the breaker refuses it.
func (b *breaker) run(from origin, addressTold bool, verify func() (Profile, error)) (profile Profile, err error) {
	_, refused := b.gobreaker.Execute(func() (struct{}, error) {
		profile, err = verify()
		return struct{}{}, b.weigh(from, addressTold, err)
	})
	switch {
	case errors.Is(refused, gobreaker.ErrOpenState):
		return Profile{}, &LoginError{Outcome: outcome.Unavailable, Reason: ReasonBreakerOpen}
	case errors.Is(refused, gobreaker.ErrTooManyRequests):
		return Profile{}, &LoginError{Outcome: outcome.Unavailable, Reason: ReasonBreakerProbing}
	}
	return profile, err
}

// weigh returns what a login says about Auth0. One failure says nothing: the user's name, the
// password or a script for that user may be the cause. A probe that fails says something only if
// its user and network have not failed before, so that no single user keeps the breaker open.
func (b *breaker) weigh(from origin, addressTold bool, err error) error {
	var loginErr *LoginError
	if err != nil && !errors.As(err, &loginErr) {
		return errNothing
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	is := evidenceOf(loginErr, addressTold)
	switch is {
	case saysNothing:
		return errNothing
	case auth0Answers:
		clear(b.failed)
		return nil
	case unreached, unanswered:
		from.network = from.user // whatever was typed is not the cause
	case badAnswer:
	}
	now := b.now()
	fresh := b.failed.add(from, now.Add(breakerWindow), now)
	probe := b.gobreaker.State() == gobreaker.StateHalfOpen
	if probe && (fresh || is == unreached) || !probe && b.failed.enough(breakerUsers, breakerNetworks) {
		return errOutage
	}
	return errNothing
}

// evidence is what the end of one login says about Auth0.
type evidence int

const (
	saysNothing  evidence = iota // it is about this user, or nothing was sent
	auth0Answers                 // whatever the answer says about the user, or about ferry
	badAnswer                    // an error of Auth0, or an answer that ferry does not understand
	unanswered                   // no answer in time
	unreached                    // no connection
)

// evidenceOf returns what the end of a login says. addressTold says that Auth0 knows the user's
// address, so that its limit of an address is not about all users.
func evidenceOf(e *LoginError, addressTold bool) evidence {
	if e == nil {
		return auth0Answers
	}
	switch e.Outcome {
	case outcome.Mismatch, outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.Throttled, outcome.Suspicious:
		return auth0Answers
	case outcome.Misconfigured:
		// Auth0 works, and says what is wrong: an open breaker would hide it.
		if e.Status == 0 {
			return saysNothing
		}
		return auth0Answers
	case outcome.Limited:
		if isOfOneUser(e, addressTold) {
			return saysNothing
		}
		return badAnswer
	case outcome.InvalidResponse:
		return badAnswer
	case outcome.Unavailable:
		return outageOf(e)
	case outcome.Match, outcome.Locked, outcome.SubjectMismatch, outcome.Unbound, outcome.Inactive, outcome.NotPending, outcome.Oversize, outcome.Closed, outcome.Paused, outcome.Observed:
	}
	return saysNothing
}

// outageOf is evidenceOf for a login for which Auth0 was not available. /userinfo has a limit
// for each user.
func outageOf(e *LoginError) evidence {
	switch reason := strings.TrimPrefix(e.Reason, reasonUserinfo); {
	case Unasked(reason), reason == reasonCallerGone, e.Status == http.StatusTooManyRequests:
		return saysNothing
	case Unsent(reason):
		return unreached
	case reason == ReasonTimeout:
		return unanswered
	}
	return badAnswer
}

// isOfOneUser reports whether a limit concerns one user or one user's address. In doubt it
// concerns all users.
func isOfOneUser(e *LoginError, addressTold bool) bool {
	return e.Outcome == outcome.Throttled || e.Reason == rowLoginRate || e.Reason == rowSuspiciousIP && addressTold
}
