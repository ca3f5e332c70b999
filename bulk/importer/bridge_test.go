package importer_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/mapping"
	"ferry/test/bulktest"
)

// bridged makes it an import with --bridge, besides what the others do.
func bridged(others ...func(*importer.Options)) func(*importer.Options) {
	return func(o *importer.Options) {
		o.Bridge = "old"
		for _, other := range others {
			other(o)
		}
	}
}

// withCode lets Kratos send codes to the e-mail address at a login.
func withCode(o *importer.Options) {
	schema, err := mapping.ParseSchema([]byte(strings.Replace(bulktest.PersonSchema, `"credentials":{`, `"credentials":{"code":{"identifier":true,"via":"email"},`, 1)))
	if err != nil {
		o.Warn(err.Error())
	}
	o.Schema = schema
}

// The bridge is beside the other logins, and the only one of those who have no other. Whoever
// has it alone has no password, no code and no account at a provider in Kratos.
func TestBridge(t *testing.T) {
	t.Parallel()
	mfa := bulktest.With{"multifactor": []any{"guardian"}}
	google := linked("users auth0 1", "google-oauth2 google-oauth2 117")
	elsewhere := bulktest.With{"user_id": "google-oauth2|9", "identities": []any{
		map[string]any{"provider": "google-oauth2", "user_id": "9", "connection": "google-oauth2"},
		map[string]any{"provider": "auth0", "user_id": "1", "connection": "users", "profileData": map[string]any{"email": "b@x.test", "email_verified": false}},
	}}
	for name, c := range map[string]struct {
		row    string
		opts   func(*importer.Options)
		want   string
		logins string // of the identity
	}{
		"pending":                      {bulktest.Verified("1", "a@x.test"), bridged(), "created_pending:no_hash", "hook [old:auth0|1]"},
		"not asked for":                {bulktest.Verified("1", "a@x.test"), nil, "created_pending:no_hash", "hook []"},
		"not verified":                 {bulktest.User("1", "a@x.test"), bridged(), "created_pending:no_hash", "hook []"},
		"no address":                   {bulktest.User("1", "", bulktest.With{"email": nil, "username": "kim"}), bridged(), "created_pending:no_hash", "hook [old:auth0|1]"},
		"a number that is not":         {bulktest.Verified("1", "a@x.test", bulktest.With{"phone_number": "+4915123456789", "phone_verified": false}), bridged(), "created_pending:no_hash", "hook []"},
		"a second factor":              {bulktest.Verified("1", "a@x.test", mfa), bridged(), "created_bridge:mfa", " [old:auth0|1]"},
		"a second factor, linked":      {bulktest.Verified("1", "a@x.test", mfa, google), bridged(providers("google-oauth2=google")), "created_bridge:mfa", " [old:auth0|1]"},
		"a second factor, dropped":     {bulktest.Verified("1", "a@x.test", mfa), bridged(dropMFA), "created_pending:no_hash", "hook [old:auth0|1]"},
		"a second factor, unverified":  {bulktest.User("1", "a@x.test", mfa), bridged(), "skipped:mfa", ""},
		"a second factor, and codes":   {bulktest.Verified("1", "a@x.test", mfa), bridged(withCode), "skipped:mfa", ""},
		"a second factor, blocked":     {bulktest.Verified("1", "a@x.test", mfa, bulktest.With{"blocked": true}), bridged(), "created_bridge:mfa", " [old:auth0|1]"},
		"a second factor, hash mode":   {bulktest.Verified("1", "a@x.test", mfa), bridged(mode(plan.ModeHash)), "created_bridge:mfa", " [old:auth0|1]"},
		"social":                       {social("github", "1", bulktest.With{"email_verified": true}), bridged(), "created_bridge:no_login_method", " [old:github|1]"},
		"social, not verified":         {social("github", "1"), bridged(), "created_bridge:no_login_method", " [old:github|1]"},
		"social, named":                {social("github", "1"), bridged(providers("github=gh")), "created_social", " [gh:1 old:github|1]"},
		"enterprise":                   {bulktest.User("1", "a@x.test", bulktest.With{"user_id": "waad|corp|x"}, linked("corp waad corp|x")), bridged(), "created_bridge:no_login_method", " [old:waad|corp|x]"},
		"codes":                        {bulktest.Verified("1", "a@x.test", bulktest.With{"user_id": "email|1"}, linked("email email 1")), bridged(), "created_bridge:no_login_method", " [old:email|1]"},
		"codes, and Kratos sends them": {bulktest.Verified("1", "a@x.test", bulktest.With{"user_id": "email|1"}, linked("email email 1")), bridged(withCode), "created_code", " [old:email|1]"},
		"codes, not verified":          {bulktest.User("1", "a@x.test", bulktest.With{"user_id": "email|1"}, linked("email email 1")), bridged(), "skipped:no_login_method", ""},
		"linked":                       {bulktest.Verified("1", "a@x.test", google), bridged(providers("google-oauth2=google")), "created_pending:no_hash", "hook [google:117 old:auth0|1]"},
		"linked, not verified":         {bulktest.User("1", "a@x.test", google), bridged(providers("google-oauth2=google")), "created_pending:no_hash", "hook []"},
		"a password of another":        {bulktest.Verified("1", "a@x.test", elsewhere), bridged(), "created_bridge:linked_email", " [old:google-oauth2|9]"},
		"left out":                     {bulktest.User("1", "a@x.test", mfa), bridged(func(o *importer.Options) { o.SkipUnverified = true }), "skipped:mfa", ""},
		"invalid":                      {bulktest.Verified("1", "a@x.test", mfa, bulktest.With{"nickname": strings.Repeat("n", 31)}), bridged(), "failed:invalid", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			im := newImport(t, f, c.row)
			if c.opts != nil {
				c.opts(&im.opts)
			}
			summary, done := im.must()
			if got := words(done); got != "1:"+c.want {
				t.Errorf("got %s, want %s (%s)", got, c.want, done[0].Detail)
			}
			if got := loginsOf(f); got != c.logins {
				t.Errorf("the logins are %q, want %q", got, c.logins)
			}
			if withheld := !strings.Contains(c.logins, "old:") && name != "not asked for" && name != "invalid"; (summary.BridgeLeftOut == 1) != withheld {
				t.Errorf("%d get no login at the bridge", summary.BridgeLeftOut)
			}
			if skipped := strings.HasPrefix(c.want, "skipped"); skipped != strings.Contains(done[0].Detail, "no login at the bridge: ") {
				t.Errorf("the detail is %q", done[0].Detail)
			}
		})
	}
}

