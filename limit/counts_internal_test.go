package limit

import (
	"fmt"
	"testing"
	"time"

	"ferry/state"
)

// TestFlood: a flood of users and addresses takes bounded memory. It drops counters of one
// failed login, and frees no one who is close to a limit.
func TestFlood(t *testing.T) {
	const most = 1000
	c := newCounts(most)
	rules := rules(Options{BruteForce: 10, PerUser: 50, SuspiciousIP: 100})
	now := time.Now()
	fail := func(user, address string) state.FailedLoginRefusal {
		now = now.Add(time.Millisecond)
		k := state.FailedLogin{User: user, Address: address, Pair: user + " " + address}
		if count := c.take(k, rules, now); count.Refused != state.NotRefused {
			return count.Refused
		}
		c.settle(k, rules, state.Failed, now)
		return state.NotRefused
	}
	// The attacker is locked out of one user from one address, and of another user and from
	// another address altogether.
	for range 9 {
		fail("victim", "attacker")
	}
	for i := range 50 {
		fail("besieged", fmt.Sprint("bot ", i))
	}
	for i := range 95 {
		fail(fmt.Sprint("sprayed ", i), "sprayer")
	}
	for i := range 20 * most {
		if got := fail(fmt.Sprint("user ", i), fmt.Sprint("address ", i)); got != state.NotRefused {
			t.Fatalf("user %d: %d", i, got)
		}
	}
	for _, table := range []table{c.pairs, c.users, c.addresses} {
		if len(table.records) > most || table.evicted == 0 {
			t.Errorf("%d records, %d evicted", len(table.records), table.evicted)
		}
	}
	for _, k := range []struct {
		user, address string
		want          state.FailedLoginRefusal
	}{{"victim", "attacker", state.RefusedPair}, {"besieged", "elsewhere", state.RefusedUser}, {"anyone", "sprayer", state.RefusedAddress}} {
		if got := fail(k.user, k.address); got != k.want {
			t.Errorf("%s from %s: %d, want %d", k.user, k.address, got, k.want)
		}
	}
}

// TestEvicted: where there is room for one counter, a login in flight still counts.
func TestEvicted(t *testing.T) {
	c := newCounts(1)
	rules := rules(Options{BruteForce: 2})
	now := time.Now()
	first, second := state.FailedLogin{Pair: "first"}, state.FailedLogin{Pair: "second"}
	c.take(first, rules, now)
	c.take(second, rules, now)
	c.settle(second, rules, state.Failed, now)
	if count := c.settle(first, rules, state.Failed, now); count.Pair != 1 {
		t.Errorf("counted %d", count.Pair)
	}
	if count := c.take(first, rules, now); count.Refused != state.RefusedPair {
		t.Errorf("not refused: %+v", count)
	}
}
