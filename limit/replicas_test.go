package limit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ferry/attempt"
	"ferry/limit"
	"ferry/outcome"
	"ferry/secret"
	"ferry/state"
	"ferry/test/await"
	"ferry/test/redistest"
)

const stateKey = "state-key-0123456789-0123456789-0123456789"

// share starts a replica that counts in Redis.
func share(t *testing.T, server *redistest.Server) *replica {
	t.Helper()
	store, err := state.NewRedis(secret.New(server.URL()), secret.New(stateKey), state.Options{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return start(t, func(o *limit.Options) { o.Shared = store.FailedLogins() })
}

// TestReplicas: replicas share their limits through Redis. Without it each has its own, and
// with it again the stricter count decides.
func TestReplicas(t *testing.T) {
	server := redistest.Run(t, redistest.Options{})
	a, b := share(t, server), share(t, server)
	ada, bob, cyd := loginOf("ada", home), loginOf("bob", home), loginOf("cyd", home)
	a.times(t, 4, ada, outcome.Mismatch)
	b.times(t, 5, ada, outcome.Mismatch)
	a.refused(t, ada, outcome.Locked, limit.ReasonUserAddress)
	share(t, server).refused(t, ada, outcome.Locked, limit.ReasonUserAddress) // a restart forgets nothing
	logins := parallel{replicas: []*replica{a, b}, n: 40, together: 9, login: func(int) attempt.Login { return bob }}
	if got := logins.run(t, outcome.Unavailable); got.asked != 40 || got.most != 9 {
		t.Errorf("%+v, want all, 9 at a time", got)
	}
	a.times(t, 8, bob, outcome.Mismatch)
	b.times(t, 1, bob, outcome.Match)
	a.times(t, 1, bob, outcome.Mismatch)

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	b.times(t, 4, ada, outcome.Mismatch) // b itself has seen 5
	b.refused(t, ada, outcome.Locked, limit.ReasonUserAddress)
	a.times(t, 9, cyd, outcome.Mismatch)
	a.refused(t, cyd, outcome.Locked, limit.ReasonUserAddress)
	if sample(t, a.registry, "ferry_limit_faults_total", "take") == 0 {
		t.Error("the metrics do not report it")
	}

	if err := server.Restart(t.Context()); err != nil { // empty
		t.Fatal(err)
	}
	dan := loginOf("dan", office)
	if !await.True(func() bool {
		before := sample(t, a.registry, "ferry_limit_faults_total", "take")
		a.login(t, dan, outcome.Unavailable)
		return sample(t, a.registry, "ferry_limit_faults_total", "take") == before
	}) {
		t.Fatal("Redis is not asked again")
	}
	a.refused(t, cyd, outcome.Locked, limit.ReasonUserAddress)
	a.times(t, 9, dan, outcome.Mismatch)
	b.refused(t, dan, outcome.Locked, limit.ReasonUserAddress)
}

// TestRedisClock: after Redis' clock was put forward, its counts are gone, and each process still
// has its own: never none. After it was put back, nothing is forgotten.
func TestRedisClock(t *testing.T) {
	server := redistest.Run(t, redistest.Options{Clock: true})
	a, b := share(t, server), share(t, server)
	ada, bob := loginOf("ada", home), loginOf("bob", home)
	a.times(t, 5, ada, outcome.Mismatch)
	b.times(t, 4, ada, outcome.Mismatch)
	a.times(t, 9, bob, outcome.Mismatch)
	for _, wrongBy := range []time.Duration{-400 * 24 * time.Hour, 400 * 24 * time.Hour} {
		if err := server.SetClock(wrongBy); err != nil {
			t.Fatal(err)
		}
		if wrongBy < 0 {
			b.refused(t, ada, outcome.Locked, limit.ReasonUserAddress)
			b.refused(t, bob, outcome.Locked, limit.ReasonUserAddress)
		}
	}
	a.refused(t, bob, outcome.Locked, limit.ReasonUserAddress)
	a.times(t, 4, ada, outcome.Mismatch)
	b.times(t, 5, ada, outcome.Mismatch)
	for _, r := range []*replica{a, b, share(t, server)} {
		r.refused(t, ada, outcome.Locked, limit.ReasonUserAddress)
	}
}

// lossy is a Shared whose next Take can fail.
type lossy struct {
	limit.Shared

	fails bool
}

func (l *lossy) Take(ctx context.Context, login state.FailedLogin, rules state.FailedLoginRules) (state.FailedLoginCount, error) {
	if l.fails {
		l.fails = false
		return state.FailedLoginCount{}, errors.New("lost")
	}
	return l.Shared.Take(ctx, login, rules)
}

// TestLostTake: a login that Redis did not count is not given back there, and counts late if it
// failed.
func TestLostTake(t *testing.T) {
	server := redistest.Run(t, redistest.Options{})
	shared := &lossy{}
	a := start(t, func(o *limit.Options) {
		store, err := state.NewRedis(secret.New(server.URL()), secret.New(stateKey), state.Options{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		shared.Shared = store.FailedLogins()
		o.Shared = shared
	})
	ada := loginOf("ada", home)
	a.times(t, 4, ada, outcome.Mismatch)
	for range 3 {
		shared.fails = true
		a.times(t, 1, ada, outcome.Unavailable)
		shared.fails = true
		a.times(t, 1, ada, outcome.Mismatch)
	}
	b := share(t, server)
	b.times(t, 2, ada, outcome.Mismatch)
	b.refused(t, ada, outcome.Locked, limit.ReasonUserAddress)
}

// TestSharedOwnAddress: replicas share the budget of the address that Auth0 sees, over
// restarts. What Redis counted holds without it.
func TestSharedOwnAddress(t *testing.T) {
	server := redistest.Run(t, redistest.Options{})
	a, b := share(t, server), share(t, server)
	for i := range 95 {
		[]*replica{a, b}[i%2].times(t, 1, loginOf(fmt.Sprint("user ", i), ""), outcome.Mismatch)
	}
	for _, r := range []*replica{a, b, share(t, server)} {
		r.refused(t, loginOf("ada", ""), outcome.Limited, limit.ReasonOwnAddress)
		if n := sample(t, r.registry, "ferry_own_address_failed_logins", ""); n != 95 {
			t.Errorf("%v failed logins", n)
		}
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	a.refused(t, loginOf("ada", ""), outcome.Limited, limit.ReasonOwnAddress)
}
