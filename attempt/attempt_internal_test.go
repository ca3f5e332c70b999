package attempt

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/secret"
	"ferry/state"
	"ferry/upstream"
)

// patient is an Auth0 that answers once it is released.
type patient struct {
	asked   chan upstream.Credentials
	release chan struct{}
}

func (p *patient) Verify(ctx context.Context, credentials upstream.Credentials) (upstream.Profile, error) {
	p.asked <- credentials
	<-p.release
	return upstream.Profile{Subject: "auth0|" + credentials.Username}, ctx.Err()
}

func newAttempts(auth0 Verifier, now func() time.Time) *Attempts {
	return New(Options{
		Verifier: auth0, Store: state.NewMemory(state.Options{Now: now}), ClaimFor: time.Minute, Now: now,
		StateFault: func(string) {}, Panicked: func(any) {},
	})
}

// TestSharing: identical Logins share one request to Auth0 while it is in flight. A
// login that differs in anything but the delivery gets its own.
func TestSharing(t *testing.T) {
	base := func() Login {
		return Login{
			IdentityID: "id-1", IP: netip.MustParseAddr("198.51.100.1"), Delivery: "t-1",
			Credentials: upstream.Credentials{Username: "alice", Password: secret.New("pass"), Realm: "users"},
		}
	}
	for name, c := range map[string]struct {
		change func(*Login)
		shared bool
	}{
		"the same":           {func(*Login) {}, true},
		"another delivery":   {func(l *Login) { l.Delivery = "t-2" }, true},
		"no delivery":        {func(l *Login) { l.Delivery = "" }, true},
		"another password":   {func(l *Login) { l.Credentials.Password = secret.New("pass ") }, false},
		"another identifier": {func(l *Login) { l.Credentials.Username = "alicep" }, false},
		"another realm":      {func(l *Login) { l.Credentials.Realm = "legacy" }, false},
		"another identity":   {func(l *Login) { l.IdentityID = "id-2" }, false},
		"another address":    {func(l *Login) { l.IP = netip.MustParseAddr("198.51.100.2") }, false},
		"no address":         {func(l *Login) { l.IP = netip.Addr{} }, false},
		"shifted":            {func(l *Login) { l.Credentials.Username, l.Credentials.Password = "alicep", secret.New("ass") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			auth0 := &patient{make(chan upstream.Credentials, 2), make(chan struct{})}
			a := newAttempts(auth0, time.Now)
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			join := func(l Login) *attempt {
				d := a.deliveries.of(&l)
				at, is := a.join(&l, d)
				switch is {
				case first:
					running.Go(func() { a.run(context.WithoutCancel(ctx), at, d, &l) })
				case joined:
					close(d.claimed)
				case again:
				}
				return at
			}
			one := join(base())
			other := base()
			c.change(&other)
			second := join(other)
			if (one == second) != c.shared {
				t.Errorf("shared: %v", one == second)
			}
			cancel() // a caller that disconnects does not cancel the request
			close(auth0.release)
			running.Wait()
			<-one.done
			<-second.done
			if want := map[bool]int{true: 1, false: 2}[c.shared]; len(auth0.asked) != want {
				t.Errorf("asked %d times, want %d", len(auth0.asked), want)
			}
			if got, err := one.result.answer(true); err != nil || got.Profile.Subject != "auth0|alice" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestFinishedLate: an attempt that has ended, and whose callers get their result only now, does
// not take the next attempt of the same login out of those that later logins join.
func TestFinishedLate(t *testing.T) {
	a := newAttempts(&patient{}, time.Now)
	join := func(delivery string) (*attempt, role) {
		l := Login{IdentityID: "id-1", Delivery: delivery}
		return a.join(&l, a.deliveries.of(&l))
	}
	earlier, _ := join("t-1")
	a.end(earlier)
	next, is := join("t-2")
	if is != first || next == earlier {
		t.Fatalf("the second login is %d of the first", is)
	}
	a.finish(earlier)
	if at, is := join("t-3"); at != next || is != joined {
		t.Errorf("the third login is %d, want %d of the second", is, joined)
	}
}

// TestKeyedHash: each part is hashed whole and separately, whatever its length.
func TestKeyedHash(t *testing.T) {
	long := strings.Repeat("x", 64)
	seen := map[attemptKey][]string{}
	for _, parts := range [][]string{
		{}, {""}, {"", ""}, {"x"}, {"x", ""}, {"", "x"}, {long}, {long + "x"}, {long, "x"}, {"x", long}, {"x" + long, ""}, {long + "y"}, {long + long},
	} {
		key := keyedHash([]byte("key"), parts...)
		if other, twice := seen[key]; twice {
			t.Errorf("%q and %q are the same", other, parts)
		}
		seen[key] = parts
		if key != keyedHash([]byte("key"), parts...) || key == keyedHash([]byte("another"), parts...) {
			t.Errorf("%q: not a hash of key and parts", parts)
		}
	}
}

// ttls is a store that notes how long outcomes are kept.
type ttls struct {
	*state.Memory

	all []time.Duration
}

func (s *ttls) Remember(ctx context.Context, key [32]byte, text []byte, ttl time.Duration) error {
	s.all = append(s.all, ttl)
	return s.Memory.Remember(ctx, key, text, ttl)
}

// broken is a store that panics when it is to remember an answer.
type broken struct{ Store }

func (broken) Remember(context.Context, [32]byte, []byte, time.Duration) error { panic("broken") }

// TestStorePanics: the deliveries that wait get their answer, and no later login joins the
// attempt.
func TestStorePanics(t *testing.T) {
	auth0 := &patient{make(chan upstream.Credentials, 1), make(chan struct{})}
	close(auth0.release)
	a := newAttempts(auth0, time.Now)
	d := a.deliveries
	d.Store = broken{d.Store}
	l := Login{IdentityID: "id-1", Delivery: "t-1", Arrived: time.Now()}
	delivery := d.of(&l)
	at, _ := a.join(&l, delivery)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the store did not panic")
			}
		}()
		a.run(t.Context(), at, delivery, &l)
	}()
	<-at.done
	if _, is := a.join(&l, d.of(&l)); is != first {
		t.Errorf("the next login is %v", is)
	}
}

// TestAttemptsExpire: a finished attempt takes no memory, and outcomes are stored with
// a limited lifetime.
func TestAttemptsExpire(t *testing.T) {
	auth0 := &patient{make(chan upstream.Credentials, 300), make(chan struct{})}
	close(auth0.release)
	now := time.Now()
	clock := func() time.Time { return now }
	a := newAttempts(auth0, clock)
	store := &ttls{Memory: state.NewMemory(state.Options{Now: clock})}
	a.deliveries.Store = store
	for i := range 100 {
		for _, l := range []Login{{Delivery: string(rune('a' + i))}, {IdentityID: string(rune('a' + i))}} {
			l.Arrived = now
			if _, err := a.Verify(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(a.inFlight) != 0 || len(auth0.asked) != 200 || len(store.all) != 200 {
		t.Errorf("%d in flight, asked %d times, kept %d answers", len(a.inFlight), len(auth0.asked), len(store.all))
	}
	for i, ttl := range store.all {
		if want := []time.Duration{deliveryWindow, loginWindow}[i%2]; ttl != want {
			t.Errorf("answer %d is kept for %s, want %s", i, ttl, want)
		}
	}
}
