package attempt

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"ferry/outcome"
	"ferry/tracing"
	"ferry/upstream"
)

// Kratos gives up on an attempt after 30 s and makes at most three, 1 s and 2 s apart:
// the last one begins 63 s after the first and ends before 93 s.
const (
	// deliveryWindow is how long the outcome of a delivery is kept for the same
	// delivery made again, from its first arrival.
	deliveryWindow = 2 * time.Minute
	// loginWindow is how long what Auth0 answered is kept for an identical Login where
	// Kratos does not name its deliveries, from the first arrival.
	loginWindow = 100 * time.Second

	recallPoll = 50 * time.Millisecond
	recallMost = 25 * time.Second // Kratos has given up by then
)

// deliveries makes sure that a delivery which Kratos repeats costs no second attempt,
// whichever replica it reaches. A delivery gets the outcome of the first one with its id.
// Where deliveries have no id, an identical Login may be a repeated delivery, so it gets
// Auth0's answer to the first.
type deliveries struct{ Options }

// delivery is one call from Kratos, or several that cannot be told apart.
type delivery struct {
	key attemptKey // the same on every replica
	// named is false where Kratos did not say which delivery it is.
	named   bool
	arrived time.Time
	// claimed is closed when the claim of a joined delivery has returned.
	claimed chan struct{}
}

// ends is when the delivery expires.
func (d *delivery) ends() time.Time {
	if d.named {
		return d.arrived.Add(deliveryWindow)
	}
	return d.arrived.Add(loginWindow)
}

// verification is the result of a verification, as it is stored.
type verification struct {
	// Arrived is when the first delivery did.
	Arrived    time.Time            `json:"arrived"`
	Profile    *upstream.Profile    `json:"profile,omitempty"`
	LoginError *upstream.LoginError `json:"refusal,omitempty"`

	// unshared is true if the stored result is another replica's and could not be read:
	// this result must not replace it.
	unshared bool
	// asked is true if Auth0 was asked for this result just now.
	asked bool
}

// refused is the result of a verification that failed.
func refused(arrived time.Time, err error) verification {
	v := verification{Arrived: arrived}
	if !errors.As(err, &v.LoginError) {
		v.LoginError = &upstream.LoginError{Outcome: outcome.InvalidResponse, Reason: "unknown_error"}
	}
	return v
}

// answer returns the result to a call. own is true for the call that brought it about.
func (v verification) answer(own bool) (Answer, error) {
	asked := own && v.asked
	if v.LoginError != nil {
		return Answer{Asked: asked}, v.LoginError
	}
	return Answer{Profile: *v.Profile, Asked: asked}, nil
}

// settled reports whether Auth0 has decided about the credentials: accepted or refused.
func (v verification) settled() bool {
	if v.LoginError == nil {
		return true
	}
	switch v.LoginError.Outcome {
	case outcome.Mismatch, outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.Throttled:
		return true
	case outcome.Match, outcome.Locked, outcome.SubjectMismatch, outcome.Unbound, outcome.Inactive, outcome.NotPending, outcome.Oversize, outcome.Closed,
		outcome.Paused, outcome.Observed,
		outcome.Suspicious, outcome.Limited, outcome.Unavailable, outcome.Misconfigured, outcome.InvalidResponse:
	}
	return false
}

// of returns the delivery that the login came with.
func (s *deliveries) of(l *Login) *delivery {
	hashKey := s.Store.HashKey()
	d := &delivery{key: l.hash(hashKey[:]), named: l.Delivery != "", arrived: l.Arrived}
	if d.named {
		d.key = keyedHash(hashKey[:], string(d.key[:]), l.Delivery)
	}
	return d
}

