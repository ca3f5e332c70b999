package limit

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"ferry/outcome"
	"ferry/state"
	"ferry/upstream"
)

const (
	// togetherUsers is how many users must be throttled within togetherTime, without an answer
	// about anyone's password in between, for it to be a limit of all of them. One user may be
	// blocked, and two by chance at the same time. Three in a row are not: wherever logins work,
	// the next answer is usually about a password.
	togetherUsers = 3
	togetherTime  = time.Minute
	// maxThrottled is how many throttled logins are remembered.
	maxThrottled = 64
)

// together finds out whether Auth0 throttles an address or the tenant, though it says that it
// throttles a user. It is not safe for concurrent use.
type together struct {
	// sameAddress are the latest throttled logins, but for those from addresses from which a
	// password was answered since. anywhere are those since any password was answered.
	sameAddress, anywhere []throttled
}

type throttled struct {
	at            time.Time
	user, address string
}

// aboutPassword are the outcomes for which Auth0 has looked at the password of a user.
func aboutPassword() []outcome.Outcome {
	return []outcome.Outcome{outcome.Match, outcome.Mismatch, outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked}
}

// note notes an outcome of Auth0. It returns how many users have been throttled together; 0
// unless this one was.
func (t *together) note(o outcome.Outcome, k state.FailedLogin, now time.Time) int {
	if slices.Contains(aboutPassword(), o) {
		t.anywhere = nil
		t.sameAddress = slices.DeleteFunc(t.sameAddress, func(e throttled) bool { return e.address == k.Address })
	}
	if o != outcome.Throttled {
		return 0
	}
	event := throttled{now, k.User, k.Address}
	t.sameAddress, t.anywhere = appended(t.sameAddress, event), appended(t.anywhere, event)
	here := slices.DeleteFunc(slices.Clone(t.sameAddress), func(e throttled) bool { return e.address != k.Address })
	return max(users(here), users(t.anywhere))
}

// appended drops what is old, and appends an event.
func appended(events []throttled, event throttled) []throttled {
	events = slices.DeleteFunc(events, func(e throttled) bool { return event.at.Sub(e.at) >= togetherTime })
	if len(events) >= maxThrottled {
		events = slices.Delete(events, 0, 1)
	}
	return append(events, event)
}

func users(events []throttled) int {
	seen := map[string]bool{}
	for _, e := range events {
		seen[e.user] = true
	}
	return len(seen)
}

// throttledTogether is the refusal of a user whom Auth0 throttles together with others.
func (l *Limits) throttledTogether(answer *upstream.LoginError, users int) error {
	l.metrics.together.Inc()
	l.opts.Log.Error("several users throttled within a minute: Auth0 limits ferry's address or the tenant, not these users", zap.Int("users", users))
	return &upstream.LoginError{Outcome: outcome.Limited, Status: answer.Status, Code: answer.Code, Reason: ReasonTogether}
}
