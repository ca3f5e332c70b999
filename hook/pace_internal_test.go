package hook

import (
	"testing"
	"time"

	"ferry/outcome"
)

// TestDraw: the time of a refusal is that of one of the latest wrong passwords.
func TestDraw(t *testing.T) {
	p := newPace()
	for range 100 {
		if d := p.draw(); d < firstDelay || d >= 2*firstDelay {
			t.Fatalf("before the first wrong password: %s", d)
		}
	}
	for i := range 3 * paceSamples {
		p.observe(time.Duration(i) * time.Microsecond)
	}
	seen := map[time.Duration]bool{}
	for range 10 * paceSamples {
		d := p.draw()
		if d < 2*paceSamples*time.Microsecond || d >= 3*paceSamples*time.Microsecond {
			t.Fatalf("not one of the latest: %s", d)
		}
		seen[d] = true
	}
	if len(seen) < paceSamples*9/10 {
		t.Errorf("only %d of the times", len(seen))
	}
	p = newPace()
	p.observe(time.Hour)
	if d := p.draw(); d != longestDelay {
		t.Errorf("a delay of %s", d)
	}
}

// TestTellsByTime: exactly the refusals that the user sees as wrong credentials are delayed,
// and one that few users see as an outage. The end of the migration is the same for everybody.
func TestTellsByTime(t *testing.T) {
	for _, o := range outcome.All() {
		status, _ := Answer(o)
		want := status == 403 && o != outcome.Closed || o == outcome.NotPending
		if tellsByTime(o) != want {
			t.Errorf("%s: %v", o, !want)
		}
	}
}
