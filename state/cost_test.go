package state_test

import (
	"strings"
	"testing"
	"time"

	"ferry/state"
	"ferry/test/redistest"
)

// TestTakeNothingIsOneGet: it is what nearly every login does.
func TestTakeNothingIsOneGet(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	s, raw := open(t, server, theKey, state.Options{}), client(t, server)
	must(t, s.Ping(t.Context()))
	must(t, raw.ConfigResetStat(t.Context()).Err())
	mustLease(t, s, identity, "flow", false)
	stats := raw.Info(t.Context(), "commandstats").Val()
	if !strings.Contains(stats, "cmdstat_get:calls=1,") || strings.Contains(stats, "cmdstat_eval") {
		t.Errorf("asked:\n%s", stats)
	}
}

// TestLeaseRunsOutInRedis, hurried: a lease is a key that ends by itself.
func TestLeaseRunsOutInRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	s, raw := open(t, server, theKey, state.Options{}), client(t, server)
	put(t, s, profile(""))
	lost := mustLease(t, s, identity, "", true)
	name := raw.Keys(t.Context(), "*:lease:*").Val()[0]
	if ttl := raw.PTTL(t.Context(), name).Val(); ttl <= 0 || ttl > state.LeaseTime {
		t.Errorf("a lease of %v", ttl)
	}
	must(t, raw.PExpire(t.Context(), name, time.Millisecond).Err())
	var second state.Lease
	await(t, "its end", func() bool {
		lease, ok, err := s.Lease(t.Context(), identity, "")
		second = lease
		return ok && err == nil
	})
	must(t, lost.Release(t.Context())) // no longer its own
	mustLease(t, s, identity, "", false)
	must(t, lost.Done(t.Context())) // it was written after all
	must(t, second.Release(t.Context()))
	mustLease(t, s, identity, "", false)
}
