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
	key := s.key(l)
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
func (s *sharedDeliveries) first(ctx context.Context, key attemptKey, auth0 verifier, l login) (upstream.Profile, error) {
	profile, err := auth0.Ask(ctx, l.question)
	s.remember(ctx, key, profile, err)
	return profile, err
}

// join claims a delivery that shares the question of another one, so that no replica
// asks for it meanwhile. A nil s does nothing, here and in tell.
func (s *sharedDeliveries) join(ctx context.Context, l login) {
	if s == nil || l.delivery == "" {
		return
	}
	if _, err := s.store.Claim(ctx, s.key(l), s.claimFor); err != nil {
		s.metrics.stateFault("claim")
	}
}

// tell leaves the answer to the deliveries that shared the question. It has ended, so
// no more of them join.
func (s *sharedDeliveries) tell(ctx context.Context, at *attempt) {
	if s == nil {
		return
	}
	for _, key := range at.joined {
		s.remember(ctx, key, at.profile, at.err)
	}
}

// remember keeps what Auth0 answered; an error that is no answer is not kept.
func (s *sharedDeliveries) remember(ctx context.Context, key attemptKey, profile upstream.Profile, err error) {
	answer := deliveryAnswer{Profile: &profile}
	if err != nil {
		answer = deliveryAnswer{}
		if !errors.As(err, &answer.Refusal) {
			return
		}
	}
	text, jsonErr := json.Marshal(answer)
	if jsonErr != nil || s.store.Remember(ctx, key, text) != nil {
		s.metrics.stateFault("remember")
	}
}

// key is the same on every replica.
func (s *sharedDeliveries) key(l login) attemptKey {
	hashKey := s.store.HashKey()
	return l.deliveryHash(hashKey[:])
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
