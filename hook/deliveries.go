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

// Deliveries keeps the answers to deliveries for all replicas.
type Deliveries interface {
	// HashKey is the same on every replica.
	HashKey() [32]byte
	Recall(ctx context.Context, key [32]byte) (answer []byte, ok bool, err error)
	Remember(ctx context.Context, key [32]byte, answer []byte) error
	Claim(ctx context.Context, key [32]byte, ttl time.Duration) (won bool, err error)
}

// sharedDeliveries sees to it that a delivery which Kratos makes again costs no
// second attempt, whichever replica it reaches.
type sharedDeliveries struct {
	store Deliveries
	// claimFor is how long one replica may ask for the others: a little longer than
	// Auth0 may take.
	claimFor time.Duration
	metrics  *metrics
}

// deliveryAnswer is what came of a question, as it is kept.
type deliveryAnswer struct {
	Profile *upstream.Profile `json:"profile,omitempty"`
	Refusal *upstream.Refusal `json:"refusal,omitempty"`
}

// ask puts the question, unless another replica has, or is just doing it. A store
// that does not answer keeps nobody out.
func (s *sharedDeliveries) ask(ctx context.Context, auth0 verifier, l login) (upstream.Profile, error) {
	hashKey := s.store.HashKey()
	key := [32]byte(l.deliveryHash(hashKey[:]))
	tick := time.NewTicker(recallPoll)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, recallMost)
	defer cancel()
	for {
		// The answer is there for longer than the claim: it comes first.
		text, ok, err := s.store.Recall(ctx, key)
		if err != nil {
			s.metrics.stateFault("recall")
		}
		if ok {
			return decodeAnswer(text)
		}
		won, err := s.store.Claim(ctx, key, s.claimFor)
		if err != nil {
			s.metrics.stateFault("claim")
		}
		if won || err != nil {
			return s.first(ctx, key, auth0, l)
		}
		// Another replica asks. If it died meanwhile, its claim ends soon.
		select {
		case <-tick.C:
		case <-ctx.Done():
			return upstream.Profile{}, &upstream.Refusal{Outcome: outcome.Unavailable, Reason: "first_delivery_unanswered"}
		}
	}
}

// first asks, and leaves the answer to whoever gets the delivery again.
func (s *sharedDeliveries) first(ctx context.Context, key [32]byte, auth0 verifier, l login) (upstream.Profile, error) {
	profile, err := auth0.Ask(ctx, l.question)
	answer := deliveryAnswer{Profile: &profile}
	if err != nil {
		var refusal *upstream.Refusal
		if !errors.As(err, &refusal) {
			return profile, err
		}
		answer = deliveryAnswer{Refusal: refusal}
	}
	text, jsonErr := json.Marshal(answer)
	if jsonErr != nil || s.store.Remember(ctx, key, text) != nil {
		s.metrics.stateFault("remember")
	}
	return profile, err
}

func decodeAnswer(text []byte) (upstream.Profile, error) {
	var answer deliveryAnswer
	switch {
	case json.Unmarshal(text, &answer) != nil:
	case answer.Refusal != nil:
		return upstream.Profile{}, answer.Refusal
	case answer.Profile != nil && answer.Profile.Subject != "":
		return *answer.Profile, nil
	}
	return upstream.Profile{}, &upstream.Refusal{Outcome: outcome.Garbled, Reason: "state_garbled"}
}
