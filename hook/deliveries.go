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

// sharedDeliveries see to it that a delivery which Kratos makes again costs no second
// attempt, whichever replica it reaches.
type sharedDeliveries struct {
	store Deliveries
	// claimFor is how long one replica may ask for the others: a little longer than
	// Auth0 may take.
	claimFor time.Duration
	metrics  *metrics
	now      func() time.Time
}

// deliveryAnswer is what came of a question, as it is kept.
type deliveryAnswer struct {
	// Arrived is when the first delivery did.
	Arrived time.Time         `json:"arrived"`
	Profile *upstream.Profile `json:"profile,omitempty"`
	Refusal *upstream.Refusal `json:"refusal,omitempty"`
}

// ask puts the question, unless another replica has, or is just doing it. It returns
// when the first delivery arrived, wherever that was. A store that does not answer
// keeps no one out.
func (s *sharedDeliveries) ask(ctx context.Context, auth0 verifier, l login, d *delivery) (upstream.Profile, time.Time, error) {
	tick := time.NewTicker(recallPoll)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, recallMost)
	defer cancel()
	for {
		// The answer is there for longer than the claim: it comes first.
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
			profile, err := auth0.Ask(ctx, l.question)
			s.remember(ctx, d, profile, err)
			return profile, d.arrived, err
		}
		// Another replica asks. If it died meanwhile, its claim ends soon.
		select {
		case <-tick.C:
		case <-ctx.Done():
			return upstream.Profile{}, d.arrived, &upstream.Refusal{Outcome: outcome.Unavailable, Reason: "first_delivery_unanswered"}
		}
	}
}

// join claims a delivery that shares the question of another one, so that no replica
// asks for it meanwhile. A nil s does nothing, here and in tell.
func (s *sharedDeliveries) join(ctx context.Context, d *delivery) {
	if s == nil {
		return
	}
	if _, err := s.store.Claim(ctx, d.shared, s.claimFor); err != nil {
		s.metrics.stateFault("claim")
	}
}

// tell leaves the outcome to the deliveries that shared the question of the first. It
// has ended, so no more of them join.
func (s *sharedDeliveries) tell(ctx context.Context, at *attempt) {
	if s == nil {
		return
	}
	for _, d := range at.deliveries[1:] {
		s.remember(ctx, d, at.profile, at.err)
	}
}

// remember keeps the outcome for the delivery made again, or lets the next one ask.
func (s *sharedDeliveries) remember(ctx context.Context, d *delivery, profile upstream.Profile, err error) {
	answer, lasts := deliveryAnswer{Arrived: d.arrived}, d.ends().Sub(s.now())
	if err == nil {
		answer.Profile = &profile
	} else if !errors.As(err, &answer.Refusal) {
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
	case answer.Refusal != nil:
		return upstream.Profile{}, answer.Arrived, answer.Refusal
	case answer.Profile != nil && answer.Profile.Subject != "":
		return *answer.Profile, answer.Arrived, nil
	}
	return upstream.Profile{}, answer.Arrived, &upstream.Refusal{Outcome: outcome.Garbled, Reason: "state_garbled"}
}
