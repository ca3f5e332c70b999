package attempt_test

import (
	"sync/atomic"
	"testing"
	"time"

	"ferry/attempt"
	"ferry/secret"
	"ferry/state"
	"ferry/test/redistest"
	"ferry/upstream"
)

// TestRedisClock: while Redis' clock is put forward and back, a repeated delivery costs no
// second attempt at the same replica, and one at most at another. A user who logs in again
// later is asked about again, and does not wait for a claim of the time with the wrong clock.
func TestRedisClock(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	server, auth0, ahead := redistest.Run(t, redistest.Options{Clock: true}), &counting{}, &atomic.Int64{}
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	replica := func() *attempt.Attempts {
		store, err := state.NewReplica(secret.New(server.URL()), secret.New("state-key-0123456789-0123456789-0123456789"), state.Options{Timeout: 10 * time.Second, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return attempt.New(attempt.Options{
			Verifier: auth0, Store: store, ClaimFor: 200 * time.Millisecond, Now: now,
			StateFault: func(operation string) { t.Error("fault: ", operation) }, Panicked: func(fault any) { t.Error(fault) },
		})
	}
	a, b := replica(), replica()
	login := func(at *attempt.Attempts, delivery string, want int64) {
		t.Helper()
		_, err := at.Verify(t.Context(), attempt.Login{
			IdentityID: "id-1", Delivery: delivery, Arrived: now(), Credentials: upstream.Credentials{Username: "kim@example.org", Password: secret.New("pass")},
		})
		if asked := auth0.asked.Load(); err != nil || asked != want {
			t.Fatalf("%q: asked %d times, want %d; %v", delivery, asked, want, err)
		}
	}
	clock := func(wrongBy time.Duration) {
		t.Helper()
		if err := server.SetClock(wrongBy); err != nil {
			t.Fatal(err)
		}
	}
	for i, delivery := range []string{"t-1", ""} { // Kratos 1.3.1 names none
		asked := 3 * int64(i)
		clock(year)
		login(a, delivery, asked+1)
		login(b, delivery, asked+1)
		clock(0)
		login(a, delivery, asked+1)
		login(b, delivery, asked+1)
		clock(2 * year)
		login(a, delivery, asked+1)
		login(b, delivery, asked+2) // Redis has forgotten it
		clock(0)
		login(b, delivery, asked+2)
		ahead.Add(int64(5 * time.Minute))
		login(b, delivery, asked+3)
	}
}