// loginsOf returns the logins of the only identity.
func loginsOf(f *bulktest.Kratos) string {
	all := f.All()
	if len(all) != 1 {
		return ""
	}
	hook := ""
	if all[0].Hook {
		hook = "hook"
	}
	slices.Sort(all[0].Social)
	return fmt.Sprint(hook, " ", all[0].Social)
}

// Accounts that are merged have subjects of their own at Auth0; those that are linked there
// have that of the primary account.
func TestBridgeOfMerged(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	im := merging(t, f, family()...)
	im.opts.Bridge = "old"
	im.must()
	ada := f.Of("auth0|2")
	if slices.Sort(ada.Social); !slices.Equal(ada.Social, []string{"google:117", "old:auth0|2", "old:google-oauth2|117"}) {
		t.Errorf("the logins are %q", ada.Social)
	}
}

// An update gives a merged identity the logins of all its accounts.
func TestUpdateBridgeOfMerged(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	merging(t, f, family()...).must()
	im := merging(t, f, family()...)
	im.opts.Bridge, im.opts.OnConflict = "old", importer.ConflictUpdate
	im.must()
	ada, bea := f.Of("auth0|2"), f.Of("github|42")
	slices.Sort(ada.Social)
	slices.Sort(bea.Social)
	if !slices.Equal(ada.Social, []string{"google:117", "old:auth0|2", "old:google-oauth2|117"}) || !slices.Equal(bea.Social, []string{"gh:42", "google:118", "old:github|42", "old:google-oauth2|118"}) {
		t.Errorf("the logins are %q and %q", ada.Social, bea.Social)
	}
}