// recall returns the stored result of the delivery. If it cannot be decoded, it is a
// refusal.
func (s *deliveries) recall(ctx context.Context, d *delivery) (v verification, ok bool, err error) {
	text, ok, err := s.Store.Recall(ctx, d.key)
	if !ok {
		return verification{}, false, err
	}
	if json.Unmarshal(text, &v) != nil || v.LoginError == nil && (v.Profile == nil || v.Profile.Subject == "") {
		v = refused(v.Arrived, &upstream.LoginError{Outcome: outcome.InvalidResponse, Reason: "state_garbled"})
		v.unshared = true
	}
	return v, true, nil
}

// verify verifies the credentials, unless another replica has done so or is doing so. If
// the store does not answer, the login goes on without it.
func (s *deliveries) verify(ctx context.Context, d *delivery, l *Login) verification {
	var expired <-chan time.Time // while another replica verifies
	for {
		// The answer outlives the claim, so it is looked up first.
		v, ok, err := s.recall(ctx, d)
		if err != nil {
			s.StateFault(operationRecall)
		}
		if ok {
			return v
		}
		if s.claim(ctx, d) {
			if profile, ok := s.kept(ctx, l); ok {
				return verification{Arrived: d.arrived, Profile: &profile}
			}
			return s.ask(ctx, d, l)
		}
		// Another replica is verifying. If it has died, its claim ends soon.
		if expired == nil {
			expired = time.After(recallMost)
		}
		select {
		case <-time.After(recallPoll):
		case <-expired:
			v := refused(d.arrived, &upstream.LoginError{Outcome: outcome.Unavailable, Reason: "first_delivery_unanswered"})
			v.unshared = true
			return v
		}
	}
}

// ask asks Auth0, within the limits.
func (s *deliveries) ask(ctx context.Context, d *delivery, l *Login) verification {
	profile, asked, err := s.limited(ctx, l)
	v := verification{Arrived: d.arrived, Profile: &profile}
	if err != nil {
		v = refused(d.arrived, err)
	}
	v.asked = asked
	return v
}

func (s *deliveries) limited(ctx context.Context, l *Login) (profile upstream.Profile, asked bool, err error) {
	if s.Limits == nil {
		profile, err = s.Verifier.Verify(ctx, l.Credentials)
		return profile, true, err
	}
	limiting, span := tracing.Start(ctx, "check limits")
	settle, refusal := s.Limits.Admit(limiting, *l)
	if refusal != nil {
		tracing.Ended(span, refusal.Outcome.String(), refusal.Reason)
	}
	span.End()
	if refusal != nil {
		return upstream.Profile{}, false, refusal
	}
	// After a panic of the Verifier the login must not stay counted.
	err = &upstream.LoginError{Outcome: outcome.InvalidResponse, Reason: upstream.ReasonPanic}
	defer func() {
		ctx, span := tracing.Start(ctx, "settle limits")
		defer span.End()
		err = settle(ctx, err)
	}()
	profile, err = s.Verifier.Verify(ctx, l.Credentials)
	return profile, true, err
}

// claim claims the delivery for this replica. It is true if the login must be verified
// here: the claim was won, or the store does not answer.
func (s *deliveries) claim(ctx context.Context, d *delivery) bool {
	won, err := s.Store.Claim(ctx, d.key, s.ClaimFor)
	if err != nil {
		s.StateFault(operationClaim)
	}
	return won || err != nil
}

// remember stores the result for a repeated delivery, or lets the next one verify. A result
// that is not Auth0's decision is stored only if the delivery has an id: a user who tries
// again after an outage is verified again.
func (s *deliveries) remember(ctx context.Context, d *delivery, v verification) {
	v.Arrived = d.arrived
	// Another replica's clock may be ahead.
	lasts := min(d.ends().Sub(s.Now()), deliveryWindow)
	if !d.named && !v.settled() || lasts <= 0 {
		if s.Store.Unclaim(ctx, d.key) != nil {
			s.StateFault(operationUnclaim)
		}
		return
	}
	text, err := json.Marshal(v)
	if err != nil || s.Store.Remember(ctx, d.key, text, lasts) != nil {
		s.StateFault(operationRemember)
	}
}
