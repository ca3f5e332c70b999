package reconcile

import (
	"testing"

	"ferry/bulk/kind"
)

// TestVerdict: users who must recover their account after finish are counted separately.
func TestVerdict(t *testing.T) {
	r := Result{
		Users: 5, Blocked: 1,
		Kinds: map[kind.Kind]int{kind.Migrated: 2, kind.Finished: 2, kind.Inactive: 1},
	}
	const want = "verdict: 2 of Auth0's 5 users (40.0 %) can log in to Kratos today: 2 with a password that migrated; " +
		"3 cannot, of whom 1 are blocked at Auth0 too, 2 have to recover their account first (finished)"
	if got := r.verdict(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
