package state_test

import (
	"strings"
	"testing"
	"time"

	"ferry/state"
	"ferry/test/redistest"
)

// TestLeaseWithoutProfileIsOneGet: if no profile is waiting, as in nearly every login,
// Lease costs one GET.
func TestLeaseWithoutProfileIsOneGet(t *testing.T) {
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

// TestLeaseRunsOutInRedis: a lease is a key that expires. The test shortens its time
// to live.
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
	awaitTrue(t, "its end", func() bool {
		lease, ok, err := s.Lease(t.Context(), identity, "")
		second = lease
		return ok && err == nil
	})
	must(t, lost.Release(t.Context())) // the lease is held by another
	mustLease(t, s, identity, "", false)
	must(t, lost.Done(t.Context())) // the late holder did write the profile
	must(t, second.Release(t.Context()))
	mustLease(t, s, identity, "", false)
}
