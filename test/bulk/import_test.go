package bulk

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"ferry/test/auth0sim/gen"
	"ferry/test/kratostest"
)

func TestImport(t *testing.T) {
	x := newTenant(t, 1000, 1)
	k := newKratos(t, kratostest.Options{})
	ferry(t, adminURL(k), x.create("--results", x.path("results"), "--retry-file", x.path("retry.ndjson"))...).
		want(t, 1, "rows failed", "plan: ", "identities in Kratos: 0", "created_social")
	results := readLines[result](t, x.path("results"))
	x.compare(t, results)
	x.thereAndBound(t, k, results)

	t.Run("the rows that failed come back as they were", func(t *testing.T) { x.retryFile(t) })
	t.Run("the same command again has nothing to do", func(t *testing.T) {
		before, err := os.ReadFile(x.path("results"))
		if err != nil {
			t.Fatal(err)
		}
		ferry(t, adminURL(k), x.create("--results", x.path("results"))...).want(t, 1, "going on with the run", "rows were done before")
		after, err := os.ReadFile(x.path("results"))
		if err != nil {
			t.Fatal(err)
		}
		if string(before) != string(after) {
			t.Error("the results changed")
		}
	})
	for _, way := range [][]string{nil, {"--on-conflict", "update"}, {"--on-conflict", "update", "--hook-off"}} {
		t.Run("importing again changes nothing "+strings.Join(way, " "), func(t *testing.T) {
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
		})
	}
	t.Run("reconcile finds nobody missing", func(t *testing.T) {
		a := ferry(t, adminURL(k), append([]string{"reconcile", "--users", x.path(gen.UsersFile), "--json", "--findings", x.path("findings")}, google...)...).
			want(t, 1, "verdict: ")
		var table struct{ Findings, Kinds map[string]int }
		if err := json.Unmarshal([]byte(a.stdout), &table); err != nil {
			t.Fatal(err)
		}
		for found, n := range table.Findings {
			if found != "unmapped" && n > 0 {
				t.Errorf("%d are %s", n, found)
			}
		}
		if n := table.Findings["unmapped"]; n != x.count("skipped")+x.count("failed") {
			t.Errorf("%d are unmapped, not the %d that were skipped and the %d that failed", n, x.count("skipped"), x.count("failed"))
		}
	})
}

// Other formats of the same users, and shards, come to the same.
func TestImportDry(t *testing.T) {
	x := newTenant(t, 1000, 2)
	schema := []string{"--dry-run", "--schema", x.path(gen.SchemaFile)}
	whole := parseLines[result](t, []byte(ferry(t, nil, x.create(schema...)...).want(t, 1, "dry run: nothing was written").stdout))
	byLine := map[int]result{}
	for _, r := range whole {
		e := x.expected[r.Line]
		if r.Outcome != string(e.Outcome) || r.word() != string(e.Reason) || r.IdentityID != "" {
			t.Errorf("line %d (%s) would be %+v, not %s %s", r.Line, e.Kind, r, e.Outcome, e.Reason)
		}
		byLine[r.Line] = r
	}
	if len(byLine) != len(x.expected) {
		t.Errorf("%d rows of %d have a result", len(byLine), len(x.expected))
	}
	t.Run("shards", func(t *testing.T) {
		parts := map[int]result{}
		for _, shard := range []string{"0/3", "1/3", "2/3"} {
			for _, r := range parseLines[result](t, []byte(ferry(t, nil, x.create(append(schema, "--shard", shard)...)...).want(t, 1).stdout)) {
				if _, twice := parts[r.Line]; twice {
					t.Errorf("line %d is in two shards", r.Line)
				}
				parts[r.Line] = r
			}
		}
		if !maps.Equal(parts, byLine) {
			t.Error("the shards together are not the whole")
		}
	})
	for _, format := range []struct {
		file string
		line func(gen.Expected) int
	}{
		{gen.CSVFile, func(e gen.Expected) int { return e.CSVLine }},
		{gen.ArrayFile, func(e gen.Expected) int { return e.Element }},
	} {
		t.Run(format.file, func(t *testing.T) {
			args := slices.Concat([]string{"import", "--users", x.path(format.file), "--hashes", x.path(gen.HashesFile)}, google, schema)
			got := map[int]result{}
			for _, r := range parseLines[result](t, []byte(ferry(t, nil, args...).want(t, 1).stdout)) {
				got[r.Line] = r
			}
			for _, e := range x.expected {
				line := format.line(e)
				if line == 0 {
					continue
				}
				if r := got[line]; r.Outcome != string(e.Outcome) || r.word() != string(e.Reason) || r.UserID != e.UserID {
					t.Errorf("row %d (%s) would be %+v, not %s %s", line, e.Kind, r, e.Outcome, e.Reason)
				}
			}
		})
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

// retryFile holds the rows that failed, byte for byte, and none else.
func (x *tenant) retryFile(t *testing.T) {
	read := func(name string) []string {
		text, err := os.ReadFile(x.path(name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	var want []string
	for i, line := range read(gen.UsersFile) {
		if e, ok := x.expected[i+1]; ok && e.Outcome == gen.Failed {
			want = append(want, line)
		}
	}
	if got := read("retry.ndjson"); !slices.Equal(got, want) {
		t.Errorf("the retry file has %d rows, not the %d that failed", len(got), len(want))
	}
}

// thereAndBound fails the test unless each row that is created is an identity bound to
// its user, and there is nobody else.
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
