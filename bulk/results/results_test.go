package results_test

import (
	"testing"

	"ferry/bulk/results"
)

// The accounts that are merged into a new identity are merged, whatever the identity is; those
// of a row that gets no identity share its outcome.
func TestOfAccounts(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[results.Outcome]results.Outcome{
		results.CreatedHash: results.Merged, results.CreatedPending: results.Merged, results.CreatedSocial: results.Merged, results.CreatedCode: results.Merged,
		results.Skipped: results.Skipped, results.Failed: results.Failed,
	} {
		r := results.Result{Line: 2, UserID: "auth0|2", Outcome: outcome, IdentityID: "id", Reason: "word", Accounts: []results.Account{{Line: 1, UserID: "github|1"}}}
		all := r.OfAccounts()
		if len(all) != 1 || all[0].Line != 1 || all[0].UserID != "github|1" || all[0].Outcome != want || all[0].IdentityID != "id" || (all[0].Reason == "") != (want == results.Merged) {
			t.Errorf("%s: %+v", outcome, all)
		}
	}
}