// An update gives the identity of the very user the login at the bridge, and nothing else. A
// login that another identity has is that one's.
func TestUpdateBridge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		row  string
		was  func(*bulktest.Identity)
		want string
		has  bool
	}{
		"pending":      {bulktest.Verified("1", "a@x.test"), func(p *bulktest.Identity) { p.Hook, p.Hash = true, "" }, "updated", true},
		"a hash":       {bulktest.Verified("1", "a@x.test"), nil, "updated", true},
		"has it":       {bulktest.Verified("1", "a@x.test"), func(p *bulktest.Identity) { p.Social, p.Addresses[0].Verified = []string{"old:auth0|1"}, true }, "skipped:unchanged", true},
		"not verified": {bulktest.User("1", "a@x.test"), nil, "skipped:unchanged", false},
		"rebound":      {bulktest.Verified("1", "a@x.test"), func(p *bulktest.Identity) { p.Admin["auth0"].(map[string]any)["user_id"] = "auth0|2" }, "failed:identifier_taken", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			id := f.Add(bulktest.Bound("auth0|1", "a@x.test"))
			if c.was != nil {
				c.was(f.People[id])
			}
			before := *f.People[id]
			im := newImport(t, f, c.row)
			im.opts.OnConflict, im.opts.Bridge = importer.ConflictUpdate, "old"
			_, done := im.must()
			after := f.People[id]
			if got := words(done); got != "1:"+c.want || slices.Contains(after.Social, "old:auth0|1") != c.has {
				t.Errorf("%s, logins %q", got, after.Social)
			}
			if after.Hook != before.Hook || after.Hash != before.Hash {
				t.Error("the password changed")
			}
		})
	}
}

// A login at the bridge that an identity of no one or of another user has is not taken over.
func TestBridgeIsTaken(t *testing.T) {
	t.Parallel()
	for _, scanned := range []bool{true, false} {
		f := bulktest.NewKratos(t)
		stranger := bulktest.Identity{Traits: map[string]any{"email": "other@x.test"}, Social: []string{"old:auth0|1"}}
		if scanned {
			f.Add(stranger)
		} else {
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == "batch" && n == 1 {
					f.Add(stranger)
				}
				return bulktest.Well
			}
		}
		im := newImport(t, f, bulktest.Verified("1", "a@x.test"))
		im.opts.Bridge = "old"
		_, done := im.must()
		if got := words(done); got != "1:failed:identifier_taken" || len(f.All()) != 1 {
			t.Errorf("scanned %v: %s, %d identities", scanned, got, len(f.All()))
		}
	}
}

// A run is resumed with the same bridge only.
func TestBridgeIsInTheCheckpoint(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.ndjson")
	f := bulktest.NewKratos(t)
	im := newImport(t, f, bulktest.Verified("1", "a@x.test"))
	im.opts.Bridge = "old"
	if _, err := im.into(path); err != nil {
		t.Fatal(err)
	}
	im = newImport(t, f, bulktest.Verified("1", "a@x.test"))
	if _, err := im.into(path); err == nil || !strings.Contains(err.Error(), `--bridge was "old"`) {
		t.Errorf("the error is %v", err)
	}
}

// The id of the bridge is not that of another provider.
func TestCheckBridge(t *testing.T) {
	t.Parallel()
	for id, good := range map[string]bool{"": true, "auth0": true, "google": false, "a:b": false, "a b": false, "a=b": false, "a/b": false} {
		if err := plan.CheckBridge(id, plan.Providers{"google-oauth2": "google"}); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}
