package state_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ferry/secret"
	"ferry/state"
	"ferry/test/redistest"
)

// rules is the ACL line from the documentation of state.Redis.
const rules = "~ferry:* +get +set +del +getrange +pttl +pexpire +time +eval +evalsha " +
	"+hset +hget +hdel +zadd +zscore +zrem +zrangebyscore +ping"

// everything returns a call of each method that uses Redis.
func everything(t *testing.T, s *state.Redis) map[string]func() error {
	t.Helper()
	ctx, key := t.Context(), [32]byte{9}
	return map[string]func() error{
		"keep":     func() error { return s.Put(ctx, profile("")) },
		"take":     func() error { _, _, err := s.Lease(ctx, identity, ""); return err },
		"unclaim":  func() error { return s.Unclaim(ctx, key) },
		"remember": func() error { return s.Remember(ctx, key, []byte("x"), time.Minute) },
		"recall":   func() error { _, _, err := s.Recall(ctx, key); return err },
		"claim":    func() error { _, err := s.Claim(ctx, key, time.Minute); return err },
		"ping":     func() error { return s.Ping(ctx) },
		"take login": func() error {
			_, err := s.FailedLogins().Take(ctx, failedLogin, failedLoginRules)
			return err
		},
		"settle login": func() error {
			_, err := s.FailedLogins().Settle(ctx, failedLogin, failedLoginRules, state.Failed)
			return err
		},
		"refused": func() error { _, err := s.FailedLogins().Refused(ctx, failedLogin.User); return err },
		"users register": func() error {
			_, err := s.Register().Has(ctx, []string{subject})
			return err
		},
		"write remint":  func() error { return s.Remints().Put(ctx, key, []byte("x"), time.Minute) },
		"read remint":   func() error { _, _, err := s.Remints().Get(ctx, key); return err },
		"delete remint": func() error { return s.Remints().Delete(ctx, key) },
		"count remint":  func() error { return s.Remints().CountUse(ctx, "app", time.Now()) },
		"read remint counts": func() error {
			_, err := s.Remints().Uses(ctx)
			return err
		},
		"add to the history":   func() error { return s.History().Add(ctx, "x", map[string]int{"match": 1}, time.Hour) },
		"put into the history": func() error { return s.History().Put(ctx, "y", []byte("{}"), time.Hour) },
		"read the history":     func() error { _, err := s.History().Read(ctx, []string{"x", "y", "z"}); return err },
	}
}

func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	a, b := open(t, server, theKey, state.Options{}), open(t, server, theKey, state.Options{})

	put(t, a, profile("flow-1"))
	lease := mustLease(t, b, identity, "flow-1", true)
	mustLease(t, a, identity, "flow-1", false)
	must(t, lease.Release(t.Context()))
	must(t, mustLease(t, a, identity, "flow-1", true).Done(t.Context()))
	mustLease(t, b, identity, "flow-1", false)

	must(t, a.Remember(t.Context(), [32]byte{1}, []byte("answer"), time.Minute))
	recall(t, b, [32]byte{1}, "answer")
	claim(t, a, [32]byte{1}, time.Minute, true)
	claim(t, b, [32]byte{1}, time.Minute, false)
	if a.HashKey() != b.HashKey() {
		t.Error("two replicas hash in two ways")
	}
}

// TestEachIsReportedOnce: of three replicas, exactly one reports each expired profile,
// also in more than one batch.
func TestEachIsReportedOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	var l reports
	var replicas []store
	for range 3 {
		replicas = append(replicas, open(t, server, theKey, state.Options{TTL: 50 * time.Millisecond, Expired: l.Expired}))
	}
	want := ids(250)
	for i, id := range want {
		put(t, replicas[i%3], state.Handoff{IdentityID: id, Subject: subject})
		want[i] += " " + subject
	}
	stop := run(t, replicas...)
	awaitTrue(t, "all of them", func() bool { return len(l.List()) >= len(want) })
	stop()
	if got := l.List(); !slices.Equal(got, want) {
		t.Errorf("%d reports, want %d", len(got), len(want))
	}
	if left := dump(t, server); len(left) != 0 {
		t.Errorf("left in Redis: %d", len(left))
	}
}

