package importer_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/test/bulktest"
)

// known is a row of a user who has an identity.
type known struct {
	row     string
	was     func(*bulktest.Identity)
	opts    func(*importer.Options)
	want    string
	patches string
	check   func(*bulktest.Identity) bool
}

func TestOnConflict(t *testing.T) {
	t.Parallel()
	news := bulktest.With{"locale": "de-DE"}
	for name, c := range map[string]known{
		"skip": {row: bulktest.Verified("1", "a@x.test", news), opts: func(o *importer.Options) { o.OnConflict = importer.ConflictSkip }, want: "skipped:exists"},
		"fail": {row: bulktest.Verified("1", "a@x.test", news), opts: func(o *importer.Options) { o.OnConflict = importer.ConflictFail }, want: "failed:exists"},
		"update": {
			row: bulktest.Verified("1", "a@x.test", news), want: "updated",
			check: func(p *bulktest.Identity) bool {
				return p.Traits["locale"] == "de-DE" && p.Addresses[0].Verified && p.Hash == bulktest.BcryptHash
			},
		},
		"dry run": {row: bulktest.Verified("1", "a@x.test", news), opts: func(o *importer.Options) { o.DryRun = true }, want: "updated", patches: "none"},
		"unchanged": {
			row: bulktest.Verified("1", "a@x.test"), was: func(p *bulktest.Identity) { p.Addresses[0].Verified = true }, want: "skipped:unchanged", patches: "none",
		},
		"another address now": {row: bulktest.Verified("1", "new@x.test", news), want: "updated", check: func(p *bulktest.Identity) bool {
			return p.Traits["email"] == "a@x.test" && p.Traits["locale"] == "de-DE"
		}},
		"of another schema": {row: bulktest.Verified("1", "a@x.test", news), was: func(p *bulktest.Identity) { p.SchemaID = "other" }, want: "failed:invalid", patches: "none"},
		"pending":           {row: bulktest.Verified("1", "a@x.test", news), was: func(p *bulktest.Identity) { p.Hook, p.Hash = true, "" }, want: "skipped:pending", patches: "none"},
		"pending, hook off": {
			row: bulktest.Verified("1", "a@x.test", news), was: func(p *bulktest.Identity) { p.Hook, p.Hash = true, "" },
			opts: func(o *importer.Options) { o.HookOff = true }, want: "updated", check: func(p *bulktest.Identity) bool { return p.Hook && p.Hash == "" },
		},
		"blocked": {
			row: bulktest.Verified("1", "a@x.test", bulktest.With{"blocked": true}), want: "updated", check: func(p *bulktest.Identity) bool { return p.State == "inactive" },
		},
		"blocked, pending": {
			row: bulktest.Verified("1", "a@x.test", bulktest.With{"blocked": true}), was: func(p *bulktest.Identity) { p.Hook, p.Hash = true, "" },
			want: "updated", check: func(p *bulktest.Identity) bool { return p.State == "inactive" && p.Hook },
		},
		"inactive, not blocked": {
			row: bulktest.Verified("1", "a@x.test", news), was: func(p *bulktest.Identity) { p.State = "inactive" }, want: "updated",
			check: func(p *bulktest.Identity) bool { return p.State == "inactive" && p.Traits["locale"] == "de-DE" },
		},
		"linked accounts since": {
			row: bulktest.Verified("1", "a@x.test", linked("users auth0 1", "google-oauth2 google-oauth2 117")), opts: providers("google-oauth2=google"), want: "updated",
			check: func(p *bulktest.Identity) bool {
				return len(p.Social) == 0 && fmt.Sprint(p.Admin["auth0"].(map[string]any)["user_ids"]) == "[auth0|1]"
			},
		},
		"rebound": {
			row: bulktest.Verified("1", "a@x.test", news), was: func(p *bulktest.Identity) { p.Admin["auth0"].(map[string]any)["user_id"] = "auth0|2" },
			want: "failed:identifier_taken", patches: "none",
		},
		"only linked to it": {
			row: bulktest.Verified("1", "b@x.test", news), was: func(p *bulktest.Identity) {
				p.Admin["auth0"] = map[string]any{"user_id": "auth0|2", "user_ids": []any{"auth0|2", "auth0|1"}}
			}, want: "created_pending:no_hash", patches: "none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.meets(t)
		})
	}
}

