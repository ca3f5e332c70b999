package limit_test

import (
	"fmt"
	"testing"
	"time"

	"ferry/outcome"
)

// TestThrottledTogether: users whom Auth0 throttles one after the other are not at fault.
func TestThrottledTogether(t *testing.T) {
	type step struct {
		user, address string
		auth0, want   outcome.Outcome
		after         time.Duration
	}
	throttled := func(user int, address string, want outcome.Outcome) step {
		return step{user: fmt.Sprint("user ", user), address: address, auth0: outcome.Throttled, want: want}
	}
	answered := func(address string, o outcome.Outcome) step {
		return step{user: "other", address: address, auth0: o, want: o}
	}
	later := func(s step, by time.Duration) step { s.after = by; return s }
	for name, steps := range map[string][]step{
		"the third user": {
			throttled(1, home, outcome.Throttled), throttled(2, home, outcome.Throttled), throttled(3, home, outcome.Limited), throttled(1, home, outcome.Limited),
		},
		"from ferry's own address": {throttled(1, "", outcome.Throttled), throttled(2, "", outcome.Throttled), throttled(3, "", outcome.Limited)},
		"one user again and again": {
			throttled(1, home, outcome.Throttled), throttled(1, home, outcome.Throttled), throttled(1, home, outcome.Throttled), throttled(1, office, outcome.Throttled),
		},
		"not within a minute": {
			throttled(1, home, outcome.Throttled), throttled(2, home, outcome.Throttled), later(throttled(3, home, outcome.Throttled), time.Minute),
		},
		"a password was answered": {
			throttled(1, home, outcome.Throttled), throttled(2, home, outcome.Throttled), answered(home, outcome.Mismatch), throttled(3, home, outcome.Throttled),
		},
		"a password from elsewhere was answered": {
			throttled(1, home, outcome.Throttled), throttled(2, home, outcome.Throttled), answered(office, outcome.Match), throttled(3, home, outcome.Limited),
		},
		"every address": {throttled(1, home, outcome.Throttled), throttled(2, office, outcome.Throttled), throttled(3, "192.0.2.1", outcome.Limited)},
		"every address, but one": {
			throttled(1, home, outcome.Throttled), throttled(2, office, outcome.Throttled), answered("192.0.2.9", outcome.Match), throttled(3, "192.0.2.1", outcome.Throttled),
		},
		"an outage says nothing": {
			throttled(1, home, outcome.Throttled), answered(home, outcome.Unavailable), throttled(2, home, outcome.Throttled), throttled(3, home, outcome.Limited),
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			limited := 0
			for i, s := range steps {
				r.clock.advance(s.after)
				if got, reason := r.login(t, loginOf(s.user, s.address), s.auth0); got != s.want {
					t.Fatalf("step %d: %s (%s), want %s", i, got, reason, s.want)
				}
				if s.want == outcome.Limited {
					limited++
				}
			}
			if n := sample(t, r.registry, "ferry_throttled_together_total", ""); n != float64(limited) {
				t.Errorf("counted %v, want %d", n, limited)
			}
			if n := r.log.FilterMessageSnippet("several users throttled").Len(); n != limited {
				t.Errorf("%d log lines, want %d", n, limited)
			}
		})
	}
}