// TestExpiresInRedis: a profile expires in Redis without any replica running, and so
// does the data with which a replica reports it.
func TestExpiresInRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	s := open(t, server, theKey, state.Options{TTL: 50 * time.Millisecond})
	put(t, s, profile(""))
	raw := client(t, server)
	names := func(kind string) []string { return raw.Keys(t.Context(), "ferry:*:"+kind).Val() }
	awaitTrue(t, "the profile's end", func() bool { return len(names("kept:*")) == 0 })
	for _, kind := range []string{"due", "who"} {
		for _, name := range names(kind) {
			if ttl := raw.PTTL(t.Context(), name).Val(); ttl <= time.Hour || ttl > 24*time.Hour {
				t.Errorf("%s stays for %v", kind, ttl)
			}
		}
		if len(names(kind)) != 1 {
			t.Errorf("%s: %v", kind, names(kind))
		}
	}
}

func TestTLSAndACL(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{TLS: true, User: "ferry", Password: "p:a/s@s-canary", Rules: rules})
	var l reports
	s := open(t, server, theKey, state.Options{TTL: 2 * time.Second, Expired: l.Expired, Fault: func(err error) { t.Error(err) }})
	for name, call := range everything(t, s) {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	put(t, s, profile(""))
	lease := mustLease(t, s, identity, "", true)
	must(t, lease.Release(t.Context()))
	must(t, mustLease(t, s, identity, "", true).Done(t.Context()))
	put(t, s, profile(""))
	run(t, s)
	awaitTrue(t, "the unclaimed one", func() bool { return len(l.List()) == 1 })

	for name, test := range map[string]struct{ url, want string }{
		"wrong password":     {strings.Replace(server.URL(), "canary", "wrong-canary", 1), "WRONGPASS"},
		"no user":            {"rediss://" + server.Addr(), "NOAUTH"},
		"in clear":           {strings.Replace(server.URL(), "rediss:", "redis:", 1), "state: ping: "},
		"another name":       {strings.Replace(server.URL(), "127.0.0.1", "localhost", 1), "certificate"},
		"a forbidden SELECT": {server.URL() + "/3", "NOPERM"},
	} {
		r, err := state.NewRedis(secret.New(test.url), secret.New(theKey), state.Options{RootCAs: server.RootCAs(), Timeout: 5 * time.Second})
		must(t, err)
		if err := r.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		must(t, r.Close())
	}
	untrusting, err := state.NewRedis(secret.New(server.URL()), secret.New(theKey), state.Options{Timeout: 5 * time.Second})
	must(t, err)
	defer untrusting.Close()
	if err := untrusting.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an untrusted certificate: %v", err)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	long := secret.New(theKey)
	for _, url := range []string{"redis://127.0.0.1:6379", "redis://127.0.0.1/2", "rediss://ferry:p%40ss@redis.example:6380/0", "redis://:canary@[::1]:6379"} {
		r, err := state.NewRedis(secret.New(url), long, state.Options{})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		must(t, r.Close())
		must(t, r.Close())
	}
	for _, url := range []string{
		"", "memory:", "canary", "http://canary:6379", "unix:///canary", "redis:///canary", "redis://canary/x", "redis://canary/1/2",
		"rediss://canary?skip_verify=true", "redis://u:canary@h:port", "redis://canary\x7f", "redis://canary#x", "redis://u:canary%zz@h",
	} {
		if r, err := state.NewRedis(secret.New(url), long, state.Options{}); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v, %v", url, r, err)
		}
	}
	if _, err := state.NewRedis(secret.New("redis://h"), secret.New(strings.Repeat("k", 31)), state.Options{}); err == nil || strings.Contains(err.Error(), "kkk") {
		t.Errorf("a short key: %v", err)
	}
}

