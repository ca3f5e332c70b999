package importer_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/mapping"
	"ferry/test/bulktest"
)

// into imports into a results file, as its own run of the program.
func (im *importing) into(path string) (importer.Summary, error) {
	im.Helper()
	im.journal(path)
	summary, _, err := im.run()
	if err := im.opts.Journal.Close(); err != nil {
		im.Fatal(err)
	}
	return summary, err
}

// Wherever the results file is torn, the next part of the run completes it: each row
// has one result, and each user one identity.
func TestJournalIsTorn(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	path := filepath.Join(t.TempDir(), "results.ndjson")
	rows := append(many(4), bulktest.Verified("5", "u1@x.test"))
	if _, err := newImport(t, f, rows...).into(path); err != nil {
		t.Fatal(err)
	}
	whole := bulktest.ReadFile(t, path)
	want := words(parseResults(t, whole))
	for cut := 0; cut <= len(whole); cut += 1 + len(whole)/23 {
		bulktest.WriteFile(t, path, whole[:cut])
		summary, err := newImport(t, f, rows...).into(path)
		if err != nil {
			t.Fatal(err)
		}
		done := parseResults(t, bulktest.ReadFile(t, path))
		checkThere(t, f, done, 0)
		if got := words(done); got != want || summary.Rows != 5 || summary.Resumed != strings.Count(whole[:cut], "\n") {
			t.Fatalf("cut at %d: %s\nwant %s; %+v", cut, got, want, summary)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
}

// A run that has come to its end has nothing left to do.
func TestJournalOfAllDone(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	path := filepath.Join(t.TempDir(), "results.ndjson")
	for part := range 2 {
		im := newImport(t, f, many(3)...)
		summary, err := im.into(path)
		if err != nil || summary.Rows != 3 || summary.Resumed != 3*part || im.opts.Journal.Resumed() != (part == 1) {
			t.Errorf("part %d: %+v, %v", part, summary, err)
		}
	}
	if n := f.Count("batch"); n != 1 {
		t.Errorf("%d batches, want one", n)
	}
}

func TestJournalOfAnotherRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows   []string
		change func(*testing.T, *importer.Options)
		says   string
	}{
		"users": {many(3), nil, "another users file"},
		"hashes": {nil, func(t *testing.T, o *importer.Options) {
			t.Helper()
			o.Hashes = bulktest.HashesFile(t, bulktest.HashLine("1", bulktest.BcryptHash, bulktest.SetAt))
		}, "another hash file"},
		"mode":        {nil, func(_ *testing.T, o *importer.Options) { o.Mode = plan.ModeHook }, `(--mode was "auto")`},
		"on-conflict": {nil, func(_ *testing.T, o *importer.Options) { o.OnConflict = importer.ConflictFail }, `(--on-conflict was "skip")`},
		"schema":      {nil, func(_ *testing.T, o *importer.Options) { o.SchemaID = "other" }, `(--schema-id was "person")`},
		"dry run":     {nil, func(_ *testing.T, o *importer.Options) { o.DryRun = true }, `(--dry-run was "false")`},
		"mfa":         {nil, func(_ *testing.T, o *importer.Options) { o.DropMFA = true }, `(--mfa drop was "false")`},
		"external id": {nil, func(_ *testing.T, o *importer.Options) { o.ExternalID = true }, `(--external-id was "false")`},
		"hook off":    {nil, func(_ *testing.T, o *importer.Options) { o.HookOff = true }, `(--hook-off was "false")`},
		"shard":       {nil, func(_ *testing.T, o *importer.Options) { o.Shards = 2 }, `(--shard was "0/1")`},
		"two":         {nil, func(_ *testing.T, o *importer.Options) { o.HookOff, o.Shards = true, 2 }, `(--hook-off was "false", --shard was "0/1")`},
		"providers":   {nil, func(_ *testing.T, o *importer.Options) { o.Providers = plan.Providers{"github": "gh"} }, `(--provider was "")`},
		"the same":    {nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			path := filepath.Join(t.TempDir(), "results.ndjson")
			if _, err := newImport(t, f, many(2)...).into(path); err != nil {
				t.Fatal(err)
			}
			before := bulktest.ReadFile(t, path) + bulktest.ReadFile(t, path+".checkpoint")
			rows := c.rows
			if rows == nil {
				rows = many(2)
			}
			im := newImport(t, f, rows...)
			if c.change != nil {
				c.change(t, &im.opts)
			}
			_, err := im.into(path)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
			if bulktest.ReadFile(t, path)+bulktest.ReadFile(t, path+".checkpoint") != before || len(f.All()) != 2 {
				t.Error("something was written")
			}
		})
	}
}

