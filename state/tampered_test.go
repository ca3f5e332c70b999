package state_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/state"
	"ferry/test/redistest"
)

// TestNothingReadable: neither keys nor values in Redis contain plain text.
func TestNothingReadable(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	s := open(t, server, theKey, state.Options{})
	put(t, s, profile("canary-5f3a-flow"))
	mustLease(t, s, identity, "", true)
	key := [32]byte([]byte("canary-5f3a-key-of-32-bytes-long"))
	must(t, s.Remember(t.Context(), key, []byte("canary-5f3a-answer"), time.Minute))
	claim(t, s, key, time.Minute, true)

	all := dump(t, server)
	if len(all) != 6 { // kept, lease, due, who, answer, claim
		t.Errorf("%d names", len(all))
	}
	for name, values := range all {
		for _, text := range append(values, name) {
			low := strings.ToLower(text)
			for _, canary := range []string{"canary-5f3a", identity, "example.org", "people", "email", "auth0"} {
				if strings.Contains(low, canary) || strings.Contains(low, hex.EncodeToString([]byte(canary))) {
					t.Errorf("%q is readable in %q", canary, name)
				}
			}
		}
	}
}

// TestTampered: write access to Redis suffices to remove profiles, but not to change
// or add them.
func TestTampered(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	raw := client(t, server)
	const other = "99bf8a02-aa5b-4351-ab7c-9f16e7e11a12"
	for name, tamper := range map[string]func(mine, others string) string{
		"moved":        func(_, others string) string { return others },
		"truncated":    func(mine, _ string) string { return mine[:len(mine)-1] },
		"longer":       func(mine, _ string) string { return mine + "\x00" },
		"empty":        func(string, string) string { return "" },
		"text":         func(string, string) string { return "hello" },
		"version":      func(mine, _ string) string { return flip(mine, 0) },
		"gen":          func(mine, _ string) string { return flip(mine, 1) },
		"prolonged":    func(mine, _ string) string { return flip(mine, 20) },
		"nonce":        func(mine, _ string) string { return flip(mine, 30) },
		"sealed text":  func(mine, _ string) string { return flip(mine, len(mine)-20) },
		"another head": func(mine, others string) string { return others[:25] + mine[25:] },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, server, theKey+name, state.Options{})
			must(t, raw.FlushAll(t.Context()).Err())
			k := profile("")
			put(t, s, k)
			mine := keptName(t, raw)
			k.IdentityID = other
			must(t, raw.Rename(t.Context(), mine, "aside").Err())
			put(t, s, k)
			others := keptName(t, raw)
			value := tamper(raw.Get(t.Context(), "aside").Val(), raw.Get(t.Context(), others).Val())
			must(t, raw.Set(t.Context(), mine, value, time.Minute).Err())
			if _, ok, err := s.Lease(t.Context(), identity, ""); ok || !errors.Is(err, state.ErrUnreadable) {
				t.Errorf("got %v, %v", ok, err)
			}
			mustLease(t, s, other, "", true)
		})
	}
}

func TestTamperedAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	raw := client(t, server)
	s := open(t, server, theKey, state.Options{})
	must(t, s.Remember(t.Context(), [32]byte{1}, []byte("match"), time.Minute))
	name := raw.Keys(t.Context(), "*:answer:*").Val()[0]
	must(t, s.Remember(t.Context(), [32]byte{2}, []byte("mismatch"), time.Minute))
	for _, other := range raw.Keys(t.Context(), "*:answer:*").Val() {
		must(t, raw.Set(t.Context(), other, raw.Get(t.Context(), name).Val(), time.Minute).Err())
	}
	recall(t, s, [32]byte{1}, "match")
	if text, ok, err := s.Recall(t.Context(), [32]byte{2}); ok || text != nil || !errors.Is(err, state.ErrUnreadable) {
		t.Errorf("got %q, %v, %v", text, ok, err)
	}
}

// TestTamperedWho: an entry that cannot be decrypted is an error, and the other
// expired profiles are reported nevertheless.
func TestTamperedWho(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	raw := client(t, server)
	var l reports
	var unreadable atomic.Int32
	s := open(t, server, theKey, state.Options{TTL: 50 * time.Millisecond, Expired: l.Expired, Fault: func(err error) {
		if errors.Is(err, state.ErrUnreadable) {
			unreadable.Add(1)
		}
	}})
	put(t, s, state.Handoff{IdentityID: "a", Subject: subject})
	who := raw.Keys(t.Context(), "*:who").Val()[0]
	for place := range raw.HGetAll(t.Context(), who).Val() {
		must(t, raw.HSet(t.Context(), who, place, "x").Err())
	}
	put(t, s, state.Handoff{IdentityID: "b", Subject: subject})
	run(t, s)
	awaitTrue(t, "both", func() bool { return unreadable.Load() == 1 && len(l.List()) == 1 })
	if got := l.List()[0]; got != "b "+subject {
		t.Errorf("reported %s", got)
	}
}

// TestEvicted: a finished profile stays finished in a Redis that is full and evicts
// keys.
func TestEvicted(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	raw := client(t, server)
	s := open(t, server, theKey, state.Options{})
	put(t, s, profile(""))
	lease := mustLease(t, s, identity, "", true)
	must(t, raw.Del(t.Context(), raw.Keys(t.Context(), "*:who").Val()...).Err())
	must(t, lease.Done(t.Context()))
	if left := raw.Keys(t.Context(), "*:kept:*").Val(); len(left) != 0 {
		t.Errorf("%v is there after it was done", left)
	}
	put(t, s, profile(""))
	must(t, lease.Done(t.Context()))
	mustLease(t, s, identity, "", true)
}

// TestAnotherKey: stores with different keys share nothing and do not disturb each
// other.
func TestAnotherKey(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	fault := func(err error) { t.Error(err) }
	var before, after reports
	old := open(t, server, theKey, state.Options{TTL: 300 * time.Millisecond, Expired: before.Expired, Fault: fault})
	changed := open(t, server, theKey+"!", state.Options{TTL: 300 * time.Millisecond, Expired: after.Expired, Fault: fault})
	put(t, old, profile(""))
	must(t, old.Remember(t.Context(), [32]byte{1}, []byte("answer"), time.Minute))
	mustLease(t, changed, identity, "", false)
	recall(t, changed, [32]byte{1}, "")
	if old.HashKey() == changed.HashKey() {
		t.Error("two keys hash the same")
	}
	run(t, old, changed)
	awaitTrue(t, "the old one's", func() bool { return len(before.List()) == 1 })
	if len(after.List()) != 0 {
		t.Errorf("reported %v", after.List())
	}
}
