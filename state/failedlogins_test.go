package state_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/state"
	"ferry/test/redistest"
)

var (
	failedLogin      = state.FailedLogin{Pair: "canary-user canary-address", User: "canary-user", Address: "canary-address"}
	failedLoginRules = state.FailedLoginRules{Pair: 3, PairLife: time.Hour, User: 5, UserEvery: time.Minute, Address: 8, AddressEvery: time.Minute, InFlight: time.Minute}
)

// named is the login with a name of its own.
func named(name string, l state.FailedLogin) state.FailedLogin {
	l.Login = name
	return l
}

// takes takes a login, and checks whether it is refused.
func takes(t *testing.T, f *state.FailedLogins, l state.FailedLogin, want state.FailedLoginRefusal) state.FailedLoginCount {
	t.Helper()
	count, err := f.Take(t.Context(), l, failedLoginRules)
	must(t, err)
	if count.Refused != want {
		t.Fatalf("%+v, want refusal %d", count, want)
	}
	return count
}

func settles(t *testing.T, f *state.FailedLogins, l state.FailedLogin, result state.FailedLoginResult) state.FailedLoginCount {
	t.Helper()
	count, err := f.Settle(t.Context(), l, failedLoginRules, result)
	must(t, err)
	return count
}

// TestFailedLogins: replicas count together, as the counts in memory do.
func TestFailedLogins(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	a, b := open(t, server, theKey, state.Options{}).FailedLogins(), open(t, server, theKey, state.Options{}).FailedLogins()
	fails := func(f *state.FailedLogins, l state.FailedLogin) state.FailedLoginCount {
		t.Helper()
		takes(t, f, l, state.NotRefused)
		return settles(t, f, l, state.Failed)
	}
	from := func(address string) state.FailedLogin {
		return state.FailedLogin{Pair: "canary-user " + address, User: "canary-user", Address: address}
	}
	refused := func(want bool) {
		t.Helper()
		if got, err := b.Refused(t.Context(), "nobody", "canary-user"); err != nil || got != want {
			t.Errorf("refused: %v, %v; want %v", got, err, want)
		}
	}
	refused(false)
	takes(t, a, failedLogin, state.NotRefused) // not wrong after all
	settles(t, b, failedLogin, state.NotFailed)
	fails(a, failedLogin)
	fails(b, failedLogin)
	if count := fails(a, failedLogin); count.Pair != 3 || count.Address < 2.9 || count.Address > 3 {
		t.Errorf("%+v", count)
	}
	refused(false)
	takes(t, b, failedLogin, state.RefusedPair)
	refused(true)
	fails(b, from("another"))
	fails(a, from("a third"))
	takes(t, a, from("a fourth"), state.RefusedUser)

	for i := range 5 {
		user := strings.Repeat("x", i)
		fails(a, state.FailedLogin{Pair: user, User: user, Address: failedLogin.Address})
	}
	// A success clears its pair, and gives neither the address nor the user anything back.
	settles(t, b, state.FailedLogin{Pair: "n", User: "n", Address: failedLogin.Address}, state.Succeeded)
	takes(t, b, state.FailedLogin{Pair: "n", User: "n", Address: failedLogin.Address}, state.RefusedAddress)
	settles(t, a, from("a third"), state.Succeeded)
	takes(t, a, from("new"), state.RefusedUser)
	other := state.FailedLogin{Pair: "s", User: "s", Address: "s"}
	fails(a, other)
	takes(t, a, named("1", other), state.NotRefused)
	takes(t, b, named("2", other), state.NotRefused)
	takes(t, b, named("3", other), state.RefusedInFlight)
	if count := settles(t, a, named("1", other), state.Succeeded); count.Pair != 0 {
		t.Errorf("after a success: %+v", count)
	}
	if count := settles(t, b, named("2", other), state.Failed); count.Pair != 1 {
		t.Errorf("a failure after the success: %+v", count)
	}
}

