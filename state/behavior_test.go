package state_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/state"
)

func TestBehavior(t *testing.T) {
	t.Parallel()
	makers := kinds(t)
	for _, test := range behaviors() {
		for kind, newStore := range makers {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				c := &clock{}
				test.run(on{t, newStore(t, state.Options{Now: c.Now}), c})
			})
		}
	}
}

type behavior struct {
	name string
	run  func(t on)
}

// on is what a behavior is tested with.
type on struct {
	*testing.T
	store store
	clock *clock
}

func behaviors() []behavior {
	return slices.Concat(keepingBehaviors(), leaseBehaviors(), answerBehaviors())
}

func keepingBehaviors() []behavior {
	return []behavior{
		{"no profile", func(t on) {
			mustLease(t.T, t.store, identity, "", false)
		}},
		{"a profile comes back complete", func(t on) {
			k := profile("flow-1")
			put(t.T, t.store, k)
			got := mustLease(t.T, t.store, identity, "flow-1", true).Handoff
			if got.IdentityID != identity || got.FlowID != "flow-1" || got.Subject != subject || got.Connection != "people" ||
				string(got.Claims) != string(k.Claims) || !got.MatchedAt.Equal(k.MatchedAt) {
				t.Errorf("got %+v", got)
			}
		}},
		{"the claims are copied", func(t on) {
			k := profile("")
			put(t.T, t.store, k)
			k.Claims[2] = 'X'
			if got := mustLease(t.T, t.store, identity, "", true).Handoff; !strings.HasPrefix(string(got.Claims), `{"email"`) {
				t.Errorf("got %s", got.Claims)
			}
		}},
		{"a profile with only an id", func(t on) {
			put(t.T, t.store, state.Handoff{IdentityID: identity})
			if got := mustLease(t.T, t.store, identity, "", true).Handoff; !got.MatchedAt.IsZero() || len(got.Claims) != 0 {
				t.Errorf("got %+v", got)
			}
		}},
		{"no identity id", func(t on) {
			if err := t.store.Put(t.Context(), state.Handoff{Subject: subject}); err == nil || strings.Contains(err.Error(), subject) {
				t.Errorf("got %v", err)
			}
			mustLease(t.T, t.store, "", "", false)
		}},
		{"another identity", func(t on) {
			put(t.T, t.store, profile(""))
			mustLease(t.T, t.store, "99bf8a02-aa5b-4351-ab7c-9f16e7e11a12", "", false)
			mustLease(t.T, t.store, identity, "", true)
		}},
		{"another flow", func(t on) {
			put(t.T, t.store, profile("flow-1"))
			mustLease(t.T, t.store, identity, "flow-2", false)
			mustLease(t.T, t.store, identity, "flow-1", true)
		}},
		{"a call without a flow", func(t on) {
			put(t.T, t.store, profile("flow-1"))
			mustLease(t.T, t.store, identity, "", true)
		}},
		{"a profile without a flow", func(t on) {
			put(t.T, t.store, profile(""))
			mustLease(t.T, t.store, identity, "flow-1", true)
		}},
		{"the last profile counts", func(t on) {
			put(t.T, t.store, profile("flow-1"))
			put(t.T, t.store, profile("flow-2"))
			mustLease(t.T, t.store, identity, "flow-1", false)
			mustLease(t.T, t.store, identity, "flow-2", true)
		}},
		{"a profile expires", func(t on) {
			put(t.T, t.store, profile(""))
			t.clock.Advance(state.TTL - time.Second)
			must(t.T, mustLease(t.T, t.store, identity, "", true).Release(t.Context()))
			t.clock.Advance(time.Second)
			mustLease(t.T, t.store, identity, "", false)
		}},
	}
}

