package finish_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/bulk/finish"
	"ferry/test/bulktest"
)

// A results file lists each user that Finish ended once, however earlier runs ended.
func TestFinishResultsFile(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	for i := range 4 {
		f.Add(bulktest.Pending(fmt.Sprintf("auth0|%d", i), fmt.Sprintf("p%d@x.test", i)))
	}
	path := filepath.Join(t.TempDir(), "finish.ndjson")
	x := newFinish(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	run := func(ctx context.Context) (finish.Summary, error) { return x.runInto(ctx, path) }
	f.On = func(kind string, n int) bulktest.Fault {
		if kind == "put" && n == 3 {
			cancel()
			return bulktest.Lost
		}
		return bulktest.Well
	}
	if _, err := run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	appendTo(t, path, `{"identity_id":"half`)
	f.EndFaults()
	if _, err := run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if summary, err := run(t.Context()); err != nil || len(summary.Outcomes) != 0 || summary.Identities != 4 {
		t.Errorf("%+v, %v", summary, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	words := finishWords(t, string(text))
	for i := range 4 {
		if word := words[fmt.Sprintf("auth0|%d", i)]; word != "finished" && word != "skipped:finished_earlier" {
			t.Errorf("%d is %q", i, word)
		}
	}
	appendTo(t, path, `{"line":1,"outcome":"skipped"}`+"\n")
	if _, err := finish.OpenResults(path); err == nil || !strings.Contains(err.Error(), "not a result of finish") {
		t.Errorf("the error is %v", err)
	}
}

// A line of a dry run says so, and a later run does not count on it.
func TestFinishDryRunInTheFile(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Pending("auth0|1", "1@x.test"))
	path := filepath.Join(t.TempDir(), "results")
	x := newFinish(t, f)
	stream := x.opts.Results
	lines := func() []string {
		if _, err := x.runInto(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	x.opts.Write = false
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], `{"dry_run":true,`) || !strings.Contains(got[0], `"outcome":"finished"`) {
		t.Errorf("a dry run: %q", got)
	}
	x.opts.Write, x.opts.Results = true, stream
	if _, words := x.must(); words["auth0|1"] != "finished" || strings.Contains(x.results.String(), "dry_run") {
		t.Errorf("%v", words)
	}
	if got := lines(); len(got) != 2 || strings.Contains(got[1], "dry_run") || !strings.Contains(got[1], `"outcome":"skipped","reason":"finished_earlier"`) {
		t.Errorf("another run into the file of the dry run: %q", got)
	}
}

// runInto finishes with a results file.
func (x *finishing) runInto(ctx context.Context, path string) (finish.Summary, error) {
	x.Helper()
	done, err := finish.OpenResults(path)
	if err != nil {
		x.Fatal(err)
	}
	if _, err := finish.OpenResults(path); err == nil {
		x.Error("two runs write one file")
	}
	x.opts.Results = done
	summary, err := finish.Run(ctx, x.opts)
	return summary, errors.Join(err, done.Close())
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.WriteString(text)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}
