package importer_test

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/mapping"
	"ferry/test/bulktest"
)

// at is an account at a provider, with an address that the provider calls verified.
func at(provider, id, email string, changes ...bulktest.With) string {
	all := []bulktest.With{{"user_id": provider + "|" + id}, linked(provider + " " + provider + " " + id)}
	return bulktest.Verified(id, email, append(all, changes...)...)
}

// merging is an import with --merge-verified that trusts what providers call verified.
func merging(t *testing.T, f *bulktest.Kratos, rows ...string) *importing {
	t.Helper()
	im := newImport(t, f, rows...)
	im.opts.Merge = true
	im.opts.Rules = mapping.Rules{TrustVerified: func(string, string) bool { return true }}
	im.opts.Providers = plan.Providers{"google-oauth2": "google", "github": "gh"}
	return im
}

// family is a person with a database account and one at Google, and one with accounts at
// Google and GitHub, among others.
func family() []string {
	return []string{
		at("google-oauth2", "117", "Ada@x.test", bulktest.With{"created_at": "2020-01-01T00:00:00.000Z"}),
		bulktest.Verified("2", "ada@x.test", bulktest.With{"created_at": "2024-01-01T00:00:00.000Z"}),
		bulktest.Verified("3", "cyd@x.test"),
		at("google-oauth2", "118", "bea@x.test", bulktest.With{"created_at": "2022-01-01T00:00:00.000Z"}),
		at("github", "42", "bea@x.test", bulktest.With{"created_at": "2021-01-01T00:00:00.000Z"}),
	}
}

const familyMerged = "1:merged 2:created_hash 3:created_pending:no_hash 4:merged 5:created_social"

// One person's accounts become one identity: its password is that of the database account,
// each login at a provider is a credential, and the binding lists every account.
func TestMergeVerified(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	im := merging(t, f, family()...)
	im.opts.Hashes = bulktest.HashesFile(t, bulktest.HashLine("2", bulktest.BcryptHash, bulktest.SetAt))
	summary, done := im.must()
	if got := words(done); got != familyMerged {
		t.Fatalf("got %s", got)
	}
	if done[0].IdentityID != done[1].IdentityID || done[3].IdentityID != done[4].IdentityID || len(f.All()) != 3 {
		t.Errorf("%d identities, %+v", len(f.All()), done)
	}
	ada, bea := f.Of("auth0|2"), f.Of("github|42")
	if !reflect.DeepEqual(bound(ada), []any{"auth0|2", "google-oauth2|117"}) || !reflect.DeepEqual(ada.Social, []string{"google:117"}) || ada.Hash != bulktest.BcryptHash || connectionOf(ada) != "users" {
		t.Errorf("ada is %+v", ada)
	}
	if !reflect.DeepEqual(bound(bea), []any{"github|42", "google-oauth2|118"}) || !reflect.DeepEqual(bea.Social, []string{"gh:42", "google:118"}) || bea.Hash != "" || bea.Hook {
		t.Errorf("bea is %+v", bea)
	}
	if summary.Rows != 5 || summary.SeveralAccounts != 2 || summary.PeopleMerged != 2 || summary.PeopleLeftOut != 0 || summary.Outcomes[results.Merged] != 2 {
		t.Errorf("the summary is %+v", summary)
	}
	if !strings.HasPrefix(im.told.Warned[0], "2 people have several accounts at Auth0 with one verified address, and in Kratos one identity can have it: 2 get one identity for all accounts") {
		t.Errorf("it warns of %q", im.told.Warned)
	}
}

func bound(p bulktest.Identity) any { return p.Admin["auth0"].(map[string]any)["user_ids"] }

func connectionOf(p bulktest.Identity) any { return p.Admin["auth0"].(map[string]any)["connection"] }

