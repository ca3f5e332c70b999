package outcome_test

import (
	"testing"

	"ferry/outcome"
)

func TestEveryOutcomeHasItsOwnName(t *testing.T) {
	seen := map[string]outcome.Outcome{}
	for _, o := range outcome.All() {
		if other, taken := seen[o.String()]; taken {
			t.Errorf("outcomes %d and %d are both called %s", o, other, o)
		}
		seen[o.String()] = o
	}
	if len(seen) != 21 {
		t.Errorf("%d outcomes, want the 21 of the answer table", len(seen))
	}
}

func TestUnknownOutcomeIsGarbled(t *testing.T) {
	for _, o := range []outcome.Outcome{0, outcome.InvalidResponse + 1, 255} {
		if o.String() != "garbled" {
			t.Errorf("outcome %d is called %s", o, o)
		}
	}
}
