package importer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/test/bulktest"
)

// many are so many verified users.
func many(n int) []string {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = bulktest.Verified(fmt.Sprint(i+1), fmt.Sprintf("u%d@x.test", i+1))
	}
	return rows
}

// checkThere makes sure that the results tell what there is: no identity that is not
// reported, none reported that is not there, and no user twice.
func checkThere(t *testing.T, f *bulktest.Kratos, done []results.Result, before int) {
	t.Helper()
	people := f.All()
	created := 0
	for _, r := range done {
		if !strings.HasPrefix(string(r.Outcome), "created") {
			continue
		}
		created++
		if !slices.ContainsFunc(people, func(p bulktest.Identity) bool { return p.ID == r.IdentityID && p.UserID() == r.UserID }) {
			t.Errorf("line %d is reported as %s, which is not there", r.Line, r.IdentityID)
		}
	}
	if len(people) != before+created {
		t.Errorf("%d identities are there, %d were reported and %d were before", len(people), created, before)
	}
}

func TestImportWhatKratosRefuses(t *testing.T) {
	t.Parallel()
	refused, poison, breaks := bulktest.With{"nickname": bulktest.RefusedNickname}, bulktest.With{"nickname": bulktest.PoisonNickname}, bulktest.With{"nickname": bulktest.BreaksNickname}
	for name, c := range map[string]struct {
		rows []string
		want string
	}{
		"nobody":     {nil, ""},
		"one row":    {many(1), "1:created_pending:no_hash"},
		"one of all": {[]string{many(1)[0], bulktest.Verified("2", "b@x.test", refused), bulktest.Verified("3", "c@x.test")}, "1:created_pending:no_hash 2:failed:kratos 3:created_pending:no_hash"},
		"a bad row that has the whole batch refused": {
			[]string{many(1)[0], bulktest.Verified("2", "b@x.test"), bulktest.Verified("3", "c@x.test", poison), bulktest.Verified("4", "d@x.test"), bulktest.Verified("5", "e@x.test", poison)},
			"1:created_pending:no_hash 2:created_pending:no_hash 3:failed:kratos 4:created_pending:no_hash 5:failed:kratos",
		},
		"all bad":     {[]string{bulktest.Verified("1", "a@x.test", poison), bulktest.Verified("2", "b@x.test", poison)}, "1:failed:kratos 2:failed:kratos"},
		"one bad row": {[]string{bulktest.Verified("1", "a@x.test", refused)}, "1:failed:kratos"},
		"rows at which it breaks": {
			[]string{bulktest.Verified("1", "a@x.test", breaks), bulktest.Verified("2", "b@x.test"), bulktest.Verified("3", "c@x.test", poison), bulktest.Verified("4", "d@x.test"), bulktest.Verified("5", "e@x.test", breaks)},
			"1:failed:kratos 2:created_pending:no_hash 3:failed:kratos 4:created_pending:no_hash 5:failed:kratos",
		},
		"both at once": {[]string{bulktest.Verified("1", "a@x.test", refused), bulktest.Verified("2", "b@x.test", poison)}, "1:failed:kratos 2:failed:kratos"},
	} {
		for _, v131 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, 1.3.1 %v", name, v131), func(t *testing.T) {
				t.Parallel()
				f := bulktest.NewKratos(t)
				f.V131 = v131
				im := newImport(t, f, c.rows...)
				im.opts.RetryFor = time.Millisecond
				summary, done := im.must()
				if got := words(done); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				checkThere(t, f, done, 0)
				if summary.Rows != len(c.rows) || summary.Created()+summary.Failed() != len(c.rows) {
					t.Errorf("the summary is %+v", summary)
				}
			})
		}
	}
}

// others are identities that are in the way of row 2, whose number is +4915100000.
func TestImportConflicts(t *testing.T) {
	t.Parallel()
	google := bulktest.With{"identities": []any{
		map[string]any{"connection": "users", "provider": "auth0", "user_id": "2"},
		map[string]any{"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "117"},
	}}
	row := bulktest.Verified("2", "b@x.test", google, bulktest.With{"phone_number": "+4915100000", "username": "Bee"})
	for name, c := range map[string]struct {
		other bulktest.Identity
		v131  bool
	}{
		"identifier":           {other: bulktest.Identity{Traits: map[string]any{"email": "B@x.test"}}},
		"username":             {other: bulktest.Identity{Traits: map[string]any{"username": "bee"}}},
		"address":              {other: bulktest.Identity{Traits: map[string]any{"phone": "+4915100000"}}},
		"social login":         {other: bulktest.Identity{Social: []string{"google:117"}}},
		"external id":          {other: bulktest.Identity{ExternalID: "auth0|2", Admin: map[string]any{"auth0": map[string]any{"user_id": "auth0|9"}}}},
		"identifier, on 1.3.1": {other: bulktest.Identity{Traits: map[string]any{"email": "b@x.test"}}, v131: true},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after the scan %v", name, late), func(t *testing.T) {
				t.Parallel()
				f := bulktest.NewKratos(t)
				f.V131 = c.v131
				if !late {
					f.Add(c.other)
				} else {
					f.On = func(kind string, n int) bulktest.Fault {
						if kind == "batch" && n == 1 {
							f.Add(c.other)
						}
						return bulktest.Well
					}
				}
				im := newImport(t, f, many(1)[0], row, bulktest.Verified("3", "c@x.test"))
				im.opts.ExternalID = !c.v131
				im.opts.Providers = plan.Providers{"google-oauth2": "google"}
				_, done := im.must()
				if got, want := words(done), "1:created_pending:no_hash 2:failed:identifier_taken 3:created_pending:no_hash"; got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				checkThere(t, f, done, 1)
			})
		}
	}
}

