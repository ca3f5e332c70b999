package undo_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/bulk/results"
	"ferry/bulk/undo"
	"ferry/test/bulktest"
)

// TestUndoAgain: an interrupted call is continued by the same call, and its results file
// has each identity once, however often it is called.
func TestUndoAgain(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	wants := map[string]string{}
	for i := range 20 {
		p, want := hashed(fmt.Sprint(i)), "deleted"
		if i%5 == 0 {
			p.Sessions, want = 1, "skipped:session"
		}
		wants[f.Add(p)] = want
	}
	path := filepath.Join(t.TempDir(), "undo.ndjson")
	x := newUndo(t, f)
	call := func(ctx context.Context) (undo.Summary, int, error) { return x.into(ctx, path) }
	x.opts.Write = false
	_, earlier, err := call(t.Context())
	if lines := strings.Count(bulktest.ReadFile(t, path), `"dry_run":true`); err != nil || earlier != 0 || lines != 20 {
		t.Errorf("a dry run: %d earlier, %d lines, %v", earlier, lines, err)
	}
	x.opts.Write = true
	ctx, cancel := context.WithCancel(t.Context())
	f.On = func(kind string, n int) bulktest.Fault {
		if kind == "delete" && n == 8 {
			cancel()
			return bulktest.Lost
		}
		return bulktest.Well
	}
	if summary, _, err := call(ctx); !errors.Is(err, context.Canceled) || summary.Remaining == 20 || summary.Remaining == 4 {
		t.Errorf("%+v, %v", summary, err)
	}
	f.EndFaults()
	for range 2 {
		summary, earlier, err := call(t.Context())
		if err != nil || summary.Remaining != 4 || earlier == 0 || summary.Outcomes[results.Skipped] != 4 {
			t.Errorf("%+v, %d earlier, %v", summary, earlier, err)
		}
	}
	x.checkFile(path, wants)
	if len(f.All()) != 4 {
		t.Errorf("%d are left", len(f.All()))
	}
}

// checkFile checks the results of the real calls in a results file.
func (x *undoing) checkFile(path string, wants map[string]string) {
	x.Helper()
	dry := regexp.MustCompile(`(?m)^.*"dry_run":true.*\n`)
	got := words(x.T, dry.ReplaceAllString(bulktest.ReadFile(x.T, path), ""))
	for id, want := range wants {
		// The answer to some deletions was lost with the interruption.
		if lost := want == "deleted" && got[id] == ""; !lost && got[id] != want {
			x.Errorf("%s is %q, not %q", id, got[id], want)
		}
	}
	if len(got) < 12 {
		x.Errorf("%d results", len(got))
	}
}

// into undoes with a results file. It also returns how many identities earlier calls
// deleted.
func (x *undoing) into(ctx context.Context, path string) (undo.Summary, int, error) {
	x.Helper()
	to, err := undo.OpenResults(path, wrong)
	if err != nil {
		x.Fatal(err)
	}
	if _, err := undo.OpenResults(path, wrong); err == nil {
		x.Error("two calls write one file")
	}
	earlier := to.Earlier()
	x.opts.Results = to
	summary, err := undo.Undo(ctx, x.opts)
	return summary, earlier, errors.Join(err, to.Close())
}

// TestUndoOtherFile: a file that is not of the run is refused.
func TestUndoOtherFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "undo.ndjson")
	bulktest.WriteFile(t, path, `{"run":"`+wrong+`","identity_id":"1","outcome":"deleted"}`+"\n")
	if _, err := undo.OpenResults(path, right); err == nil || !strings.Contains(err.Error(), "it is of the run "+wrong) {
		t.Errorf("the error is %v", err)
	}
	bulktest.WriteFile(t, path, `{"line":1,"outcome":"skipped"}`+"\n")
	if _, err := undo.OpenResults(path, wrong); err == nil || !strings.Contains(err.Error(), "not a result of undo") {
		t.Errorf("the error is %v", err)
	}
}
