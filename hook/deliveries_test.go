package hook_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/hook"
	"ferry/outcome"
	"ferry/state"
	"ferry/upstream"
)

// TestRedeliveryToAnotherReplica: two replicas share the outcomes of deliveries, also
// after the first request has long ended.
func TestRedeliveryToAnotherReplica(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	shared := state.NewMemory(state.Options{Now: clock})
	replica := func(o *hook.Options) { o.Store, o.ClaimFor = shared, 9*time.Second }
	trigger := func(r *http.Request) { r.Header.Set("Ory-Webhook-Trigger-Id", "t-1") }
	f := alice()
	first, second := start(t, f, replica), start(t, f, replica)
	f.askErr = &upstream.LoginError{Outcome: outcome.Mismatch, Reason: "wrong_credentials"}
	if got := first.post(t, login(), trigger); got.body != noMatch {
		t.Fatalf("%+v", got)
	}
	f.askErr = nil
	for _, after := range []time.Duration{0, 31 * time.Second} {
		mu.Lock()
		now = now.Add(after)
		mu.Unlock()
		if got := second.post(t, login(), trigger); got.body != noMatch || f.asked() != 1 {
			t.Errorf("after %s: %+v, asked %d times", after, got, f.asked())
		}
		second = start(t, f, replica) // a replica without any memory of its own
	}
	if got := second.post(t, strings.ReplaceAll(login(), canary, canary+"x"), trigger); got.body != matched || f.asked() != 2 {
		t.Errorf("another password: %+v, asked %d times", got, f.asked())
	}
}

// watched is a store that reports every claim.
type watched struct {
	*state.Memory
	claims chan struct{}
}

func (w watched) Claim(ctx context.Context, key [32]byte, ttl time.Duration) (bool, error) {
	won, err := w.Memory.Claim(ctx, key, ttl)
	w.claims <- struct{}{}
	return won, err
}

func (w watched) claimed(t *testing.T) {
	t.Helper()
	select {
	case <-w.claims:
	case <-time.After(20 * time.Second):
		t.Fatal("the delivery was not claimed")
	}
}

// TestRedeliveryOfASharedRequest: a delivery that joins the request of another
// delivery is known to the other replicas too, during the request and after it.
func TestRedeliveryOfASharedRequest(t *testing.T) {
	shared := watched{state.NewMemory(state.Options{}), make(chan struct{}, 1000)}
	replica := func(o *hook.Options) { o.Store, o.ClaimFor = shared, time.Minute }
	f, released := alice(), make(chan struct{})
	f.ask = func() { <-released }
	one, other := start(t, f, replica), start(t, f, replica)
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	var posts sync.WaitGroup
	post := func(to *harness, delivery string) {
		posts.Go(func() {
			got := to.post(t, login(), func(r *http.Request) { r.Header.Set("Ory-Webhook-Trigger-Id", delivery) })
			if got.body != matched {
				t.Errorf("%s: %+v", delivery, got)
			}
		})
	}
	post(one, "t-1")
	shared.claimed(t)
	post(one, "t-2")
	shared.claimed(t)
	post(other, "t-2")
	shared.claimed(t)
	release()
	posts.Wait()
	post(start(t, f, replica), "t-2")
	posts.Wait()
	if f.asked() != 1 {
		t.Errorf("asked %d times", f.asked())
	}
}