func leaseBehaviors() []behavior {
	return []behavior{
		{"leased once", func(t on) {
			put(t.T, t.store, profile(""))
			lease := mustLease(t.T, t.store, identity, "", true)
			mustLease(t.T, t.store, identity, "", false)
			must(t.T, lease.Done(t.Context()))
			mustLease(t.T, t.store, identity, "", false)
			must(t.T, lease.Done(t.Context()))
			must(t.T, lease.Release(t.Context()))
			mustLease(t.T, t.store, identity, "", false)
		}},
		{"released", func(t on) {
			put(t.T, t.store, profile(""))
			first := mustLease(t.T, t.store, identity, "", true)
			must(t.T, first.Release(t.Context()))
			mustLease(t.T, t.store, identity, "", true)
			must(t.T, first.Release(t.Context())) // the lease is held by another
			mustLease(t.T, t.store, identity, "", false)
		}},
		{"put again while leased", func(t on) {
			put(t.T, t.store, profile("flow-1"))
			old := mustLease(t.T, t.store, identity, "flow-1", true)
			put(t.T, t.store, profile("flow-2"))
			must(t.T, old.Done(t.Context()))
			must(t.T, old.Release(t.Context()))
			must(t.T, mustLease(t.T, t.store, identity, "flow-2", true).Done(t.Context()))
			mustLease(t.T, t.store, identity, "", false)
		}},
		{"the zero lease", func(t on) {
			must(t.T, state.Lease{}.Done(t.Context()))
			must(t.T, state.Lease{}.Release(t.Context()))
		}},
		{"leased by one of many", func(t on) {
			put(t.T, t.store, profile(""))
			var won atomic.Int32
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					if _, ok, err := t.store.Lease(t.Context(), identity, ""); err != nil {
						t.Error(err)
					} else if ok {
						won.Add(1)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("%d had it", won.Load())
			}
		}},
	}
}

func answerBehaviors() []behavior {
	key, other := [32]byte{1}, [32]byte{2}
	return []behavior{
		{"an answer is remembered", func(t on) {
			recall(t.T, t.store, key, "")
			text := []byte("first")
			must(t.T, t.store.Remember(t.Context(), key, text, time.Hour))
			text[0] = 'X'
			recall(t.T, t.store, key, "first")
			recall(t.T, t.store, other, "")
			must(t.T, t.store.Remember(t.Context(), key, []byte("second"), time.Minute))
			recall(t.T, t.store, key, "second")
			t.clock.Advance(time.Minute)
			recall(t.T, t.store, key, "")
		}},
		{"claimed once", func(t on) {
			claim(t.T, t.store, key, time.Minute, true)
			claim(t.T, t.store, key, time.Minute, false)
			claim(t.T, t.store, other, time.Minute, true)
		}},
		{"a released claim can be claimed again", func(t on) {
			claim(t.T, t.store, key, time.Minute, true)
			claim(t.T, t.store, other, time.Minute, true)
			must(t.T, t.store.Unclaim(t.Context(), key))
			must(t.T, t.store.Unclaim(t.Context(), key))
			claim(t.T, t.store, key, time.Minute, true)
			claim(t.T, t.store, other, time.Minute, false)
		}},
		{"an answer without a time to live", func(t on) {
			if t.store.Remember(t.Context(), key, nil, 0) == nil {
				t.Error("remembered for no time")
			}
		}},
		{"a claim ends", func(t on) {
			claim(t.T, t.store, key, time.Millisecond, true)
			awaitTrue(t.T, "the claim's end", func() bool {
				won, err := t.store.Claim(t.Context(), key, time.Minute)
				return won && err == nil
			})
		}},
		{"a claim without a time to live", func(t on) {
			if won, err := t.store.Claim(t.Context(), key, 0); won || err == nil {
				t.Errorf("got %v, %v", won, err)
			}
		}},
		{"claimed by one of many", func(t on) {
			var won atomic.Int32
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					if ok, err := t.store.Claim(t.Context(), key, time.Minute); err != nil {
						t.Error(err)
					} else if ok {
						won.Add(1)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("%d won", won.Load())
			}
		}},
		{"the key for hashes", func(t on) {
			if first, second := t.store.HashKey(), t.store.HashKey(); first == [32]byte{} || first != second {
				t.Error("no key")
			}
		}},
	}
}

func recall(t *testing.T, s store, key [32]byte, want string) {
	t.Helper()
	text, ok, err := s.Recall(t.Context(), key)
	if err != nil || ok != (want != "") || string(text) != want {
		t.Fatalf("recalled %q, %v, %v; want %q", text, ok, err, want)
	}
}

func claim(t *testing.T, s store, key [32]byte, ttl time.Duration, want bool) {
	t.Helper()
	if won, err := s.Claim(t.Context(), key, ttl); err != nil || won != want {
		t.Fatalf("claimed: %v, %v; want %v", won, err, want)
	}
}
