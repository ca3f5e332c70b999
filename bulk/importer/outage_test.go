package importer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/bulk/importer"
	"ferry/test/bulktest"
)

func TestImportThroughFaults(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]bulktest.Fault{
		"503": bulktest.Refuses503, "429": bulktest.Refuses429, "the connection breaks": bulktest.Drops, "no answer": bulktest.Hangs,
		"500 after it was done": bulktest.Crashes, "the connection breaks after it was done": bulktest.Lost,
		"no answer after it was done": bulktest.Late,
	} {
		for _, v131 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, 1.3.1 %v", name, v131), func(t *testing.T) {
				t.Parallel()
				f := bulktest.NewKratos(t)
				f.V131 = v131
				f.On = func(kind string, n int) bulktest.Fault {
					if kind == "batch" && n == 1 || kind == "find" && n == 2 && wrong != bulktest.Late && wrong != bulktest.Hangs {
						return wrong
					}
					return bulktest.Well
				}
				im := newImport(t, f, many(4)...)
				im.opts.Kratos = f.Impatient()
				im.opts.OnConflict = importer.ConflictFail // none of these is one
				_, done := im.must()
				want := "1:created_pending:no_hash 2:created_pending:no_hash 3:created_pending:no_hash 4:created_pending:no_hash"
				if got := words(done); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				checkThere(t, f, done, 0)
				if len(im.told.Warned) != 1 {
					t.Errorf("warned %q, want once", im.told.Warned)
				}
			})
		}
	}
}

// ending is how a run comes to its end before the rows do.
type ending struct {
	kind  string
	wrong bulktest.Fault
	says  string
}

func TestImportEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]ending{
		"gone":                     {"batch", bulktest.Drops, "the same command continues from here"},
		"refuses ferry":            {"batch", bulktest.Refuses403, "kratos refuses ferry's token"},
		"breaks at everything":     {"batch", bulktest.Refuses500, "the same command continues from here"},
		"gone during the scan":     {"page", bulktest.Drops, "read the identities in Kratos"},
		"answers something else":   {"batch", bulktest.Misreads, "the answer of Kratos is not valid"},
		"gone while looking twice": {"ids", bulktest.Drops, "the same command continues from here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.ends(t)
		})
	}
}

func (c ending) ends(t *testing.T) {
	t.Helper()
	f := bulktest.NewKratos(t)
	f.V131 = true
	var repaired atomic.Bool
	f.On = func(kind string, _ int) bulktest.Fault {
		if kind == "batch" && !repaired.Load() && c.kind == "ids" {
			f.Add(bulktest.Identity{ID: "00000000-0000-4000-8000-000000000001", Traits: map[string]any{"email": "u2@x.test"}})
		}
		if kind == c.kind && !repaired.Load() {
			return c.wrong
		}
		return bulktest.Well
	}
	path := t.TempDir() + "/results.ndjson"
	start := func() *importing {
		im := newImport(t, f, many(3)...)
		im.opts.RetryFor = time.Millisecond
		im.journal(path)
		return im
	}
	im := start()
	_, _, err := im.run()
	if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "x.test") {
		t.Fatalf("the error is %v", err)
	}
	if err := im.opts.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	repaired.Store(true)
	im = start()
	summary, _ := im.must()
	if err := im.opts.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	done := parseResults(t, bulktest.ReadFile(t, path))
	others := 0
	if c.kind == "ids" {
		others = 1
	}
	checkThere(t, f, done, others)
	if summary.Rows != 3 || summary.Created() != 3-others {
		t.Errorf("the summary is %+v", summary)
	}
}

// TestImportBrokenKratos: that it breaks at everything is not taken for the rows' fault,
// and not asked of each.
func TestImportBrokenKratos(t *testing.T) {
	t.Parallel()
	for rows, says := range map[int]string{1: "line 1 is alone", 40: "the same command continues from here"} {
		f := bulktest.NewKratos(t)
		f.On = func(kind string, _ int) bulktest.Fault {
			if kind == "batch" {
				return bulktest.Refuses500
			}
			return bulktest.Well
		}
		im := newImport(t, f, many(rows)...)
		im.opts.RetryFor = time.Millisecond
		summary, _, err := im.run()
		if err == nil || !strings.Contains(err.Error(), says) || summary.Failed() != 0 || f.Count("batch") > 20 {
			t.Errorf("%d rows: %v, %+v, %d requests", rows, err, summary, f.Count("batch"))
		}
	}
}

// TestImportKratosComesBack: neither a Kratos that was broken for longer than the run has
// patience, nor one that does not answer while the rows at which it breaks are looked
// for, is a row's fault.
func TestImportKratosComesBack(t *testing.T) {
	t.Parallel()
	const sound = "1:created_pending:no_hash 2:created_pending:no_hash"
	for name, c := range map[string]struct {
		wrong []bulktest.Fault // of the first requests
		want  string
	}{
		"after a row":         {[]bulktest.Fault{bulktest.Refuses500, bulktest.Refuses500, bulktest.Refuses500}, sound},
		"between rows":        {[]bulktest.Fault{bulktest.Refuses500, bulktest.Refuses500, bulktest.Well, bulktest.Refuses503}, sound},
		"a moment":            {[]bulktest.Fault{bulktest.Refuses500, bulktest.Refuses500, bulktest.Refuses503}, sound},
		"it breaks at a row":  {[]bulktest.Fault{bulktest.Refuses500, bulktest.Refuses500, bulktest.Well, bulktest.Refuses500, bulktest.Refuses500}, "1:created_pending:no_hash 2:failed:kratos"},
		"a break, and a drop": {[]bulktest.Fault{bulktest.Refuses500, bulktest.Refuses500, bulktest.Refuses500, bulktest.Drops}, sound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == "batch" && n <= len(c.wrong) {
					return c.wrong[n-1]
				}
				return bulktest.Well
			}
			im := newImport(t, f, many(2)...)
			at := time.Now()
			im.opts.Now = func() time.Time { return at } // only the waits count: one of 200 ms, then there is no patience for 400
			im.opts.RetryFor = 300 * time.Millisecond
			_, done := im.must()
			if got := words(done); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			checkThere(t, f, done, 0)
		})
	}
}

// A run that a split takes to its end ends there: no half is tried after.
func TestImportEndsOnce(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.On = func(kind string, n int) bulktest.Fault {
		switch {
		case kind == "batch" && n <= 2:
			return bulktest.UnknownID // of the first two halves of sixteen
		case kind == "batch":
			return bulktest.Drops
		}
		return bulktest.Well
	}
	im := newImport(t, f, many(16)...)
	im.opts.RetryFor = time.Millisecond
	if _, done, err := im.run(); err == nil || len(done) > 0 {
		t.Errorf("%v and the results %v", err, done)
	}
	if n := f.Count("batch"); n != 3 {
		t.Errorf("%d requests, want three", n)
	}
}

func TestImportIsCancelled(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.On = func(kind string, n int) bulktest.Fault {
		if kind != "batch" || n > 1 {
			return bulktest.Well
		}
		cancel()
		return bulktest.Late
	}
	path := t.TempDir() + "/results.ndjson"
	im := newImport(t, f, many(3)...)
	im.journal(path)
	if _, err := importer.Run(ctx, im.opts); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if err := im.opts.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	im = newImport(t, f, many(3)...)
	im.journal(path)
	im.must()
	if err := im.opts.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	done := parseResults(t, bulktest.ReadFile(t, path))
	if got := words(done); got != "1:created_pending:no_hash 2:created_pending:no_hash 3:created_pending:no_hash" {
		t.Error(got)
	}
	checkThere(t, f, done, 0)
}
