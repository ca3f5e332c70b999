package limit_test

import (
	"context"
	"sync"
	"testing"

	"ferry/attempt"
	"ferry/limit"
	"ferry/outcome"
	"ferry/test/await"
	"ferry/upstream"
)

// parallel are logins at the same time.
type parallel struct {
	replicas []*replica
	n        int
	login    func(i int) attempt.Login
	// together is how many must be in flight before Auth0 answers the first.
	together int
}

// happened is what became of them.
type happened struct {
	asked, most int // how often Auth0 was asked, and of how many logins at the same time
	refused     map[string]int
}

// run lets Auth0 answer all logins with o.
func (p parallel) run(t *testing.T, o outcome.Outcome) happened {
	t.Helper()
	var mu sync.Mutex
	got, flying, together := happened{refused: map[string]int{}}, 0, make(chan struct{})
	if p.together == 0 {
		close(together)
	}
	var logins sync.WaitGroup
	for i := range p.n {
		logins.Go(func() {
			settle, refusal := p.replicas[i%len(p.replicas)].Admit(t.Context(), p.login(i))
			mu.Lock()
			if refusal != nil {
				got.refused[refusal.Reason]++
				mu.Unlock()
				return
			}
			got.asked++
			flying++
			got.most = max(got.most, flying)
			if got.asked == p.together {
				close(together)
			}
			mu.Unlock()
			select {
			case <-together:
			case <-t.Context().Done():
			}
			mu.Lock()
			flying--
			mu.Unlock()
			_ = settle(t.Context(), answer(o))
		})
	}
	logins.Wait()
	return got
}

// TestParallel: logins in flight do not pass a limit together. The others wait for their turn:
// they are refused only if the limit is really reached.
func TestParallel(t *testing.T) {
	r := start(t, nil)
	logins := parallel{replicas: []*replica{r}, n: 64, together: 9, login: func(int) attempt.Login { return loginOf("ada", home) }}
	for _, o := range []outcome.Outcome{outcome.Unavailable, outcome.Match} {
		if got := logins.run(t, o); got.asked != 64 || got.most != 9 {
			t.Errorf("%s: %+v, want all, 9 at a time", o, got)
		}
	}
	if got := logins.run(t, outcome.Mismatch); got.asked != 9 || got.refused[limit.ReasonUserAddress] != 55 {
		t.Errorf("wrong passwords: %+v, want 9", got)
	}
	logins.together = 0
	if got := logins.run(t, outcome.Mismatch); got.asked != 0 {
		t.Errorf("more wrong passwords: %+v", got)
	}
	logins.login = func(i int) attempt.Login { return loginOf("bob", "198.51.100."+string(rune('0'+i%10))) }
	logins.together = 50
	if got := logins.run(t, outcome.Mismatch); got.asked != 50 || got.refused[limit.ReasonUser] != 14 {
		t.Errorf("a user from many addresses: %+v, want 50", got)
	}
}

// TestTurn: a login whose turn does not come ends as an outage, and not as a wrong password:
// nothing is known of its password.
func TestTurn(t *testing.T) {
	r := start(t, func(o *limit.Options) { o.BruteForce = 2 })
	settle, refusal := r.Admit(t.Context(), loginOf("ada", home))
	if refusal != nil {
		t.Fatal(refusal)
	}
	refused := make(chan *upstream.LoginError, 1)
	go func() {
		_, refusal := r.Admit(t.Context(), loginOf("ada", home))
		refused <- refusal
	}()
	if !await.True(func() bool { r.clock.advance(limit.TurnTime / 4); return len(refused) == 1 }) {
		t.Fatal("the login waits for ever")
	}
	if refusal := <-refused; refusal == nil || refusal.Outcome != outcome.Limited || refusal.Reason != limit.ReasonInFlight {
		t.Errorf("%v", refusal)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if settle, refusal := r.Admit(left, loginOf("ada", home)); settle != nil || refusal.Reason != limit.ReasonInFlight {
		t.Errorf("%v", refusal)
	}
	if n := sample(t, r.registry, "ferry_limit_refusals_total", limit.ReasonInFlight); n != 2 {
		t.Errorf("%v refusals", n)
	}
	_ = settle(t.Context(), answer(outcome.Mismatch))
	r.refused(t, loginOf("ada", home), outcome.Locked, limit.ReasonUserAddress)
}