// What is merged, and what is refused as without --merge-verified.
func TestMergeRules(t *testing.T) {
	t.Parallel()
	google := at("google-oauth2", "117", "a@x.test")
	mfa := bulktest.With{"multifactor": []any{"guardian"}}
	phone := bulktest.With{"phone_number": "+4915199990001"}
	for name, c := range map[string]struct {
		rows  []string
		opts  func(*importer.Options)
		want  string
		check func(bulktest.Identity) bool
	}{
		"the provider is not trusted": {
			rows: []string{bulktest.Verified("1", "a@x.test"), google}, opts: func(o *importer.Options) { o.Rules = mapping.Rules{} },
			want: "1:created_pending:no_hash 2:failed:identifier_twice",
		},
		"without the option":         {rows: []string{bulktest.Verified("1", "a@x.test"), google}, opts: func(o *importer.Options) { o.Merge = false }, want: "1:created_pending:no_hash 2:failed:identifier_twice"},
		"one address not verified":   {rows: []string{bulktest.User("1", "a@x.test"), google}, want: "1:failed:identifier_twice 2:created_social"},
		"two passwords":              {rows: []string{bulktest.Verified("1", "a@x.test"), bulktest.Verified("2", "a@x.test"), google}, want: "1:created_pending:no_hash 2:failed:identifier_twice 3:failed:identifier_twice"},
		"a third, not verified":      {rows: []string{bulktest.User("3", "a@x.test"), google, bulktest.Verified("1", "a@x.test")}, want: "1:failed:identifier_twice 2:merged 3:created_pending:no_hash"},
		"a second factor":            {rows: []string{bulktest.Verified("1", "a@x.test", mfa), google}, want: "1:skipped:mfa 2:skipped:mfa"},
		"a second factor of another": {rows: []string{bulktest.Verified("1", "a@x.test"), at("google-oauth2", "117", "a@x.test", mfa)}, want: "1:skipped:mfa 2:skipped:mfa"},
		"a second factor dropped":    {rows: []string{bulktest.Verified("1", "a@x.test"), at("google-oauth2", "117", "a@x.test", mfa)}, opts: dropMFA, want: "1:created_pending:no_hash 2:merged"},
		"one is blocked": {
			rows: []string{bulktest.Verified("1", "a@x.test"), at("google-oauth2", "117", "a@x.test", bulktest.With{"blocked": true})}, want: "1:created_pending:no_hash 2:merged",
			check: func(p bulktest.Identity) bool { return p.State == "inactive" },
		},
		"a provider without a name": {
			rows: []string{at("twitter", "9", "a@x.test"), bulktest.Verified("1", "a@x.test")}, want: "1:merged 2:created_pending:no_hash",
			check: func(p bulktest.Identity) bool { return len(p.Social) == 0 },
		},
		"no provider has a name":  {rows: []string{at("twitter", "9", "a@x.test"), at("line", "9", "a@x.test")}, want: "1:skipped:no_login_method 2:skipped:no_login_method"},
		"the oldest is the first": {rows: []string{at("github", "1", "a@x.test"), at("google-oauth2", "2", "a@x.test", bulktest.With{"created_at": "2024-01-01T00:00:00Z"})}, want: "1:merged 2:created_social"},
		"the first in the file":   {rows: []string{at("github", "1", "a@x.test"), google}, want: "1:created_social 2:merged"},
		"they share a number too": {
			rows: []string{bulktest.Verified("1", "a@x.test", phone), at("google-oauth2", "117", "a@x.test", phone)}, want: "1:created_pending:no_hash 2:merged",
		},
		"a number of another person": {
			rows: []string{bulktest.Verified("1", "a@x.test"), at("google-oauth2", "117", "a@x.test", phone), bulktest.Verified("2", "b@x.test", phone, bulktest.With{"phone_verified": true})},
			want: "1:created_pending:no_hash 2:failed:identifier_twice 3:created_pending:no_hash",
		},
		"a number shared with a fourth": {
			rows: []string{
				bulktest.Verified("1", "a@x.test"), at("google-oauth2", "117", "a@x.test", phone, bulktest.With{"phone_verified": true}),
				at("github", "2", "b@x.test", phone, bulktest.With{"phone_verified": true}),
			},
			want: "1:created_pending:no_hash 2:failed:identifier_twice 3:failed:identifier_twice",
		},
		"a row of the same user again": {rows: []string{bulktest.Verified("1", "a@x.test"), bulktest.Verified("1", "a@x.test"), google}, want: "1:created_pending:no_hash 2:failed:duplicate_user 3:merged"},
		"Kratos refuses it": {
			rows: []string{bulktest.Verified("1", "a@x.test", bulktest.With{"nickname": bulktest.RefusedNickname}), google}, want: "1:failed:kratos 2:failed:kratos",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, dry := range []bool{false, true} {
				f := bulktest.NewKratos(t)
				im := merging(t, f, c.rows...)
				im.opts.DryRun = dry
				if c.opts != nil {
					c.opts(&im.opts)
				}
				if _, done := im.must(); words(done) != c.want && (!dry || name != "Kratos refuses it") {
					t.Errorf("dry %v: got %s", dry, words(done))
				}
				if c.check != nil && !dry && !c.check(f.Of("auth0|1")) {
					t.Errorf("it is %+v", f.Of("auth0|1"))
				}
			}
		})
	}
}