// TestRedisDown: while Redis is stopped, every method fails fast. After it starts
// again, every method works without a restart of ferry.
func TestRedisDown(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	var down, up atomic.Int32
	s := open(t, server, theKey, state.Options{TTL: 400 * time.Millisecond, Timeout: 2 * time.Second, Beat: func(err error) {
		if err != nil {
			down.Add(1)
		} else {
			up.Add(1)
		}
	}})
	put(t, s, profile(""))
	lease := mustLease(t, s, identity, "", true)
	must(t, server.Stop())

	calls := everything(t, s)
	calls["done"] = func() error { return lease.Done(t.Context()) }
	calls["release"] = func() error { return lease.Release(t.Context()) }
	for name, call := range calls {
		if err := fast(t, call); err == nil || !strings.HasPrefix(err.Error(), "state: "+name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	run(t, s)
	awaitTrue(t, "failed looks, each of them reported", func() bool { return down.Load() > 1 })
	must(t, server.Restart(t.Context()))
	awaitTrue(t, "a look that succeeds", func() bool { return up.Load() > 0 })
	awaitTrue(t, "it to come back", func() bool { return s.Put(t.Context(), profile("")) == nil })
	mustLease(t, s, identity, "", true)
	for name, call := range everything(t, s) {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRedisFrozen: Redis accepts connections and never answers. Only a few logins wait
// for it.
func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	const timeout = 500 * time.Millisecond
	s := open(t, server, theKey, state.Options{Timeout: timeout})
	awaitTrue(t, "an answer", func() bool { return s.Ping(t.Context()) == nil })
	must(t, syscall.Kill(server.Pid(), syscall.SIGSTOP))
	paused := 0
	begin := time.Now()
	for range 50 {
		if err := fast(t, func() error { _, _, err := s.Lease(t.Context(), identity, ""); return err }); errors.Is(err, state.ErrPaused) {
			paused++
		} else if err == nil {
			t.Error("an answer from a frozen Redis")
		}
	}
	if took := time.Since(begin); paused < 40 || took > 50*timeout/2 {
		t.Errorf("%d of 50 did not wait, all together %v", paused, took)
	}
	must(t, syscall.Kill(server.Pid(), syscall.SIGCONT))
	awaitTrue(t, "it to come back", func() bool { return s.Put(t.Context(), profile("")) == nil })
	mustLease(t, s, identity, "", true)
}

// TestCallerGone: a caller that disconnects does not count as a failure of Redis.
func TestCallerGone(t *testing.T) {
	t.Parallel()
	s := open(t, redistest.Run(t, redistest.Options{}), theKey, state.Options{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if err := s.Put(gone, profile("")); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	put(t, s, profile(""))
}

func fast(t *testing.T, call func() error) error {
	t.Helper()
	begin := time.Now()
	err := call()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	return err
}

func client(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func keptName(t *testing.T, raw *redis.Client) string {
	t.Helper()
	names := raw.Keys(t.Context(), "*:kept:*").Val()
	if len(names) != 1 {
		t.Fatalf("kept: %v", names)
	}
	return names[0]
}

func flip(text string, at int) string {
	b := []byte(text)
	b[at] ^= 1
	return string(b)
}

// dump returns the contents of Redis by key.
func dump(t *testing.T, server *redistest.Server) map[string][]string {
	t.Helper()
	raw, ctx := client(t, server), t.Context()
	all := map[string][]string{}
	for _, name := range raw.Keys(ctx, "*").Val() {
		switch kind := raw.Type(ctx, name).Val(); kind {
		case "string":
			all[name] = []string{raw.Get(ctx, name).Val()}
		case "hash":
			for field, value := range raw.HGetAll(ctx, name).Val() {
				all[name] = append(all[name], field, value)
			}
		case "zset":
			all[name] = raw.ZRange(ctx, name, 0, -1).Val()
		default:
			t.Errorf("%s is a %s", name, kind)
		}
	}
	return all
}

// TestReplicaRemembersWhileRedisIsDown: a re-delivery to the same replica does not
// need Redis. A re-delivery to another replica finds the outcome in Redis.
func TestReplicaRemembersWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	clock := &clock{}
	opts := state.Options{Now: clock.Now, Timeout: 10 * time.Second}
	s, err := state.NewReplica(secret.New(server.URL()), secret.New(theKey), opts)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	must(t, s.Remember(t.Context(), [32]byte{1}, []byte("match"), time.Minute))
	recall(t, s, [32]byte{1}, "match")
	recall(t, open(t, server, theKey, opts), [32]byte{1}, "match")
	must(t, server.Stop())
	recall(t, s, [32]byte{1}, "match")
	if err := s.Remember(t.Context(), [32]byte{2}, []byte("mismatch"), time.Minute); err == nil {
		t.Error("remembered without Redis")
	}
	recall(t, s, [32]byte{2}, "mismatch")
	clock.Advance(time.Minute)
	if text, ok, err := s.Recall(t.Context(), [32]byte{1}); ok || err == nil {
		t.Errorf("after its time: %q, %v", text, err)
	}
}
