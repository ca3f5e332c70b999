package hook

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"ferry/outcome"
	"ferry/upstream"
)

const (
	recallPoll = 50 * time.Millisecond
	recallMost = 25 * time.Second // Kratos has given up by then
)

// Deliveries keeps the outcomes of deliveries for all replicas.
type Deliveries interface {
	// HashKey is the same on every replica.
	HashKey() [32]byte
	Recall(ctx context.Context, key [32]byte) (answer []byte, ok bool, err error)
	Remember(ctx context.Context, key [32]byte, answer []byte, ttl time.Duration) error
	Claim(ctx context.Context, key [32]byte, ttl time.Duration) (won bool, err error)
	// Unclaim gives up a claim that was won.
	Unclaim(ctx context.Context, key [32]byte) error
}

// sharedDeliveries makes sure that a delivery which Kratos repeats costs no second
// attempt, whichever replica it reaches.
type sharedDeliveries struct {
	store Deliveries
	// claimFor is how long one replica may hold a claim: a little longer than a
	// verification at Auth0 may take.
	claimFor time.Duration
	metrics  *metrics
	now      func() time.Time
}

// deliveryAnswer is the stored result of a verification.
type deliveryAnswer struct {
	// Arrived is when the first delivery did.
	Arrived    time.Time            `json:"arrived"`
	Profile    *upstream.Profile    `json:"profile,omitempty"`
	LoginError *upstream.LoginError `json:"refusal,omitempty"`
}

// verify verifies the credentials, unless another replica has done so or is doing so. It
// also returns when the first delivery arrived, at whichever replica. If the store does
// not answer, the login goes on without it.
func (s *sharedDeliveries) verify(ctx context.Context, auth0 verifier, l login, d *delivery) (upstream.Profile, time.Time, error) {
	tick := time.NewTicker(recallPoll)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, recallMost)
	defer cancel()
	for {
		// The answer outlives the claim, so it is looked up first.
		text, ok, err := s.store.Recall(ctx, d.shared)
		if err != nil {
			s.metrics.stateFault("recall")
		}
		if ok {
			return decodeAnswer(text)
		}
		won, err := s.store.Claim(ctx, d.shared, s.claimFor)
		if err != nil {
			s.metrics.stateFault("claim")
		}
		if won || err != nil {
			profile, err := auth0.Verify(ctx, l.credentials)
			s.remember(ctx, d, profile, err)
			return profile, d.arrived, err
		}
		// Another replica is verifying. If it has died, its claim ends soon.
		select {
		case <-tick.C:
		case <-ctx.Done():
			return upstream.Profile{}, d.arrived, &upstream.LoginError{Outcome: outcome.Unavailable, Reason: "first_delivery_unanswered"}
		}
	}
}

// join claims a delivery that shares the attempt of another one, so that no other
// replica verifies it. A nil s does nothing, here and in tell.
func (s *sharedDeliveries) join(ctx context.Context, d *delivery) {
	if s == nil {
		return
	}
	if _, err := s.store.Claim(ctx, d.shared, s.claimFor); err != nil {
		s.metrics.stateFault("claim")
	}
}

// tell stores the outcome for the deliveries that shared the attempt. The attempt has
// ended, so no more of them join.
func (s *sharedDeliveries) tell(ctx context.Context, at *attempt) {
	if s == nil {
		return
	}
	for _, d := range at.deliveries[1:] {
		s.remember(ctx, d, at.profile, at.err)
	}
}

// remember stores the outcome for a repeated delivery, or lets the next one verify.
func (s *sharedDeliveries) remember(ctx context.Context, d *delivery, profile upstream.Profile, err error) {
	answer, lasts := deliveryAnswer{Arrived: d.arrived}, d.ends().Sub(s.now())
	if err == nil {
		answer.Profile = &profile
	} else if !errors.As(err, &answer.LoginError) {
		lasts = 0
	}
	if !d.keeps(err) || lasts <= 0 {
		if s.store.Unclaim(ctx, d.shared) != nil {
			s.metrics.stateFault("unclaim")
		}
		return
	}
	text, jsonErr := json.Marshal(answer)
	if jsonErr != nil || s.store.Remember(ctx, d.shared, text, lasts) != nil {
		s.metrics.stateFault("remember")
	}
}

// key is the same on every replica.
func (s *sharedDeliveries) key(l login) attemptKey {
	hashKey := s.store.HashKey()
	same := l.hash(hashKey[:])
	if l.delivery == "" {
		return same
	}
	return named(hashKey[:], same, l.delivery)
}

func decodeAnswer(text []byte) (upstream.Profile, time.Time, error) {
	var answer deliveryAnswer
	switch {
	case json.Unmarshal(text, &answer) != nil:
	case answer.LoginError != nil:
		return upstream.Profile{}, answer.Arrived, answer.LoginError
	case answer.Profile != nil && answer.Profile.Subject != "":
		return *answer.Profile, answer.Arrived, nil
	}
	return upstream.Profile{}, answer.Arrived, &upstream.LoginError{Outcome: outcome.InvalidResponse, Reason: "state_garbled"}
}
