package doctor

import (
	"strings"
	"testing"

	"ferry/doctor"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/wiring"
)

// whyCases are people whose login fails, or whose hook is not called.
func whyCases() map[string]struct {
	person     func(*auth0sim.User, *kratostest.NewIdentity) // nil: an ordinary one
	nobody     bool
	setUp      func(*setup)
	identifier string // empty: the person's e-mail address, in another form
	first      string // the name of the likeliest finding; empty: none
	fix        string
} {
	type person = func(*auth0sim.User, *kratostest.NewIdentity)
	type why = struct {
		person     person
		nobody     bool
		setUp      func(*setup)
		identifier string
		first, fix string
	}
	return map[string]why{
		"nothing":        {},
		"nobody":         {nobody: true, first: "not_in_kratos", fix: "which address"},
		"nobody, a name": {identifier: "kim", first: "not_in_kratos", fix: "ferry import"},
		"not imported":   {person: func(u *auth0sim.User, _ *kratostest.NewIdentity) { u.Email = "late@example.org" }, identifier: "Late@example.org", first: "not_in_kratos", fix: "ferry import"},
		"by another name": {person: func(u *auth0sim.User, i *kratostest.NewIdentity) {
			u.Username, i.Traits = "kimble", map[string]any{"username": "Kimble"}
		}, first: "another_identifier", fix: "log in with the username"},
		"another's name": {person: func(u *auth0sim.User, i *kratostest.NewIdentity) {
			u.Username, i.Traits, i.MetadataAdmin = "kimble", map[string]any{"username": "Kimble"}, nil
		}, first: "not_in_kratos", fix: "ferry import"},
		"empty": {identifier: "  ", first: "identifier", fix: "e-mail"},
		"long":  {identifier: strings.Repeat("k", 1025), first: "identifier", fix: "typed"},
		"has a hash": {person: func(_ *auth0sim.User, i *kratostest.NewIdentity) {
			i.Pending, i.Password = false, "canary own password"
		}, first: "has_password", fix: "recover"},
		"no password": {person: func(_ *auth0sim.User, i *kratostest.NewIdentity) { i.Pending = false }, first: "not_pending", fix: "use_password_migration_hook"},
		"inactive":    {person: func(_ *auth0sim.User, i *kratostest.NewIdentity) { i.State = "inactive" }, first: "inactive", fix: `"value":"active"`},
		"unbound":     {person: func(_ *auth0sim.User, i *kratostest.NewIdentity) { i.MetadataAdmin = nil }, first: "unbound", fix: "ferry rebind"},
		"unbound, and it may": {
			person: func(_ *auth0sim.User, i *kratostest.NewIdentity) { i.MetadataAdmin = nil },
			setUp:  func(u *setup) { u.opts.Settings.VerifiedIdentifier = true }, first: "unbound", fix: "certain",
		},
		"foreign":       {person: func(_ *auth0sim.User, i *kratostest.NewIdentity) { i.MetadataAdmin = []any{1} }, first: "foreign", fix: "object"},
		"another realm": {setUp: func(u *setup) { u.realms = []string{legacy} }, first: "realm_not_listed", fix: "FERRY_AUTH0_REALMS"},
		"hook off":      {setUp: func(u *setup) { u.edit("          enabled: true\n", "          enabled: false\n") }, first: "hook_off", fix: "kratos-config"},
		"no hook":       {setUp: func(u *setup) { u.edit("        migrate_hook:\n", "        migrated_hook:\n") }, first: "hook_off", fix: "kratos-config"},
		"hook's path":   {setUp: func(u *setup) { u.edit(wiring.MigratePath, "/x") }, first: "hook_url", fix: wiring.MigratePath},
		"hook's key":    {setUp: func(u *setup) { u.edit(hookKey, "canary-stale-key-0123456789abcdef012345") }, first: "hook_key", fix: "FERRY_HOOK_KEYS"},
		"hook blocked":  {setUp: func(u *setup) { u.edit("disallow_private_ip_ranges: false", "disallow_private_ip_ranges: true") }, first: "hook_blocked", fix: "exception"},
		"not verified": {setUp: func(u *setup) {
			u.edit("          hooks:\n            - hook: web_hook", "          hooks:\n            - hook: require_verified_address\n            - hook: web_hook")
		}, first: "address_not_verified", fix: "verify"},
		"blocked":         {person: func(u *auth0sim.User, _ *kratostest.NewIdentity) { u.Blocked = true }, first: "blocked_at_auth0", fix: "unblock"},
		"deleted":         {person: func(u *auth0sim.User, _ *kratostest.NewIdentity) { u.ID = "" }, first: "deleted_at_auth0", fix: "recover"},
		"a second factor": {person: func(u *auth0sim.User, _ *kratostest.NewIdentity) { u.MFA = true }, first: "second_factor", fix: "Post-Login Action"},
		"changed there":   {person: func(u *auth0sim.User, _ *kratostest.NewIdentity) { u.Email = "new@example.org" }, first: "changed_at_auth0", fix: "what Auth0 has"},
		"moved there":     {person: func(u *auth0sim.User, _ *kratostest.NewIdentity) { u.Connection = legacy }, first: "other_connection", fix: "reconcile"},
		"no Kratos":       {setUp: func(u *setup) { u.admin = "http://" + closedPort(u.t) }, first: "kratos", fix: "FERRY_KRATOS_ADMIN_URL"},
	}
}

