package bulk

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"ferry/mapping"
	"ferry/test/auth0sim/gen"
	"ferry/test/kratostest"
)

func TestImport(t *testing.T) {
	t.Parallel()
	x := newTenant(t, 1000, 1)
	k := newKratos(t, kratostest.Options{})
	ferry(t, adminURL(k), x.create("--results", x.path("results"), "--retry-file", x.path("retry.ndjson"))...).
		want(t, 1, "rows failed", "plan: ", "identities in Kratos: 0", "created_social")
	results := readLines[result](t, x.path("results"))
	x.compare(t, results)
	x.thereAndBound(t, k, results)

	t.Run("the rows that failed come back as they were", x.retryFile)
	t.Run("the same command again has nothing to do", func(t *testing.T) {
		before := x.read(t, "results")
		ferry(t, adminURL(k), x.create("--results", x.path("results"))...).want(t, 1, "continuing the run", "the run was already complete: there was nothing left to do")
		if x.read(t, "results") != before {
			t.Error("the results changed")
		}
	})
	for _, way := range [][]string{nil, {"--on-conflict", "update"}, {"--on-conflict", "update", "--hook-off"}} {
		t.Run("importing again changes nothing "+strings.Join(way, " "), func(t *testing.T) { x.again(t, k, way) })
	}
	t.Run("reconcile finds no user missing", func(t *testing.T) { x.reconcile(t, k) })
}

// again imports the same users once more.
func (x *tenant) again(t *testing.T, k *kratostest.Kratos, way []string) {
	t.Helper()
	before := everybody(t, k)
	a := ferry(t, adminURL(k), x.create(way...)...).want(t, 1, "nothing was changed in Kratos")
	for _, r := range parseLines[result](t, []byte(a.stdout)) {
		if e := x.expected[r.Line]; strings.HasPrefix(string(e.Outcome), "created_") && r.Outcome != "skipped" {
			t.Errorf("line %d (%s) is %+v", r.Line, e.Kind, r)
		}
	}
	if after := everybody(t, k); !maps.Equal(before, after) {
		t.Error("an identity changed")
	}
}

func (x *tenant) reconcile(t *testing.T, k *kratostest.Kratos) {
	t.Helper()
	a := ferry(t, adminURL(k), append([]string{"reconcile", "--users", x.path(gen.UsersFile), "--json", "--findings", x.path("findings")}, google...)...).
		want(t, 1, "verdict: ")
	var table struct {
		Findings, Kinds map[string]int
		Able            int
	}
	if err := json.Unmarshal([]byte(a.stdout), &table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(a.stderr, fmt.Sprintf("verdict: %d of ", table.Able)) || table.Able == 0 {
		t.Errorf("able are %d: %s", table.Able, a.stderr)
	}
	for found, n := range table.Findings {
		if found != "unmapped" && n > 0 {
			t.Errorf("%d are %s", n, found)
		}
	}
	if n := table.Findings["unmapped"]; n != x.count("skipped")+x.count("failed") {
		t.Errorf("%d are unmapped, not the %d that were skipped and the %d that failed", n, x.count("skipped"), x.count("failed"))
	}
}

// TestImportDry: other formats of the same users, and shards, have the same results.
func TestImportDry(t *testing.T) {
	x := newTenant(t, 1000, 2)
	whole := x.dryRun(t, gen.UsersFile)
	x.agrees(t, whole, func(e gen.Expected) int { return e.Line })
	if len(whole) != len(x.expected) {
		t.Errorf("%d rows of %d have a result", len(whole), len(x.expected))
	}
	t.Run("shards", func(t *testing.T) {
		parts := map[int]result{}
		for _, shard := range []string{"0/3", "1/3", "2/3"} {
			for line, r := range x.dryRun(t, gen.UsersFile, "--shard", shard) {
				if _, twice := parts[line]; twice {
					t.Errorf("line %d is in two shards", line)
				}
				parts[line] = r
			}
		}
		if !maps.Equal(parts, whole) {
			t.Error("the shards together are not the whole")
		}
	})
	t.Run("CSV", func(t *testing.T) {
		x.agrees(t, x.dryRun(t, gen.CSVFile), func(e gen.Expected) int { return e.CSVLine })
	})
	t.Run("array", func(t *testing.T) {
		x.agrees(t, x.dryRun(t, gen.ArrayFile), func(e gen.Expected) int { return e.Element })
	})
}

// dryRun imports without Kratos and returns the result of each row.
func (x *tenant) dryRun(t *testing.T, users string, args ...string) map[int]result {
	t.Helper()
	args = slices.Concat([]string{
		"import", "--users", x.path(users), "--hashes", x.path(gen.HashesFile), "--dry-run", "--schema", x.path(gen.SchemaFile),
	}, google, args)
	byLine := map[int]result{}
	for _, r := range parseLines[result](t, []byte(ferry(t, nil, args...).want(t, 1, "dry run: nothing was written").stdout)) {
		if r.IdentityID != "" {
			t.Errorf("%+v", r)
		}
		byLine[r.Line] = r
	}
	return byLine
}

// agrees fails the test unless the rows of the file have the expected results.
func (x *tenant) agrees(t *testing.T, got map[int]result, lineOf func(gen.Expected) int) {
	t.Helper()
	for _, e := range x.expected {
		line := lineOf(e)
		if r := got[line]; line != 0 && (r.Outcome != string(e.Outcome) || r.word() != string(e.Reason) || r.UserID != e.UserID) {
			t.Errorf("row %d (%s) would be %+v, not %s %s", line, e.Kind, r, e.Outcome, e.Reason)
		}
	}
}

func (x *tenant) count(outcome string) int {
	n := 0
	for _, e := range x.expected {
		if string(e.Outcome) == outcome {
			n++
		}
	}
	return n
}

// retryFile: the retry file has exactly the rows that failed, byte for byte. The first user
// among them gets the deciding fields that it lacks, so that the file can be imported.
func (x *tenant) retryFile(t *testing.T) {
	t.Helper()
	lines := func(name string) []string { return strings.Split(strings.TrimSuffix(x.read(t, name), "\n"), "\n") }
	var want []string
	marked := false
	for i, line := range lines(gen.UsersFile) {
		if e, ok := x.expected[i+1]; ok && e.Outcome == gen.Failed {
			if first, err := mapping.Mark([]byte(line), ""); err == nil && !marked {
				line, marked = string(first), true
			}
			want = append(want, line)
		}
	}
	if got := lines("retry.ndjson"); !slices.Equal(got, want) {
		t.Errorf("the retry file has %d rows, not the %d that failed", len(got), len(want))
	}
}

func (x *tenant) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(x.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// thereAndBound fails the test unless each created row has an identity bound to its
// user, and there are no other identities.
func (x *tenant) thereAndBound(t *testing.T, k *kratostest.Kratos, results []result) {
	t.Helper()
	all := everybody(t, k)
	created := 0
	for _, r := range results {
		if !strings.HasPrefix(r.Outcome, "created_") {
			continue
		}
		created++
		var identity struct {
			MetadataAdmin struct {
				Auth0 struct {
					UserID string `json:"user_id"`
				} `json:"auth0"`
			} `json:"metadata_admin"`
		}
		if err := json.Unmarshal([]byte(all[r.IdentityID]), &identity); err != nil || identity.MetadataAdmin.Auth0.UserID != r.UserID {
			t.Errorf("line %d is said to be %s, which is %s", r.Line, r.IdentityID, all[r.IdentityID])
		}
	}
	if created != len(all) {
		t.Errorf("%d rows are created, but there are %d identities", created, len(all))
	}
}