// A single row whose 409 is in a proxy's words is looked up all the same.
func TestImportConflictInAProxysWords(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.On = func(kind string, n int) bulktest.Fault {
		switch {
		case kind == "batch" && n == 1:
			return bulktest.Lost
		case kind == "batch":
			return bulktest.Plain409
		}
		return bulktest.Well
	}
	_, done := newImport(t, f, many(1)...).must()
	if got := words(done); got != "1:created_pending:no_hash" {
		t.Error(got)
	}
	checkThere(t, f, done, 0)
}

func TestImportExternalID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		v131, wanted bool
		id           string
		warnings     int
	}{
		"26.2":              {wanted: true, id: "auth0|1"},
		"26.2, not wanted":  {},
		"1.3.1":             {v131: true, wanted: true, warnings: 1},
		"1.3.1, not wanted": {v131: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.V131 = c.v131
			im := newImport(t, f, many(230)...)
			im.opts.ExternalID = c.wanted
			summary, done := im.must()
			checkThere(t, f, done, 0)
			if summary.Created() != 230 || f.Of("auth0|1").ExternalID != c.id || len(im.told.Warned) != c.warnings || summary.FieldsLeftOut["external_id"] != 230*c.warnings {
				t.Errorf("%+v, external id %q, warned %q", summary, f.Of("auth0|1").ExternalID, im.told.Warned)
			}
		})
	}
}

// If Kratos rejects an external id that was not sent, its rows fail.
func TestImportExternalIDForEver(t *testing.T) {
	t.Parallel()
	for _, wanted := range []bool{false, true} {
		f := bulktest.NewKratos(t)
		f.On = func(kind string, _ int) bulktest.Fault {
			if kind == "batch" {
				return bulktest.UnknownID
			}
			return bulktest.Well
		}
		im := newImport(t, f, many(2)...)
		im.opts.ExternalID = wanted
		if _, done := im.must(); words(done) != "1:failed:kratos 2:failed:kratos" {
			t.Error(words(done))
		}
	}
}

// Batches grow while Kratos is quick.
func TestImportBatches(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Page = 7
	im := newImport(t, f, many(400)...)
	im.opts.InFlight = 1
	_, done := im.must()
	checkThere(t, f, done, 0)
	if grown := slices.Max(f.Batches); f.Batches[0] != 50 || grown <= 50 {
		t.Errorf("the batches were %v", f.Batches)
	}
}

func TestImportDryRun(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]bool{"asking Kratos": true, "asking nobody": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.Add(bulktest.Identity{Traits: map[string]any{"email": "b@x.test"}})
			im := newImport(t, f, many(1)[0], bulktest.Verified("2", "b@x.test"), bulktest.Verified("3", "c@x.test", bulktest.With{"multifactor": []any{"guardian"}}))
			im.opts.DryRun = true
			second := "failed:identifier_taken"
			if !ask {
				im.opts.Kratos, second = nil, "created_pending:no_hash"
			}
			summary, done := im.must()
			if got, want := words(done), "1:created_pending:no_hash 2:"+second+" 3:skipped:mfa"; got != want || !summary.DryRun {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if len(f.All()) != 1 || f.Count("batch") > 0 {
				t.Error("something was written")
			}
		})
	}
}

func TestImportWithoutWhatItNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*importer.Options)
		says   string
	}{
		"users":         {func(o *importer.Options) { o.Users = nil }, "are required"},
		"schema":        {func(o *importer.Options) { o.Schema = nil }, "are required"},
		"mapper":        {func(o *importer.Options) { o.Mapper = nil }, "are required"},
		"journal":       {func(o *importer.Options) { o.Journal = nil }, "are required"},
		"clock":         {func(o *importer.Options) { o.Now = nil }, "are required"},
		"progress":      {func(o *importer.Options) { o.Progress = nil }, "are required"},
		"warn":          {func(o *importer.Options) { o.Warn = nil }, "are required"},
		"Kratos":        {func(o *importer.Options) { o.Kratos = nil }, "dry runs only"},
		"a last shard":  {func(o *importer.Options) { o.Shard, o.Shards = 4, 4 }, "count from 0"},
		"another shard": {func(o *importer.Options) { o.Shard = -1 }, "count from 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			im := newImport(t, f, many(1)...)
			c.change(&im.opts)
			if _, err := importer.Run(t.Context(), im.opts); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
			if len(f.All()) > 0 {
				t.Error("something was written")
			}
		})
	}
}
