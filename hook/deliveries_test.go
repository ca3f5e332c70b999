package hook_test

import (
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

// TestRedeliveryToAnotherReplica: two hooks share what they know of deliveries, and
// the answer to the first counts long after nobody asks any more.
func TestRedeliveryToAnotherReplica(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	shared := state.NewMemory(state.Options{Now: clock})
	replica := func(o *hook.Options) { o.Deliveries, o.ClaimFor = shared, 9*time.Second }
	trigger := func(r *http.Request) { r.Header.Set("Ory-Webhook-Trigger-Id", "t-1") }
	f := alice()
	first, second := start(t, f, replica), start(t, f, replica)
	f.askErr = &upstream.Refusal{Outcome: outcome.Mismatch, Reason: "wrong_credentials"}
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
		second = start(t, f, replica) // one that remembers nothing itself
	}
	if got := second.post(t, strings.ReplaceAll(login(), canary, canary+"x"), trigger); got.body != matched || f.asked() != 2 {
		t.Errorf("another password: %+v, asked %d times", got, f.asked())
	}
}
