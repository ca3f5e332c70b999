package attempt_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ferry/attempt"
	"ferry/outcome"
	"ferry/secret"
	"ferry/state"
	"ferry/upstream"
)

// slow is an Auth0 that confirms every password after a while.
type slow struct {
	counting

	takes time.Duration
}

func (s *slow) Verify(ctx context.Context, credentials upstream.Credentials) (upstream.Profile, error) {
	profile, err := s.counting.Verify(ctx, credentials)
	<-time.After(s.takes) // time of the synctest bubble
	return profile, err
}

// replicas returns a function that makes replicas with the same store and Auth0.
func replicas(t *testing.T, auth0 attempt.Verifier) func() *attempt.Attempts {
	t.Helper()
	shared := state.NewMemory(state.Options{})
	return func() *attempt.Attempts {
		return attempt.New(attempt.Options{
			Verifier: auth0, Store: shared, ClaimFor: time.Minute, Now: time.Now,
			StateFault: func(operation string) { t.Error("fault: ", operation) }, Panicked: func(fault any) { t.Error(fault) },
		})
	}
}

func delivered(delivery string, arrived time.Time) attempt.Login {
	return attempt.Login{
		IdentityID: "id-1", Delivery: delivery, Arrived: arrived, Credentials: upstream.Credentials{Username: "kim@example.org", Password: secret.New("pass")},
	}
}

// TestReplicaGivesUp: a replica that no longer waits for another one changes nothing of what
// the replicas share: the next one gets the answer of the first.
func TestReplicaGivesUp(t *testing.T) {
	for _, delivery := range []string{"t-1", ""} { // Kratos 1.3.1 names none
		synctest.Test(t, func(t *testing.T) {
			auth0 := &slow{takes: 40 * time.Second}
			replica, login := replicas(t, auth0), delivered(delivery, time.Now())
			var first sync.WaitGroup
			first.Go(func() {
				if _, err := replica().Verify(t.Context(), login); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			var refusal *upstream.LoginError
			if _, err := replica().Verify(t.Context(), login); !errors.As(err, &refusal) || refusal.Outcome != outcome.Unavailable {
				t.Errorf("%q: the second replica: %v", delivery, err)
			}
			if got, err := replica().Verify(t.Context(), login); err != nil || got.Profile.Subject != "auth0|asked" || auth0.asked.Load() != 1 {
				t.Errorf("%q: the third replica: %+v, %v, asked %d times", delivery, got, err, auth0.asked.Load())
			}
			first.Wait()
		})
	}
}

// TestClockOfAnotherReplica: a delivery that arrived at a replica whose clock is ahead is not
// remembered for longer than two minutes.
func TestClockOfAnotherReplica(t *testing.T) {
	for _, delivery := range []string{"t-1", ""} {
		synctest.Test(t, func(t *testing.T) {
			auth0 := &counting{}
			replica, login := replicas(t, auth0), delivered(delivery, time.Now().Add(time.Hour))
			for _, step := range []struct {
				after time.Duration
				want  int64
			}{{0, 1}, {119 * time.Second, 1}, {2 * time.Second, 2}} {
				<-time.After(step.after) // time of the synctest bubble
				if _, err := replica().Verify(t.Context(), login); err != nil || auth0.asked.Load() != step.want {
					t.Errorf("%q: after %s: %v, asked %d times, want %d", delivery, step.after, err, auth0.asked.Load(), step.want)
				}
			}
		})
	}
}