// The plan tells at its top how many people have several accounts, and who of them is left
// out altogether.
func TestPeopleWithSeveralAccounts(t *testing.T) {
	t.Parallel()
	rows := append(family(),
		bulktest.Verified("6", "dan@x.test", bulktest.With{"multifactor": []any{"sms"}}), at("github", "43", "dan@x.test"), // the first one is skipped
		bulktest.Verified("8", "eve@x.test"), bulktest.Verified("9", "eve@x.test"),
		bulktest.User("10", "fay@x.test"), bulktest.User("11", "fay@x.test"), // one address, but nobody verified it
	)
	im := newImport(t, bulktest.NewKratos(t), rows...)
	im.opts.DryRun, im.opts.Kratos = true, nil
	im.opts.Providers = plan.Providers{"google-oauth2": "google", "github": "gh"}
	summary, _ := im.must()
	if summary.SeveralAccounts != 4 || summary.PeopleMerged != 0 || summary.PeopleLeftOut != 2 {
		t.Errorf("the summary is %+v", summary)
	}
	if want := "4 people have several accounts at Auth0 with one verified address, and in Kratos one identity can have it: 2 get an identity for one of the accounts, 2 get none; --merge-verified"; !strings.HasPrefix(im.told.Warned[0], want) {
		t.Errorf("it warns of %q", im.told.Warned)
	}
	im = newImport(t, bulktest.NewKratos(t), rows...)
	im.opts.DryRun, im.opts.Kratos, im.opts.Merge = true, nil, true
	summary, _ = im.must()
	if want := ": 0 get one identity for all accounts (--merge-verified), 2 get an identity for one of the accounts, 2 get none; 1 are not merged because two accounts have a password; 3 are not merged because FERRY_VERIFIED_CONNECTIONS does not trust the provider of an account"; summary.PeopleMerged != 0 || !strings.HasSuffix(im.told.Warned[0], want) {
		t.Errorf("it warns of %q", im.told.Warned)
	}
}

// Workers with a shard each make each person once, and each row has one result.
func TestMergeInShards(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	var got []results.Result
	for _, shard := range []int{2, 0, 1} {
		im := merging(t, f, family()...)
		im.opts.Shard, im.opts.Shards = shard, 3
		summary, done := im.must()
		if summary.Rows != len(done) {
			t.Errorf("shard %d: %+v", shard, summary)
		}
		got = append(got, done...)
	}
	slices.SortFunc(got, func(a, b results.Result) int { return a.Line - b.Line })
	if want := strings.Replace(familyMerged, "hash", "pending:no_hash", 1); words(got) != want || len(f.All()) != 3 {
		t.Errorf("the shards: %s", words(got))
	}
}

// Wherever the results file is torn, each account has one result and each person one
// identity in the end.
func TestMergeResumes(t *testing.T) {
	t.Parallel()
	for _, v131 := range []bool{false, true} {
		f := bulktest.NewKratos(t)
		f.V131 = v131
		path := filepath.Join(t.TempDir(), "results.ndjson")
		if _, err := merging(t, f, family()...).into(path); err != nil {
			t.Fatal(err)
		}
		whole := bulktest.ReadFile(t, path)
		want := words(parseResults(t, whole))
		for cut := 0; cut <= len(whole); cut += 1 + len(whole)/23 {
			bulktest.WriteFile(t, path, whole[:cut])
			if _, err := merging(t, f, family()...).into(path); err != nil {
				t.Fatal(err)
			}
			if got := words(parseResults(t, bulktest.ReadFile(t, path))); got != want || len(f.All()) != 3 {
				t.Fatalf("cut at %d: %s\nwant %s", cut, got, want)
			}
		}
		if _, err := newImport(t, f, family()...).into(path); err == nil || !strings.Contains(err.Error(), "other options") {
			t.Errorf("without --merge-verified the run was continued: %v", err)
		}
	}
}

