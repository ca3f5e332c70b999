package bulk

import (
	"strings"
	"testing"

	"ferry/test/kratostest"
)

// TestDeletedSince: a run that continues reports the identities that somebody deleted since,
// and creates them again only with --recreate-deleted.
func TestDeletedSince(t *testing.T) {
	x := newTenant(t, 60, 5)
	k := newKratos(t, kratostest.Options{})
	run := x.create("--results", x.path("results"))
	ferry(t, adminURL(k), run...).want(t, 1)
	first := x.read(t, "results")
	var deleted []result
	for _, r := range parseLines[result](t, []byte(first)) {
		if strings.HasPrefix(r.Outcome, "created_") && len(deleted) < 2 {
			deleted = append(deleted, r)
			if err := k.Delete(t.Context(), r.IdentityID); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := len(everybody(t, k))
	ferry(t, adminURL(k), run...).want(t, 1, "warning: 2 identities that this run created are gone from Kratos", "are not created again, unless you add --recreate-deleted")
	if x.read(t, "results") != first || len(everybody(t, k)) != before {
		t.Error("something was written")
	}
	ferry(t, adminURL(k), append(run, "--recreate-deleted")...).want(t, 1, "2 identities that this run created are gone from Kratos", "they are created again")
	again := parseLines[result](t, []byte(strings.TrimPrefix(x.read(t, "results"), first)))
	if len(again) != 2 || len(everybody(t, k)) != before+2 {
		t.Fatalf("then it did %+v", again)
	}
	for i, r := range again {
		if r.Line != deleted[i].Line || r.Outcome != deleted[i].Outcome || r.IdentityID == deleted[i].IdentityID {
			t.Errorf("%+v was created again as %+v", deleted[i], r)
		}
	}
	a := ferry(t, adminURL(k), append(run, "--recreate-deleted")...).want(t, 1, "the run was already complete: there was nothing left to do")
	if strings.Contains(a.stderr, "gone") {
		t.Error(a.stderr)
	}
}
