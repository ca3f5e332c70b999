package state_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ferry/state"
	"ferry/test/redistest"
)

const year = 365 * 24 * time.Hour

// redisClock is the clock of a Redis, which tests put forward and back.
type redisClock struct {
	server  *redistest.Server
	wrongBy time.Duration
}

func (c *redisClock) forward(t *testing.T, by time.Duration) {
	t.Helper()
	c.wrongBy += by
	must(t, c.server.SetClock(c.wrongBy))
}

// TestClockOfRedis: after Redis' clock was put back, claims and leases end after their time,
// answers too, and profiles that expire are reported. Without that a user would get an outage
// for as long as the clock was wrong.
func TestClockOfRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{Clock: true})
	clock, own, raw := &redisClock{server: server}, &clock{}, client(t, server)
	var l reports
	s := open(t, server, theKey, state.Options{Expired: l.Expired, Now: own.Now})
	for i, wrongBy := range []time.Duration{0, year, -3 * year} {
		key := [32]byte{byte(i)}
		clock.forward(t, wrongBy)
		claim(t, s, key, time.Minute, true)
		must(t, s.Remember(t.Context(), key, []byte("answer"), 2*time.Minute))
		put(t, s, profile(""))
		lease := mustLease(t, s, identity, "", true)
		must(t, lease.Release(t.Context()))
		mustLease(t, s, identity, "", true) // by a process that dies

		clock.forward(t, -year)
		claim(t, s, key, time.Minute, false)
		recall(t, s, key, "answer")
		mustLease(t, s, identity, "", false)
		clock.forward(t, state.LeaseTime+time.Second)
		must(t, mustLease(t, s, identity, "", true).Release(t.Context()))
		claim(t, s, key, time.Minute, false)
		clock.forward(t, time.Minute)
		claim(t, s, key, time.Minute, true)
		own.Advance(2 * time.Minute)
		recall(t, s, key, "") // Redis has it still

		clock.forward(t, year) // what it was
		put(t, s, profile(""))
		mustLease(t, s, identity, "", true)
		clock.forward(t, -year)
		stop := run(t, s)
		awaitTrue(t, "a sweep", func() bool {
			due := raw.ZRangeWithScores(t.Context(), raw.Keys(t.Context(), "*:due").Val()[0], 0, -1).Val()
			return len(due) == 1 && time.UnixMilli(int64(due[0].Score)).Before(time.Now().Add(clock.wrongBy+2*state.TTL))
		})
		stop()
		if n := len(l.List()); n != i {
			t.Errorf("%d reports before their time, want %d", n, i)
		}
		clock.forward(t, state.TTL+time.Second)
		stop = run(t, s)
		awaitTrue(t, "the report", func() bool { return len(l.List()) == i+1 })
		stop()
	}
}

// TestFailedLoginsAndClock: however wrong Redis' clock is, and whenever it changes, the limits
// hold, nobody is locked for longer than they say, and the count goes on.
func TestFailedLoginsAndClock(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{Clock: true})
	f := open(t, server, theKey, state.Options{}).FailedLogins()
	clock := &redisClock{server: server}
	forward := func(by time.Duration) {
		t.Helper()
		clock.forward(t, by)
	}
	n := 0
	login := func(user string, want state.FailedLoginRefusal) state.FailedLoginCount {
		t.Helper()
		n++
		l := state.FailedLogin{Login: fmt.Sprint(n), Pair: user + fmt.Sprint(n), User: user, Address: fmt.Sprint(n)}
		if strings.HasPrefix(user, "pair") {
			l = state.FailedLogin{Login: fmt.Sprint(n), Pair: user, User: fmt.Sprint(n), Address: "address of " + user}
		}
		takes(t, f, l, want)
		if want != state.NotRefused {
			return state.FailedLoginCount{}
		}
		return settles(t, f, l, state.Failed)
	}
	for _, wrongBy := range []time.Duration{0, year, -2 * year, 40 * year} {
		user, pair := "user "+wrongBy.String(), "pair "+wrongBy.String()
		dead := state.FailedLogin{Pair: "dead " + user, User: "dead " + user, Address: "dead"}
		forward(wrongBy)
		for range 5 {
			login(user, state.NotRefused)
		}
		for range 3 {
			login(pair, state.NotRefused)
		}
		login(user, state.RefusedUser)
		login(pair, state.RefusedPair)
		takes(t, f, named("dead", dead), state.NotRefused)

		// The clock is put back: what was counted stays, and ends when it would have.
		forward(-year)
		login(user, state.RefusedUser)
		login(pair, state.RefusedPair)
		for i := range 3 {
			want := state.NotRefused
			if i == 2 {
				want = state.RefusedInFlight
			}
			takes(t, f, named(fmt.Sprint(i), dead), want)
		}
		forward(failedLoginRules.UserEvery)
		takes(t, f, named("alive", dead), state.NotRefused)
		if count := login(user, state.NotRefused); count.Address < 0.9 || count.Address > 1 {
			t.Errorf("an address: %+v", count)
		}
		login(user, state.RefusedUser)
		login(pair, state.RefusedPair)
		forward(failedLoginRules.PairLife)
		if count := login(pair, state.NotRefused); count.Pair != 1 || count.Address > 1 {
			t.Errorf("after its time: %+v", count)
		}
		forward(year - failedLoginRules.PairLife - failedLoginRules.UserEvery)
	}
}
