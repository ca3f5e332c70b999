package state_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/secret"
	"ferry/state"
	"ferry/test/await"
	"ferry/test/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	identity = "e187bf45-fb83-4a45-8227-79025897309f"
	subject  = "auth0|canary-5f3a-subject"
	theKey   = "a key of the settings, long enough for it"
)

// store is what Memory and Redis have in common.
type store interface {
	Put(ctx context.Context, k state.Handoff) error
	Lease(ctx context.Context, identityID, flowID string) (state.Lease, bool, error)
	Remember(ctx context.Context, key [32]byte, answer []byte, ttl time.Duration) error
	Unclaim(ctx context.Context, key [32]byte) error
	Recall(ctx context.Context, key [32]byte) ([]byte, bool, error)
	Claim(ctx context.Context, key [32]byte, ttl time.Duration) (bool, error)
	HashKey() [32]byte
	Run(ctx context.Context)
	Close() error
}

// clock is a clock that tests advance.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// kinds returns the stores that every behavior is tested with. Each Redis store has a
// key of its own and is therefore empty.
func kinds(t *testing.T) map[string]func(*testing.T, state.Options) store {
	t.Helper()
	server := redistest.Run(t, redistest.Options{})
	return map[string]func(*testing.T, state.Options) store{
		"memory": func(_ *testing.T, opts state.Options) store { return state.NewMemory(opts) },
		"redis": func(t *testing.T, opts state.Options) store {
			t.Helper()
			return open(t, server, theKey+t.Name(), opts)
		},
	}
}

// open returns a Redis store whose timeout is long enough for a busy machine.
func open(tb testing.TB, server *redistest.Server, key string, opts state.Options) *state.Redis {
	tb.Helper()
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	opts.RootCAs = server.RootCAs()
	r, err := state.NewRedis(secret.New(server.URL()), secret.New(key), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = r.Close() })
	return r
}

func profile(flow string) state.Handoff {
	return state.Handoff{
		IdentityID: identity, FlowID: flow, Subject: subject, Connection: "people",
		Claims: []byte(`{"email": "canary-5f3a@example.org"}`), MatchedAt: time.Now(),
	}
}

func put(t *testing.T, s store, k state.Handoff) {
	t.Helper()
	if err := s.Put(t.Context(), k); err != nil {
		t.Fatal(err)
	}
}

func mustLease(t *testing.T, s store, id, flow string, want bool) state.Lease {
	t.Helper()
	lease, ok, err := s.Lease(t.Context(), id, flow)
	if err != nil || ok != want {
		t.Fatalf("take: %v, %v; want %v", ok, err, want)
	}
	return lease
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reports collects the profiles that Run reports.
type reports struct {
	mu   sync.Mutex
	list []string
}

func (l *reports) Expired(identityID, subject string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, identityID+" "+subject)
}

func (l *reports) List() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.list))
}

// run starts Run of each store, until the returned function is called.
func run(t *testing.T, stores ...store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, s := range stores {
		all.Go(func() { s.Run(ctx) })
	}
	stop = func() { cancel(); all.Wait() }
	t.Cleanup(stop)
	return stop
}

// TestExpiredProfiles runs in real time, because Redis has a clock of its own. One
// profile is leased and done, one replaced, one released, and one still leased when it
// expires. All but the first and the last are reported, once. Another profile ends the
// wait.
func TestExpiredProfiles(t *testing.T) {
	t.Parallel()
	for kind, newStore := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var l reports
			s := newStore(t, state.Options{TTL: 2 * time.Second, Expired: l.Expired, Fault: func(err error) { t.Error(err) }})
			for _, id := range []string{"done", "replaced", "replaced", "released", "leased", "left"} {
				put(t, s, state.Handoff{IdentityID: id, Subject: "auth0|" + id})
			}
			must(t, mustLease(t, s, "done", "", true).Done(t.Context()))
			must(t, mustLease(t, s, "released", "", true).Release(t.Context()))
			lease := mustLease(t, s, "leased", "", true)
			run(t, s)
			awaitTrue(t, "the expired ones", func() bool { return len(l.List()) >= 3 })
			must(t, lease.Done(t.Context())) // expired, but not yet reported
			put(t, s, state.Handoff{IdentityID: "zz-last", Subject: "auth0|last"})
			awaitTrue(t, "the last one", func() bool { return slices.Contains(l.List(), "zz-last auth0|last") })
			want := "left auth0|left, released auth0|released, replaced auth0|replaced, zz-last auth0|last"
			if got := strings.Join(l.List(), ", "); got != want {
				t.Errorf("reported %s; want %s", got, want)
			}
		})
	}
}

// TestLeaseRunsOut: a holder that does not finish loses its lease. Memory only: the
// clock of Redis cannot be moved, see TestLeaseRunsOutInRedis.
func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	var l reports
	c := &clock{}
	m := state.NewMemory(state.Options{TTL: time.Minute, Now: c.Now, Expired: l.Expired})
	put(t, m, profile(""))
	lost := mustLease(t, m, identity, "", true)
	c.Advance(state.LeaseTime)
	second := mustLease(t, m, identity, "", true)
	must(t, lost.Release(t.Context()))
	mustLease(t, m, identity, "", false)
	must(t, lost.Done(t.Context())) // the late holder did write the profile
	c.Advance(time.Hour)
	run(t, m)()
	must(t, second.Done(t.Context()))
	if len(l.List()) != 0 {
		t.Errorf("reported %v", l.List())
	}
}

// TestEndsWithTheProcess: Close reports the profiles in memory, once.
func TestEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	var l reports
	m := state.NewMemory(state.Options{Expired: l.Expired})
	for _, id := range []string{"done", "left", "leased"} {
		put(t, m, state.Handoff{IdentityID: id, Subject: "auth0|" + id})
	}
	must(t, mustLease(t, m, "done", "", true).Done(t.Context()))
	mustLease(t, m, "leased", "", true)
	must(t, m.Close())
	must(t, m.Close())
	if got := strings.Join(l.List(), ", "); got != "leased auth0|leased, left auth0|left" {
		t.Errorf("reported %s", got)
	}
}

func awaitTrue(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !await.True(done) {
		t.Fatalf("timed out waiting for %s", what)
	}
}

func BenchmarkTakeNothing(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		benchTake(b, state.NewMemory(state.Options{}))
	})
	b.Run("redis", func(b *testing.B) {
		benchTake(b, open(b, redistest.Run(b, redistest.Options{}), theKey, state.Options{}))
	})
}

func benchTake(b *testing.B, s store) {
	b.Helper()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := s.Lease(ctx, identity, "flow"); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// TestLeaseWithoutProfileDoesNotAllocate: if no profile is waiting, as in nearly every
// login, Lease does not allocate.
func TestLeaseWithoutProfileDoesNotAllocate(t *testing.T) {
	m := state.NewMemory(state.Options{})
	put(t, m, state.Handoff{IdentityID: "somebody"})
	if n := testing.AllocsPerRun(100, func() { _, _, _ = m.Lease(t.Context(), identity, "flow") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("identity-%04d", i)
	}
	return list
}
