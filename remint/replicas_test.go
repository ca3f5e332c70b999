package remint_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ferry/hydra"
	"ferry/remint"
	"ferry/secret"
	"ferry/state"
	"ferry/test/redistest"
)

const stateKey = "key-0123456789-0123456789-01234567"

// TestReplicas: of requests with one token at two replicas one asks Auth0, and all get its answer.
// If a replica is killed at work, the other one goes on once its claim has ended. What one has
// begun, the other one ends.
func TestReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	w := newWorld(t)
	w.auth0.set(func(a *fakeAuth0) { a.rotates = true })
	replica := func() *process {
		store, err := state.NewRedis(secret.New(server.URL()), secret.New(stateKey), state.Options{Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		w.options = func(o *remint.Options) { o.Store, o.Now = store.Remints(), time.Now }
		return w.start(0, false)
	}
	a, b := replica(), replica()
	answers := make([]remint.Answer, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = []*process{a, b}[i%2].refresh("old") })
	}
	all.Wait()
	for _, one := range answers {
		if one.Status != 200 || string(one.Body) != string(answers[0].Body) {
			t.Errorf("%s, %v, %v", errorOf(one), a.reasons(), b.reasons())
		}
	}
	if n := w.auth0.times("old"); n != 1 {
		t.Errorf("Auth0 saw the token %d times", n)
	}
	if got := w.use(b, answers[0]); got != identity {
		t.Errorf("the chain is for %q", got)
	}
	w.auth0.set(func(a *fakeAuth0) { a.family["second"] = "f2" })
	w.hydra.set(func(h *fakeHydra) { h.fault = onPath("accept", 503) })
	if got := errorOf(a.refresh("second")); got != "503 temporarily_unavailable" {
		t.Error(got)
	}
	w.hydra.set(func(h *fakeHydra) { h.fault = nil })
	if got := errorOf(b.refresh("second")); got != "200" || w.auth0.times("second") != 1 {
		t.Errorf("%s, Auth0 saw it %d times", got, w.auth0.times("second"))
	}
}

// claimed is a store of which another process has claimed every token, until a time.
type claimed struct {
	remint.Store

	until time.Time
}

func (c claimed) Claim(ctx context.Context, key [32]byte, ttl time.Duration) (bool, error) {
	if time.Now().Before(c.until) {
		return false, nil
	}
	return c.Store.Claim(ctx, key, ttl)
}

// TestFile: with the file of one ferry it is the same, and a request whose token another one works
// on waits, or is told to try again.
func TestFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, err := state.OpenRemintFile(filepath.Join(t.TempDir(), state.RemintFileName), secret.New(stateKey), w.time)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	for ahead, want := range map[time.Duration]string{0: "200", 200 * time.Millisecond: "200", time.Hour: "503 temporarily_unavailable"} {
		w.options = func(o *remint.Options) {
			o.Store, o.Timeout = claimed{file, time.Now().Add(ahead)}, 5*time.Second
			if ahead == time.Hour {
				o.Timeout = 100 * time.Millisecond
			}
		}
		p := w.start(0, false)
		if got := errorOf(p.refresh("old")); got != want {
			t.Errorf("%v: %s, %v", ahead, got, p.reasons())
		}
		if used := p.Refresh(t.Context(), remint.Request{Credentials: hydra.Credentials{ClientID: clientID, Method: hydra.None}}); used.Status != 403 {
			t.Errorf("without a token: %s", errorOf(used))
		}
	}
}

// TestUsedLeavesTheClaim: while one replica works on a token, the use of a new token at another one
// does not end its claim early, so that no one else redeems the token meanwhile.
func TestUsedLeavesTheClaim(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	w := newWorld(t)
	replica := func() *process {
		store, err := state.NewRedis(secret.New(server.URL()), secret.New(stateKey), state.Options{Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		w.options = func(o *remint.Options) {
			o.Store, o.Now, o.Grace = store.Remints(), time.Now, time.Nanosecond
		}
		return w.start(0, false)
	}
	a, b := replica(), replica()
	chain := tokenOf(t, a.refresh("old"))
	at, goOn := make(chan struct{}), make(chan struct{})
	w.hydra.set(func(h *fakeHydra) {
		h.fault = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "login/accept") {
				close(at)
				<-goOn
			}
			return false
		}
	})
	done := make(chan string)
	go func() { done <- errorOf(a.refresh("old")) }()
	<-at
	b.Used(t.Context(), secret.New(chain))
	raw := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = raw.Close() })
	names := raw.Keys(t.Context(), "ferry:*:claim:*").Val()
	if len(names) != 1 {
		t.Fatalf("%d claims", len(names))
	}
	if left := raw.PTTL(t.Context(), names[0]).Val(); left < 10*time.Second {
		t.Errorf("the claim ends in %v, and the work may take 10 seconds", left)
	}
	close(goOn)
	if got := <-done; got != "200" {
		t.Error(got)
	}
}
