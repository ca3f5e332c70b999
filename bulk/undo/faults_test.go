package undo_test

import (
	"strings"
	"testing"

	"ferry/test/bulktest"
)

// TestUndoFaults: a Kratos that fails does not make undo report what is not so.
func TestUndoFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind  string
		fault bulktest.Fault
		want  string
		fails string
	}{
		"the answer is lost":    {"delete", bulktest.Lost, "deleted", ""},
		"it crashes":            {"delete", bulktest.Crashes, "deleted", ""},
		"it drops the request":  {"delete", bulktest.Drops, "deleted", ""},
		"it is too busy":        {"delete", bulktest.Refuses503, "deleted", ""},
		"no read":               {"read", bulktest.Refuses503, "deleted", ""},
		"no sessions":           {"sessions", bulktest.Drops, "deleted", ""},
		"sessions are no list":  {"sessions", bulktest.Misreads, "skipped:unknown", ""},
		"the identity is empty": {"read", bulktest.Misreads, "skipped:unknown", ""},
		"a refusal":             {"delete", bulktest.Plain409, "failed:kratos", ""},
		"no token":              {"delete", bulktest.Refuses403, "", "delete the identity"},
		"no list":               {"page", bulktest.Refuses403, "", "read the identities"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			id := f.Add(pending("a"))
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == c.kind && n == 1 {
					return c.fault
				}
				return bulktest.Well
			}
			summary, words, err := newUndo(t, f).run(t.Context())
			there := len(f.All())
			switch {
			case c.fails != "":
				if err == nil || !strings.Contains(err.Error(), c.fails) || there != 1 || len(words) != 0 {
					t.Errorf("the error is %v, %v", err, words)
				}
			case err != nil || words[id] != c.want || summary.Remaining != there || (there == 0) != (c.want == "deleted"):
				t.Errorf("%v, %+v, %v, %d are there", words, summary, err, there)
			}
		})
	}
}

// TestUndoRefusedDeletions: a proxy that answers 404 to deletions deletes nothing.
func TestUndoRefusedDeletions(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := f.Add(pending("a"))
	f.On = func(kind string, _ int) bulktest.Fault {
		if kind == "delete" {
			return bulktest.Plain404
		}
		return bulktest.Well
	}
	if summary, words := newUndo(t, f).must(); words[id] != "failed:kratos" || summary.Failed() != 1 || summary.Remaining != 1 {
		t.Errorf("%v, %+v", words, summary)
	}
}