// TestFailedLoginsInFlight: logins in flight, failed ones with them, do not pass a limit. One
// whose process has died counts until its time is over.
func TestFailedLoginsInFlight(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	f, raw := open(t, server, theKey, state.Options{}).FailedLogins(), client(t, server)
	rules := failedLoginRules
	rules.InFlight = 200 * time.Millisecond
	take := func(name, address string) state.FailedLoginRefusal {
		t.Helper()
		l := state.FailedLogin{Login: name, Pair: "user " + address, User: "user", Address: address}
		count, err := f.Take(t.Context(), l, rules)
		must(t, err)
		return count.Refused
	}
	began := time.Now()
	for i, address := range []string{"a", "a", "a", "a", "b", "b", "b"} {
		want := state.NotRefused
		if i == 3 || i == 6 { // more than the pair may fail, and than the user may
			want = state.RefusedInFlight
		}
		if got := take(fmt.Sprint(i), address); got != want && time.Since(began) < rules.InFlight/2 {
			t.Errorf("login %d: refused %d, want %d", i, got, want)
		}
	}
	awaitTrue(t, "the end of those in flight", func() bool { return len(raw.Keys(t.Context(), "*in-flight*").Val()) == 0 })
	settles(t, f, state.FailedLogin{Login: "0", Pair: "user a", User: "user", Address: "a"}, state.Failed)
	if count := settles(t, f, state.FailedLogin{Login: "1", Pair: "user a", User: "user", Address: "a"}, state.Failed); count.Pair != 2 {
		t.Errorf("%+v: logins that ended late do not count", count)
	}
	if got := take("another", "a"); got != state.NotRefused {
		t.Errorf("refused %d", got)
	}
	if got := take("one more", "a"); got != state.RefusedInFlight {
		t.Errorf("not refused: %d", got)
	}
}

// TestFailedLoginsInRedis: Redis learns no name, every count expires, and what is no count is
// none.
func TestFailedLoginsInRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	f, raw := open(t, server, theKey, state.Options{}).FailedLogins(), client(t, server)
	for range 3 {
		takes(t, f, failedLogin, state.NotRefused)
		settles(t, f, failedLogin, state.Failed)
	}
	takes(t, f, failedLogin, state.RefusedPair)
	names := raw.Keys(t.Context(), "*").Val()
	if len(names) != 4 {
		t.Errorf("names %v", names)
	}
	for _, name := range names {
		if ttl := raw.PTTL(t.Context(), name).Val(); ttl <= 0 || ttl > 24*time.Hour {
			t.Errorf("%s stays for %v", name, ttl)
		}
		if strings.Contains(name, "canary") {
			t.Errorf("%s says who it is", name)
		}
		must(t, raw.Set(t.Context(), name, "x", 0).Err())
	}
	takes(t, f, failedLogin, state.NotRefused)
	for _, name := range names {
		if strings.Contains(name, ":pair:") || strings.Contains(name, ":user:") {
			must(t, raw.PExpire(t.Context(), name, time.Millisecond).Err())
		}
	}
	awaitTrue(t, "the end of the counts", func() bool { return len(raw.Keys(t.Context(), "*:pair:*").Val()) == 0 })
	if count := takes(t, f, failedLogin, state.NotRefused); count.Pair != 0 {
		t.Errorf("%+v", count)
	}
}

// TestFailedLoginsInParallel: replicas do not pass a limit together.
func TestFailedLoginsInParallel(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	var logins sync.WaitGroup
	taken := make(chan bool, 60)
	for replica := range 2 {
		f := open(t, server, theKey, state.Options{}).FailedLogins()
		for i := range 30 {
			logins.Go(func() {
				count, err := f.Take(t.Context(), named(fmt.Sprint(replica, " ", i), failedLogin), failedLoginRules)
				taken <- err == nil && count.Refused == state.NotRefused
			})
		}
	}
	logins.Wait()
	close(taken)
	passed := 0
	for ok := range taken {
		if ok {
			passed++
		}
	}
	if passed != failedLoginRules.Pair {
		t.Errorf("%d passed", passed)
	}
}
