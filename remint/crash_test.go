package remint_test

import (
	"fmt"
	"testing"
	"time"
)

// maxSteps is more than a re-mint has.
const maxSteps = 60

// TestKilledAtEveryStep kills ferry before and after each step of a re-mint, and tries again with
// the same token: everyone ends with a chain of tokens that works, for the right user. Auth0 sees
// the token twice only if the process ended before its answer was written, and refuses it then
// only if it rotates tokens without an overlap period.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for name, tenant := range map[string]func(*fakeAuth0){
		"not rotating":           func(*fakeAuth0) {},
		"rotating, with overlap": func(a *fakeAuth0) { a.rotates, a.leeway = true, time.Minute },
		"rotating":               func(a *fakeAuth0) { a.rotates = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kill := 1
			for kill <= maxSteps && killedAt(t, kill, false, tenant) && killedAt(t, kill, true, tenant) {
				kill++
			}
			if kill < 15 || kill > maxSteps {
				t.Errorf("a re-mint has %d steps", kill-1)
			}
		})
	}
}

// killedAt kills a process at a step, and reports false if it ended before.
func killedAt(t *testing.T, kill int, after bool, tenant func(*fakeAuth0)) bool {
	t.Helper()
	w := newWorld(t)
	w.auth0.set(tenant)
	first := w.start(kill, after)
	given := first.refresh("old")
	if !first.dead && given.Status != 200 {
		t.Fatalf("step %d was not reached: %s", kill, errorOf(given))
	}
	if !first.dead {
		return false
	}
	point := fmt.Sprintf("killed at step %d (%s, after it: %v)", kill, first.killed, after)
	if given.Status != 200 && given.Status != 503 {
		t.Errorf("%s: it answered %s", point, errorOf(given))
	}
	w.later(2 * time.Second)
	gap := first.unwritten
	second := w.start(0, false)
	again := second.refresh("old")
	times := w.auth0.times("old")
	switch {
	case gap && w.auth0.rotates && w.auth0.leeway == 0:
		if got := errorOf(again); got != "403 invalid_grant" {
			t.Errorf("%s: in the gap: %s", point, got)
		}
		return true
	case again.Status != 200:
		t.Errorf("%s: the next try: %s, %v", point, errorOf(again), second.reasons())
		return true
	case gap != (times == 2), times > 2:
		t.Errorf("%s: Auth0 saw the token %d times", point, times)
	}
	if got := w.use(second, again); got != identity {
		t.Errorf("%s: the chain is for %q", point, got)
	}
	return true
}