// A run is not gone on with at a Kratos that has nothing of it.
func TestJournalOfAnotherKratos(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.ndjson")
	if _, err := newImport(t, bulktest.NewKratos(t), many(3)...).into(path); err != nil {
		t.Fatal(err)
	}
	before, f := bulktest.ReadFile(t, path), bulktest.NewKratos(t)
	_, err := newImport(t, f, many(3)...).into(path)
	if err == nil || !strings.Contains(err.Error(), "this Kratos has none of the identities") {
		t.Errorf("the error is %v", err)
	}
	if bulktest.ReadFile(t, path) != before || len(f.All()) != 0 {
		t.Error("something was written")
	}
}

// One at a time writes a results file, whichever name it is opened by.
func TestJournalOfTwo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, alias := filepath.Join(dir, "results.ndjson"), filepath.Join(dir, "alias")
	first, err := importer.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, alias); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, alias} {
		if _, err := importer.OpenJournal(name); err == nil || !strings.Contains(err.Error(), "another run writes") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := importer.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestJournalOfNoImport(t *testing.T) {
	t.Parallel()
	const mine, point = "the only copy of my thesis", `{"run":"1","users_sha256":"","options":{}}`
	for name, c := range map[string]struct{ results, checkpoint, says string }{
		"another file":              {mine, "", "has no checkpoint"},
		"another checkpoint":        {"", mine, "is not a checkpoint of an import"},
		"an empty checkpoint":       {"", "{}", "is not a checkpoint of an import"},
		"another file beside a run": {mine + "\n", point, "a line that no import wrote"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			path := filepath.Join(t.TempDir(), "results.ndjson")
			bulktest.WriteFile(t, path, c.results)
			if c.checkpoint != "" {
				bulktest.WriteFile(t, path+".checkpoint", c.checkpoint)
			}
			journal, err := importer.OpenJournal(path)
			if err == nil {
				im := newImport(t, f, many(1)...)
				im.opts.Journal = journal
				_, _, err = im.run()
				if err := journal.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
			if bulktest.ReadFile(t, path) != c.results || len(f.All()) > 0 {
				t.Error("something was written")
			}
		})
	}
}

// Without a place for results nothing more is created.
func TestJournalDiskIsFull(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	im := newImport(t, f, many(1000)...)
	im.opts.Journal, im.opts.InFlight = importer.StreamJournal(&bulktest.BrokenWriter{Left: 1}), 1
	_, _, err := im.run()
	if err == nil || err.Error() != "write results: short write" {
		t.Errorf("the error is %v", err)
	}
	if n := len(f.All()); n == 1000 || n == 0 {
		t.Errorf("%d identities were created", n)
	}
}

// Shards are parts of the whole that have nothing in common.
func TestShards(t *testing.T) {
	t.Parallel()
	rows := append(many(9), bulktest.User("10", "twin@x.test"), bulktest.User("11", "twin@x.test"), bulktest.Verified("12", "u1@x.test"))
	whole := bulktest.NewKratos(t)
	_, want := newImport(t, whole, rows...).must()
	parts := bulktest.NewKratos(t)
	var got []results.Result
	for shard := range 3 {
		im := newImport(t, parts, rows...)
		im.opts.Shard, im.opts.Shards = shard, 3
		summary, done := im.must()
		if summary.Rows != len(done) {
			t.Errorf("shard %d: %+v", shard, summary)
		}
		for _, r := range done {
			if r.Line%3 != shard {
				t.Errorf("shard %d has line %d", shard, r.Line)
			}
		}
		got = append(got, done...)
	}
	slices.SortFunc(got, func(a, b results.Result) int { return a.Line - b.Line })
	if words(got) != words(want) {
		t.Errorf("the shards: %s\nthe whole:  %s", words(got), words(want))
	}
	checkThere(t, parts, got, 0)
}

// marked is a user as the first one of an export.
func marked(t *testing.T, user, tenant string) string {
	t.Helper()
	text, err := mapping.Mark([]byte(user), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The retry file has the rows that failed, as they stand. Of a file with all deciding fields,
// the first one says so.
func TestRetryFile(t *testing.T) {
	t.Parallel()
	good, bad, worse := bulktest.Verified("1", "a@x.test"), bulktest.Verified("2", "b@x.test", bulktest.With{"nickname": bulktest.RefusedNickname}), `{"user_id":`
	bad2 := bulktest.Verified("3", "c@x.test", bulktest.With{"nickname": bulktest.RefusedNickname})
	header := "user_id,email,email_verified,nickname\n"
	packed := new(strings.Builder)
	zip := gzip.NewWriter(packed)
	if _, err := io.WriteString(zip, good+"\n"+bad+"\n"); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ users, want string }{
		"NDJSON":         {good + "\n" + bad + "\n" + worse + "\n", bad + "\n" + worse + "\n"},
		"NDJSON, packed": {packed.String(), bad + "\n"},
		"array":          {"[" + good + ",\n" + bad + "]", "[\n" + bad + "\n]\n"},
		"CSV": {
			header + "auth0|1,a@x.test,true,\n" + `auth0|2,b@x.test,true,"` + bulktest.RefusedNickname + "\"\n",
			header + `auth0|2,b@x.test,true,"` + bulktest.RefusedNickname + "\"\n",
		},
		"none failed": {good + "\n", ""},
		"of an export": {
			marked(t, good, "canary.eu.auth0.com") + "\n" + worse + "\n" + bad + "\n" + bad2 + "\n",
			worse + "\n" + marked(t, bad, "canary.eu.auth0.com") + "\n" + bad2 + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			im := newImport(t, f)
			im.opts.Users = bulktest.UsersFile(t, c.users)
			im.opts.RetryFile = filepath.Join(t.TempDir(), "retry")
			summary, _ := im.must()
			if summary.Created() != 1 {
				t.Errorf("the summary is %+v", summary)
			}
			got, err := os.ReadFile(im.opts.RetryFile)
			if err != nil || string(got) != c.want {
				t.Errorf("got  %q\nwant %q, %v", got, c.want, err)
			}
			if c.want == "" || strings.Contains(c.want, worse) {
				return
			}
			// Corrected, the row is imported.
			again := newImport(t, f)
			again.opts.Users = bulktest.UsersFile(t, strings.ReplaceAll(string(got), bulktest.RefusedNickname, "Kratos likes"))
			if summary, _ := again.must(); summary.Created() != 1 || len(f.All()) != 2 {
				t.Errorf("then the summary is %+v", summary)
			}
		})
	}
}

func TestRetryFileHasNoPlace(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	im := newImport(t, f, `{}`)
	im.opts.RetryFile = filepath.Join(t.TempDir(), "nowhere", "retry")
	summary, done, err := im.run()
	if err == nil || !strings.HasPrefix(err.Error(), "write the rows that failed: ") {
		t.Errorf("the error is %v", err)
	}
	if summary.Failed() != 1 || words(done) != "1:failed:unreadable" {
		t.Errorf("%+v, %s", summary, fmt.Sprint(done))
	}
}
