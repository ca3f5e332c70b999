package runs_test

import (
	"fmt"
	"strings"
	"testing"

	"ferry/bulk/kind"
	"ferry/bulk/runs"
	"ferry/test/bulktest"
)

// TestRead: each run is listed with its identities as they were created, and as they are.
func TestRead(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	note := func(run, at, as string) bulktest.With {
		return bulktest.With{"import": map[string]any{"run": run, "at": at, "as": as}}
	}
	for i := range 3 {
		name := fmt.Sprint(i)
		f.Add(bulktest.Marked(bulktest.Pending("auth0|"+name, name+"@x.test"), note("second", "2026-11-02T10:00:0"+name+"Z", "created_pending")))
	}
	f.Add(bulktest.Marked(bulktest.Bound("auth0|m", "m@x.test"), note("second", "2026-11-02T11:00:00Z", "created_pending")))
	f.Add(bulktest.Marked(bulktest.Bound("auth0|h", "h@x.test"), note("first", "2026-11-01T10:00:00Z", "created_hash")))
	f.Add(bulktest.Pending("auth0|none", "none@x.test"))
	f.Add(bulktest.Identity{Traits: map[string]any{"email": "native@x.test"}, Hash: bulktest.BcryptHash})
	list, err := runs.Read(t.Context(), f.Client(), &bulktest.Quiet{})
	if err != nil || len(list.Runs) != 2 || list.Identities != 7 || list.Others != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	first, second := list.Runs[0], list.Runs[1]
	if first.ID != "first" || first.Identities != 1 || first.Kinds[kind.Hash] != 1 || first.Created["created_hash"] != 1 {
		t.Errorf("%+v", first)
	}
	if second.ID != "second" || second.Identities != 4 || second.Kinds[kind.Pending] != 3 || second.Kinds[kind.Unnoted] != 1 ||
		second.Created["created_pending"] != 4 || second.First.Hour() != 10 || second.Last.Hour() != 11 {
		t.Errorf("%+v", second)
	}
	var text strings.Builder
	if err := list.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"7 identities in Kratos, 2 of them record no run", "second\n        4 identities, imported from 2026-11-02T10:00:00Z to 2026-11-02T11:00:00Z", "3 pending", "1 migrated_unnoted"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it does not say %q: %s", want, text.String())
		}
	}
	f.On = func(string, int) bulktest.Fault { return bulktest.Refuses403 }
	if _, err := runs.Read(t.Context(), f.Client(), &bulktest.Quiet{}); err == nil {
		t.Error("no error without a list")
	}
	if _, err := runs.Read(t.Context(), nil, &bulktest.Quiet{}); err == nil {
		t.Error("no error without Kratos")
	}
}