// An account is never added to an identity that exists: each is then a user of its own.
func TestMergeBesideIdentities(t *testing.T) {
	t.Parallel()
	rows := []string{bulktest.Verified("1", "a@x.test", bulktest.With{"locale": "de"}), at("google-oauth2", "117", "a@x.test", bulktest.With{"locale": "fr"})}
	both := bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"user_ids": []any{"auth0|1", "google-oauth2|117"}})
	both.Social = []string{"google:117"}
	ofGoogle := bulktest.Bound("google-oauth2|117", "a@x.test")
	ofGoogle.Hash, ofGoogle.Social = "", []string{"google:117"}
	for name, c := range map[string]struct {
		was            bulktest.Identity
		want, updating string
	}{
		"merged before":          {both, "1:skipped:exists 2:skipped:exists", "1:updated 2:skipped:exists"},
		"the primary account":    {bulktest.Bound("auth0|1", "a@x.test"), "1:skipped:exists 2:failed:identifier_taken", "1:updated 2:failed:identifier_taken"},
		"with another address":   {bulktest.Bound("auth0|1", "old@x.test"), "1:skipped:exists 2:failed:identifier_taken", "1:updated 2:failed:identifier_taken"},
		"the other account":      {ofGoogle, "1:failed:identifier_taken 2:skipped:exists", "1:failed:identifier_taken 2:updated"},
		"that of another user":   {bulktest.Bound("auth0|9", "a@x.test"), "1:failed:identifier_taken 2:failed:identifier_taken", ""},
		"one that ferry did not": {bulktest.Identity{Traits: map[string]any{"email": "a@x.test"}}, "1:failed:identifier_taken 2:failed:identifier_taken", ""},
	} {
		for mode, want := range map[importer.Conflict]string{importer.ConflictSkip: c.want, importer.ConflictUpdate: c.updating} {
			if want == "" {
				continue
			}
			t.Run(name+" "+string(mode), func(t *testing.T) {
				t.Parallel()
				mergesBeside(t, mode, false, c.was, want, rows...)
				if name != "with another address" { // which is no conflict after the scan
					mergesBeside(t, mode, true, c.was, want, rows...)
				}
			})
		}
	}
}

// mergesBeside imports the accounts of one person beside an identity, which appears only after
// the scan if it is late.
func mergesBeside(t *testing.T, mode importer.Conflict, late bool, was bulktest.Identity, want string, rows ...string) {
	t.Helper()
	f := bulktest.NewKratos(t)
	id := ""
	if late {
		f.On = func(kind string, n int) bulktest.Fault {
			if kind == "batch" && n == 1 {
				id = f.Add(was)
			}
			return bulktest.Well
		}
	} else {
		id = f.Add(was)
	}
	im := merging(t, f, rows...)
	im.opts.OnConflict = mode
	_, done := im.must()
	if got := words(done); got != want || len(f.All()) != 1 || done[0].IdentityID != id || done[1].IdentityID != id {
		t.Errorf("late %v: got %s: %+v", late, got, done)
	}
	if !reflect.DeepEqual(f.All()[0].Social, was.Social) {
		t.Errorf("a credential was added: %+v", f.All()[0])
	}
}

// An update deactivates an identity if an account that was merged into it is blocked since.
func TestMergedAccountBlockedSince(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	merging(t, f, family()...).must()
	rows := family()
	rows[0] = at("google-oauth2", "117", "Ada@x.test", bulktest.With{"created_at": "2020-01-01T00:00:00.000Z", "blocked": true})
	im := merging(t, f, rows...)
	im.opts.OnConflict = importer.ConflictUpdate
	if _, done := im.must(); !strings.Contains(words(done), "2:updated") {
		t.Errorf("got %s", words(done))
	}
	for _, p := range f.All() {
		if blocked := p.UserID() == "auth0|2"; (p.State == "inactive") != blocked {
			t.Errorf("%s is %s", p.UserID(), p.State)
		}
	}
}
