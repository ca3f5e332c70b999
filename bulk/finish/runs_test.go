package finish_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"ferry/bulk/finish"
	"ferry/bulk/undo"
	"ferry/test/await"
	"ferry/test/bulktest"
)

// TestFinishRuns: finish ends the pending state of what every run left: a whole run, one
// that was interrupted before it wrote a result, and one that is half undone. An undo then
// keeps what finish has ended.
func TestFinishRuns(t *testing.T) {
	t.Parallel()
	const whole, half = "5f0c41c8-7c1b-4b44-8f0e-1c1d1f1a0001", "5f0c41c8-7c1b-4b44-8f0e-1c1d1f1a0002"
	f := bulktest.NewKratos(t)
	add := func(run string, i int) {
		name := fmt.Sprintf("%s-%d", run[len(run)-1:], i)
		f.Add(bulktest.Marked(bulktest.Pending("auth0|"+name, name+"@x.test"), bulktest.With{"import": map[string]any{"run": run, "as": "created_pending"}}))
	}
	for i := range 6 {
		add(whole, i)
	}
	for i := range 20 {
		add(half, i)
	}
	takeBack := func(ctx context.Context) (undo.Summary, error) {
		return undo.Undo(ctx, undo.Options{
			Kratos: f.Client(), Run: half, Write: true, RetryFor: 20 * time.Second, Progress: &bulktest.Quiet{}, Now: bulktest.Now,
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	f.On = func(kind string, n int) bulktest.Fault {
		if kind != "delete" || n < 5 {
			return bulktest.Well
		}
		if n == 5 { // the four before are done, and no other is begun
			if !await.True(func() bool { return len(f.All()) == 22 }) {
				t.Error("four deletions take too long")
			}
			cancel()
		}
		return bulktest.Hangs
	}
	if _, err := takeBack(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("the undo ends with %v", err)
	}
	// No later call deletes; a deletion that was sent already must hang, too.
	const left = 16
	if all := len(f.All()); all != 6+left {
		t.Fatalf("%d are left", all)
	}

	x := newFinish(t, f)
	summary, words := x.must()
	if summary.Pending != 6+left || summary.Remaining != 0 || len(words) != 6+left || summary.Failed() != 0 {
		t.Errorf("%+v, %v", summary, words)
	}
	keeps := func(reason string) {
		t.Helper()
		before := f.All()
		s, err := takeBack(t.Context())
		if err != nil || s.OfRun != left || s.Remaining != left || !maps.Equal(s.Reasons, map[string]int{"skipped: " + reason: left}) || len(f.All()) != len(before) {
			t.Errorf("%+v, %v", s, err)
		}
	}
	keeps("finished")
	x.opts.Undo = true
	if summary, _ := x.must(); summary.Remaining != 6+left {
		t.Errorf("%+v", summary)
	}
	keeps("changed")
}

// TestFinishDuringUndo: identities that an undo deletes while finish runs are no failure.
func TestFinishDuringUndo(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	for i := range 30 {
		f.Add(bulktest.Pending(fmt.Sprintf("auth0|%d", i), fmt.Sprintf("p%d@x.test", i)))
	}
	f.On = func(kind string, n int) bulktest.Fault {
		if kind == "put" && n == 5 {
			f.Mu.Lock()
			defer f.Mu.Unlock()
			for id, p := range f.People {
				if p.Hook {
					delete(f.People, id)
				}
			}
		}
		return bulktest.Well
	}
	x := newFinish(t, f)
	x.opts.Results = nil // those of deleted identities do not say whose they were
	summary, err := finish.Run(t.Context(), x.opts)
	if err != nil || summary.Remaining != 0 || summary.Failed() != 0 || summary.Reasons["skipped: deleted"] == 0 {
		t.Errorf("%+v, %v", summary, err)
	}
	if again, err := finish.Run(t.Context(), x.opts); err != nil || again.Pending != 0 || again.Remaining != 0 {
		t.Errorf("%+v, %v", again, err)
	}
}
