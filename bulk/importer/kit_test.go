package importer_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/mapping"
	"ferry/test/bulktest"
)

// importing is an import that a test is about.
type importing struct {
	*testing.T

	opts    importer.Options
	results bytes.Buffer
	told    *bulktest.Quiet
	dir     string
}

// newImport is one of the rows into the fake, with a results stream.
func newImport(t *testing.T, f *bulktest.Kratos, rows ...string) *importing {
	t.Helper()
	im := &importing{T: t, told: &bulktest.Quiet{}, dir: t.TempDir()}
	s := bulktest.Schema(t)
	im.opts = importer.Options{
		Options: plan.Options{
			Users:  bulktest.UsersFile(t, strings.Join(rows, "\n")+"\n"),
			Schema: s, SchemaID: "person", Mapper: mapping.Default(s),
			Mode: plan.ModeAuto, Progress: im.told, Now: time.Now, TempDir: im.dir,
		},
		OnConflict: importer.ConflictSkip,
		Kratos:     f.Client(), RetryFor: 20 * time.Second,
		Journal: importer.StreamJournal(&im.results), Warn: im.told.Warn,
	}
	return im
}

// journal makes the run one with a results file.
func (im *importing) journal(path string) {
	im.Helper()
	journal, err := importer.OpenJournal(path)
	if err != nil {
		im.Fatal(err)
	}
	im.opts.Journal = journal
}

// run imports, and returns what it wrote, by lines.
func (im *importing) run() (importer.Summary, []results.Result, error) {
	im.Helper()
	im.results.Reset()
	summary, err := importer.Run(im.Context(), im.opts)
	if im.told.Open != 0 {
		im.Error("a phase was not ended")
	}
	if left := bulktest.Files(im.T, im.dir); len(left) > 0 {
		im.Errorf("temporary files were left: %v", left)
	}
	return summary, parseResults(im.T, im.results.String()), err
}

// must imports without an error.
func (im *importing) must() (importer.Summary, []results.Result) {
	im.Helper()
	summary, done, err := im.run()
	if err != nil {
		im.Fatal(err)
	}
	return summary, done
}

// parseResults sorts them; every line may have one only.
func parseResults(t *testing.T, text string) []results.Result {
	t.Helper()
	var done []results.Result
	for line := range strings.Lines(text) {
		bulktest.Documented(t, "../../docs/results.schema.json", line)
		var result results.Result
		if err := bulktest.Strict([]byte(line), &result); err != nil {
			t.Fatalf("result %q: %v", line, err)
		}
		done = append(done, result)
	}
	slices.SortFunc(done, func(a, b results.Result) int { return a.Line - b.Line })
	for i := range done[min(1, len(done)):] {
		if done[i].Line == done[i+1].Line {
			t.Errorf("line %d has two results", done[i].Line)
		}
	}
	return done
}

// words are the results as line:outcome:word of the reason.
func words(done []results.Result) string {
	var all []string
	for _, r := range done {
		word, _, _ := strings.Cut(r.Reason, ":")
		all = append(all, strings.TrimSuffix(fmt.Sprintf("%d:%s:%s", r.Line, r.Outcome, word), ":"))
	}
	return strings.Join(all, " ")
}