func (c known) meets(t *testing.T) {
	t.Helper()
	f := bulktest.NewKratos(t)
	id := f.Add(bulktest.Bound("auth0|1", "a@x.test"))
	if c.was != nil {
		c.was(f.People[id])
	}
	before := f.Text(id)
	im := newImport(t, f, c.row)
	im.opts.OnConflict = importer.ConflictUpdate
	if c.opts != nil {
		c.opts(&im.opts)
	}
	_, done := im.must()
	if got := words(done); got != "1:"+c.want {
		t.Errorf("got %s, want %s", got, c.want)
	}
	if c.want != "created_pending:no_hash" && done[0].IdentityID != id {
		t.Errorf("the result is of %s, want %s", done[0].IdentityID, id)
	}
	if still := f.Text(id) == before; still != (c.check == nil) {
		t.Errorf("it was %s\nit is  %s", before, f.Text(id))
	}
	if c.check != nil && !c.check(f.People[id]) {
		t.Errorf("it is %s", f.Text(id))
	}
	for _, path := range f.Patches {
		if c.patches == "none" || strings.Contains(path, "user_id") {
			t.Errorf("patched %s", path)
		}
	}
}

// Who has an identity, and wants an address that is somebody else's by now, fails: in
// whatever order Kratos lists the two.
func TestUpdateBesideAnother(t *testing.T) {
	t.Parallel()
	const first, second = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
	for _, ids := range [][2]string{{first, second}, {second, first}} {
		f := bulktest.NewKratos(t)
		mine, other := bulktest.Bound("auth0|1", "a@x.test"), bulktest.Identity{ID: ids[1], Traits: map[string]any{"email": "b@x.test"}}
		mine.ID = ids[0]
		f.Add(mine)
		f.Add(other)
		before := f.Text(first) + f.Text(second)
		im := newImport(t, f, bulktest.Verified("1", "b@x.test", bulktest.With{"locale": "de"}))
		im.opts.OnConflict = importer.ConflictUpdate
		_, done := im.must()
		if words(done) != "1:failed:identifier_taken" || done[0].IdentityID != ids[1] || f.Text(first)+f.Text(second) != before {
			t.Errorf("%+v", done)
		}
	}
}

// A password that changes while the identity is written is told.
func TestUpdateOverAPassword(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Bound("auth0|1", "a@x.test"))
	f.Meanwhile = func(p *bulktest.Identity) { p.Hash = strings.Replace(bulktest.BcryptHash, "a", "b", 1) }
	im := newImport(t, f, bulktest.Verified("1", "a@x.test", bulktest.With{"locale": "de"}))
	im.opts.OnConflict = importer.ConflictUpdate
	_, done := im.must()
	if got := words(done); got != "1:updated:password_changed_meanwhile" || f.Count("patch") != 1 {
		t.Errorf("%s after %d patches", got, f.Count("patch"))
	}
}

// A patch with an unknown outcome is computed again.
func TestUpdateThroughFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrong bulktest.Fault
		want  string
	}{"before it was done": {bulktest.Refuses503, "1:updated"}, "after it was done": {bulktest.Crashes, "1:skipped:unchanged"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			id := f.Add(bulktest.Bound("auth0|1", "a@x.test"))
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == "patch" && n == 1 {
					return c.wrong
				}
				return bulktest.Well
			}
			im := newImport(t, f, bulktest.Verified("1", "a@x.test", bulktest.With{"locale": "de"}))
			im.opts.OnConflict = importer.ConflictUpdate
			_, done := im.must()
			if words(done) != c.want || f.People[id].Traits["locale"] != "de" {
				t.Errorf("%s: %s", words(done), f.Text(id))
			}
		})
	}
}

// flags are one combination of what an operator may ask for.
type flags struct {
	mode                               plan.Mode
	conflict                           importer.Conflict
	hookOff, dropMFA, social, external bool
	v131                               bool
}

func allFlags() []flags {
	var all []flags
	bools := []bool{false, true}
	for _, m := range []plan.Mode{plan.ModeAuto, plan.ModeHook, plan.ModeHash} {
		for _, c := range []importer.Conflict{importer.ConflictSkip, importer.ConflictUpdate, importer.ConflictFail} {
			for bits := range 32 {
				b := func(i int) bool { return bools[bits>>i&1] }
				all = append(all, flags{m, c, b(0), b(1), b(2), b(3), b(4)})
			}
		}
	}
	return all
}

func (f flags) opts(t *testing.T, o *importer.Options) {
	t.Helper()
	o.Mode, o.OnConflict, o.HookOff, o.DropMFA, o.ExternalID = f.mode, f.conflict, f.hookOff, f.dropMFA, f.external
	o.Hashes = bulktest.HashesFile(t, bulktest.HashLine("victim", bulktest.BcryptHash, bulktest.SetAt), bulktest.HashLine("twin", strings.Replace(bulktest.BcryptHash, "a", "e", 1), bulktest.SetAt))
	if f.social {
		o.Providers = plan.Providers{"google-oauth2": "google"}
	}
	o.Now = func() time.Time { return time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC) }
}