// TestWhy: for every person the likeliest reason comes first, with the way out; Auth0
// is asked for no grant, and nothing of the person is printed but what was asked for.
func TestWhy(t *testing.T) {
	s := start(t)
	for name, c := range whyCases() {
		t.Run(name, func(t *testing.T) {
			if !c.nobody {
				s.person(t, "kim", c.person)
			}
			u := s.sound(t)
			if c.setUp != nil {
				c.setUp(u)
			}
			identifier := c.identifier
			if identifier == "" {
				identifier = " KIM@example.org"
			}
			found := doctor.Why(t.Context(), u.options(), identifier)
			checkFindings(t, found)
			switch {
			case c.first == "" && found.Found():
				t.Errorf("found %+v", found.Findings)
			case c.first != "" && (!found.Found() || found.Findings[0].Name != c.first || !strings.Contains(found.Findings[0].Fix, c.fix)):
				t.Errorf("want %s (%s), found %+v", c.first, c.fix, found.Findings)
			}
			if s.grants() != 0 {
				t.Error("Auth0 was asked for a grant")
			}
		})
	}
}

// checkFindings: every finding says what is wrong and the way out, and no secret.
func checkFindings(t *testing.T, found doctor.Findings) {
	t.Helper()
	var words strings.Builder
	if err := found.Print(&words); err != nil {
		t.Fatal(err)
	}
	checkSilence(t, printed(t, found, words.String()))
	for _, f := range found.Findings {
		if f.Detail == "" || f.Fix == "" {
			t.Errorf("%+v", f)
		}
	}
	if got := words.String(); strings.Contains(got, "nothing is in the way") == found.Found() {
		t.Errorf("printed: %s", got)
	}
	if err := found.Print(brokenWriter{}); err == nil {
		t.Error("findings that nobody got are no success")
	}
}

// TestWhyStricterSchema: a schema that became stricter keeps people out after a match,
// each time.
func TestWhyStricterSchema(t *testing.T) {
	const schema = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"traits":{"type":"object",` +
		`"properties":{"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}},"name":{"type":"string"}}%s}}}`
	dir := t.TempDir()
	loose := kratostest.Options{Dir: dir, Schema: []byte(strings.Replace(schema, "%s", "", 1))}
	k, err := kratostest.Start(t.Context(), loose)
	if err != nil {
		t.Fatal(err)
	}
	id, err := k.CreateIdentity(t.Context(), kratostest.NewIdentity{
		Traits: map[string]any{"email": "kim@example.org"}, Pending: true, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|kim"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Stop(); err != nil {
		t.Fatal(err)
	}
	strict := kratostest.Options{Dir: dir, Schema: []byte(strings.Replace(schema, "%s", `,"required":["name"]`, 1))}
	s := start(t)
	s.kratos = kratostest.Run(t, strict)
	u := s.sound(t)
	u.machine = ""
	found := doctor.Why(t.Context(), u.options(), "kim@example.org")
	if len(found.Findings) != 1 || found.Findings[0].Name != "traits_not_valid" || !strings.Contains(found.Findings[0].Detail, "traits.name is missing") {
		t.Errorf("found %+v", found.Findings)
	}
	pending := find(t, doctor.Examine(t.Context(), u.options()), "kratos.pending")
	if pending.Status != doctor.Fail || !strings.Contains(pending.Detail, id) || !strings.Contains(pending.Detail, "traits.name is missing") {
		t.Errorf("%+v", pending)
	}
}
