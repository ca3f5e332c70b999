package attempt_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ferry/attempt"
	"ferry/outcome"
	"ferry/secret"
	"ferry/state"
	"ferry/upstream"
)

// strict are limits that admit so many logins, and note how each ended.
type strict struct {
	mu       sync.Mutex
	admits   int
	admitted int
	settled  []outcome.Outcome
}

func (s *strict) Admit(context.Context, attempt.Login) (settle func(context.Context, error) error, refusal *upstream.LoginError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admitted >= s.admits {
		return nil, &upstream.LoginError{Outcome: outcome.Locked, Reason: "strict"}
	}
	s.admitted++
	return func(_ context.Context, err error) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settled = append(s.settled, outcomeOf(err))
		if outcomeOf(err) == outcome.Throttled {
			return &upstream.LoginError{Outcome: outcome.Limited, Reason: "replaced"}
		}
		return err
	}, nil
}

func outcomeOf(err error) outcome.Outcome {
	var e *upstream.LoginError
	if errors.As(err, &e) {
		return e.Outcome
	}
	return outcome.Match
}

// answering is an Auth0 that answers by the password, and panics at one.
type answering struct{ counting }

func (a *answering) Verify(ctx context.Context, c upstream.Credentials) (upstream.Profile, error) {
	switch c.Password.Reveal() {
	case "right":
		return a.counting.Verify(ctx, c)
	case "throttled":
		a.asked.Add(1)
		return upstream.Profile{}, &upstream.LoginError{Outcome: outcome.Throttled}
	case "panic":
		a.asked.Add(1)
		panic("canary")
	}
	a.asked.Add(1)
	return upstream.Profile{}, &upstream.LoginError{Outcome: outcome.Mismatch}
}

// TestLimits: limits are asked only where Auth0 would be. They hear how the login ended, and
// may change it.
func TestLimits(t *testing.T) {
	limits, auth0 := &strict{admits: 4}, &answering{}
	store := state.NewMemory(state.Options{})
	a := attempt.New(attempt.Options{
		Verifier: auth0, Store: store, Limits: limits, ClaimFor: time.Minute, Now: time.Now,
		StateFault: func(operation string) { t.Error("fault: ", operation) }, Panicked: func(any) {},
	})
	login := func(password, delivery string) attempt.Login {
		return attempt.Login{
			IdentityID: "id-1", IP: netip.MustParseAddr("198.51.100.1"), Delivery: delivery, Arrived: time.Now(),
			Credentials: upstream.Credentials{Username: "ada", Password: secret.New(password)},
		}
	}
	step := func(password, delivery string, want outcome.Outcome, asked bool) {
		t.Helper()
		got, err := a.Verify(t.Context(), login(password, delivery))
		if outcomeOf(err) != want || got.Asked != asked {
			t.Fatalf("%s %s: %v, asked %v; want %s", password, delivery, err, got.Asked, want)
		}
	}
	step("wrong", "t-1", outcome.Mismatch, true)
	step("wrong", "t-1", outcome.Mismatch, false) // again
	step("throttled", "t-2", outcome.Limited, true)
	step("throttled", "t-2", outcome.Limited, false)
	step("panic", "t-3", outcome.InvalidResponse, false)
	step("wrong", "", outcome.Mismatch, true)
	step("wrong", "", outcome.Mismatch, false) // Kratos 1.3.1 names no delivery
	step("wrong", "t-4", outcome.Locked, false)
	limits.admits++
	step("wrong", "t-4", outcome.Locked, false) // a repeated delivery gets the first result
	if err := a.Keep(t.Context(), login("right", ""), upstream.Profile{Subject: "auth0|ada"}); err != nil {
		t.Fatal(err)
	}
	step("right", "t-5", outcome.Match, false)
	step("right", "t-6", outcome.Match, true)
	want := []outcome.Outcome{outcome.Mismatch, outcome.Throttled, outcome.InvalidResponse, outcome.Mismatch, outcome.Match}
	if limits.admitted != len(want) || int(auth0.asked.Load()) != len(want) || len(limits.settled) != len(want) {
		t.Fatalf("admitted %d, asked %d, settled %v", limits.admitted, auth0.asked.Load(), limits.settled)
	}
	for i, o := range want {
		if limits.settled[i] != o {
			t.Errorf("login %d settled as %s, want %s", i, limits.settled[i], o)
		}
	}
}