// twins are rows of a user who claims the victim's identifiers without proof.
func twins(f flags) []string {
	changes := []bulktest.With{linked("users auth0 twin", "google-oauth2 google-oauth2 666"), {"locale": "evil", "username": "mallory", "app_metadata": bulktest.With{"evil": true}, "blocked": true}}
	if f.dropMFA {
		changes = append(changes, bulktest.With{"multifactor": []any{"guardian"}})
	}
	var rows []string
	for _, email := range []string{"kim@x.test", "KIM@X.test"} {
		rows = append(rows, bulktest.User("twin", email, changes...))
	}
	rows = append(rows, bulktest.Verified("twin", "\u212aim@x.test", changes...)) // Kelvin's sign, which Kratos takes for a k
	name := maps.Clone(changes[1])
	name["username"] = "Kim@x.test"
	return append(rows, bulktest.Verified("twin", "mallory@x.test", append(slices.Clone(changes), name)...))
}

// A twin changes nothing of the victim's, wherever they meet and whatever the flags.
func TestTwin(t *testing.T) {
	t.Parallel()
	victim := bulktest.Verified("victim", "kim@x.test", linked("users auth0 victim", "google-oauth2 google-oauth2 117"), bulktest.With{"locale": "de"})
	for i, flags := range allFlags() {
		t.Run(fmt.Sprintf("%+v", flags), func(t *testing.T) {
			t.Parallel()
			alone := importedVictim(t, flags, victim)
			all := twins(flags)
			twin := all[i%len(all)]
			for _, rows := range [][]string{{twin, victim}, {victim, twin}} {
				if got := importedVictim(t, flags, rows...); got != alone {
					t.Errorf("beside the twin the victim is\n%s\nand alone\n%s", got, alone)
				}
			}
			for _, pending := range []bool{false, true} {
				existingVictim(t, flags, pending, twin)
			}
		})
	}
}

// importedVictim imports the rows, and returns the victim's identity but for its ids.
func importedVictim(t *testing.T, flags flags, rows ...string) string {
	t.Helper()
	f := bulktest.NewKratos(t)
	f.V131 = flags.v131
	im := newImport(t, f, rows...)
	flags.opts(t, &im.opts)
	_, done := im.must()
	for _, r := range done {
		if (r.Outcome == results.Failed) != (r.UserID == "auth0|twin") {
			t.Errorf("%s is %s: %s", r.UserID, r.Outcome, r.Reason)
		}
	}
	if n := len(f.All()); n != 1 {
		t.Errorf("there are %d identities", n)
	}
	return runID.ReplaceAllString(f.Text(f.Of("auth0|victim").ID), "ID")
}

// existingVictim imports the twin where the victim has an identity: one of an import,
// or one that Auth0 never knew.
func existingVictim(t *testing.T, flags flags, pending bool, twin string) {
	t.Helper()
	for _, native := range []bool{false, true} {
		f := bulktest.NewKratos(t)
		f.V131 = flags.v131
		was := bulktest.Bound("auth0|victim", "Kim@x.test")
		if native {
			was.Admin = nil
		}
		if pending {
			was.Hash, was.Hook = "", true
		}
		id := f.Add(was)
		before := f.Text(id)
		im := newImport(t, f, twin)
		flags.opts(t, &im.opts)
		_, done := im.must()
		if got := words(done); got != "1:failed:identifier_taken" {
			t.Errorf("native %v: %s", native, got)
		}
		if after := f.Text(id); after != before || f.Count("patch") > 0 || len(f.All()) != 1 {
			t.Errorf("native %v: it was\n%s\nand is\n%s", native, before, after)
		}
	}
}

// An identity of a row's user that appears after the scan is updated too, with the data of the
// very row.
func TestUpdateAfterTheScan(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := ""
	f.On = func(kind string, n int) bulktest.Fault {
		if kind == "batch" && n == 1 {
			id = f.Add(bulktest.Bound("auth0|2", "b@x.test"))
		}
		return bulktest.Well
	}
	f.Add(bulktest.Bound("auth0|3", "c@x.test"))
	im := newImport(t, f,
		bulktest.User("1", "a@x.test", bulktest.With{"locale": "de"}), bulktest.User("2", "b@x.test", bulktest.With{"locale": "fr"}),
		bulktest.User("3", "c@x.test", bulktest.With{"locale": "it"}), bulktest.User("4", "d@x.test", bulktest.With{"locale": "es"}))
	im.opts.OnConflict = importer.ConflictUpdate
	_, done := im.must()
	if got := words(done); got != "1:created_pending:no_hash 2:updated 3:updated 4:created_pending:no_hash" || done[1].IdentityID != id {
		t.Errorf("got %s", got)
	}
	for user, locale := range map[string]string{"auth0|1": "de", "auth0|2": "fr", "auth0|3": "it", "auth0|4": "es"} {
		if got := f.Of(user).Traits["locale"]; got != locale {
			t.Errorf("%s has the locale %v", user, got)
		}
	}
}
