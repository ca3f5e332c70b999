package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ferry/doctor"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/wire"
)

// whyCase is a user, and doctor's report without a login.
type whyCase struct {
	person     func(*auth0sim.User, *kratostest.IdentitySpec) // nil: unchanged
	nobody     bool
	setUp      func(*setup)
	identifier string // empty: the user's e-mail address, in another form
	verdict    doctor.Verdict
	first      string // the most likely finding, or without findings the first check not run
	fix        string
}

// whyCases returns users whose login fails, or about whom doctor cannot check
// everything. TestWhyAgainstLogin has the situations in which the login is tried as
// well.
func whyCases() map[string]whyCase {
	const crosses, nothing, perhaps, inTheWay = doctor.Crosses, doctor.NothingFound, doctor.Perhaps, doctor.InTheWay
	ownPassword := func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
		i.Pending, i.Password = false, "canary own password"
	}
	unnamed := func(u *setup) { // doctor calls the hook at the address in the settings
		u.opts.Settings.HookURL, u.opts.Settings.HookKeys = u.ferry.HooksURL(), u.opts.Settings.HookKeys[1:]
	}
	without := func(u *setup) { unnamed(u); u.noConfig = true }
	return map[string]whyCase{
		"nothing":      {verdict: crosses},
		"unknown":      {nobody: true, verdict: inTheWay, first: "not_in_kratos", fix: "which address"},
		"unknown name": {identifier: "kim", verdict: inTheWay, first: "not_in_kratos", fix: "ferry import"},
		"not imported": {
			person: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Email = "late@example.org" }, identifier: "Late@example.org",
			verdict: inTheWay, first: "not_in_kratos", fix: "ferry import",
		},
		"by another name": {person: func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			u.Username, i.Traits = "kimble", map[string]any{"username": "Kimble"}
		}, verdict: inTheWay, first: "another_identifier", fix: "log in with the username"},
		"another's name": {person: func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			u.Username, i.Traits, i.MetadataAdmin = "kimble", map[string]any{"username": "Kimble"}, nil
		}, verdict: inTheWay, first: "not_in_kratos", fix: "ferry import"},
		"empty": {identifier: "  ", verdict: inTheWay, first: "identifier", fix: "e-mail"},
		"long":  {identifier: strings.Repeat("k", 1025), verdict: inTheWay, first: "identifier", fix: "typed"},
		"unbound, with verified_identifier": {
			person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.MetadataAdmin = nil },
			setUp:  func(u *setup) { u.opts.Settings.VerifiedIdentifier = true }, verdict: perhaps, first: "unbound", fix: "records",
		},
		"foreign":                               {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.MetadataAdmin = []any{1} }, verdict: inTheWay, first: "foreign", fix: "object"},
		"no hook":                               {setUp: func(u *setup) { u.edit("        migrate_hook:\n", "        migrated_hook:\n") }, verdict: inTheWay, first: "hook_off", fix: "kratos-config"},
		"no Kratos":                             {setUp: func(u *setup) { u.admin = "http://" + closedPort(u.t) }, verdict: inTheWay, first: "kratos", fix: "FERRY_KRATOS_ADMIN_URL"},
		"hook's path":                           {setUp: func(u *setup) { u.edit(wire.MigrationPath, "/x") }, verdict: inTheWay, first: "hook_url", fix: wire.MigrationPath},
		"another key than the running ferry's":  {setUp: func(u *setup) { u.edit(hookKey, otherKey) }, verdict: inTheWay, first: "hook_call", fix: "restart ferry"},
		"the running ferry's key, unknown here": {setUp: func(u *setup) { u.opts.Settings.HookKeys = nil }, verdict: crosses},

		"no kratos.yml":                    {setUp: without, verdict: nothing, first: "kratos_config", fix: "--kratos-config"},
		"a kratos.yml that cannot be read": {setUp: func(u *setup) { unnamed(u); u.yml = "a: [" }, verdict: nothing, first: "kratos_config", fix: "YAML"},
		"no kratos.yml, ferry is not here": {setUp: func(u *setup) { without(u); u.opts.Settings.HookURL = "http://" + closedPort(u.t) }, verdict: perhaps, first: "hook_call", fix: "ferry serve"},
		"no kratos.yml, no address":        {setUp: func(u *setup) { u.noConfig = true }, verdict: nothing, first: "kratos_config"},
		"no kratos.yml, another key here":  {setUp: func(u *setup) { without(u); u.opts.Settings.HookKeys = []secret.String{secret.New(otherKey)} }, verdict: perhaps, first: "hook_call", fix: "FERRY_HOOK_KEYS"},
		"no credentials for Management":    {setUp: func(u *setup) { u.machine = "" }, verdict: nothing, first: "auth0_user", fix: "FERRY_AUTH0_MGMT_CLIENT_ID"},
		"a machine without scopes":         {setUp: func(u *setup) { u.machine = "blind" }, verdict: nothing, first: "auth0_user", fix: "read:users"},
		"no grant":                         {setUp: func(u *setup) { u.opts.NoGrant = true }, verdict: nothing, first: "auth0_grant", fix: "--no-grant"},
		"a second factor, and the bridge": {person: func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			u.MFA, i.Social = true, []string{"old:auth0|kim"}
		}, verdict: perhaps, first: "second_factor", fix: "over the bridge, at Auth0 (provider old)"},
		"a second factor, and a bridge to come": {person: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.MFA = true }, setUp: func(u *setup) {
			u.edit("    password:\n      enabled: true", "    oidc:\n      enabled: true\n      config: {providers: [{id: old, provider: auth0, issuer_url: '"+u.baseURL+"'}]}\n    password:\n      enabled: true")
		}, verdict: perhaps, first: "second_factor", fix: "ferry import --bridge old --on-conflict update"},
		"the bridge only": {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.Pending, i.Social = false, []string{"old:auth0|kim"}
		}, verdict: inTheWay, first: "bridge_only", fix: "at Auth0 (provider old)"},
		"off, by the settings alone":      {setUp: func(u *setup) { u.opts.Mode = wire.ModeOff }, verdict: perhaps, first: "mode", fix: "FERRY_MODE"},
		"the file of the mode is gone":    {setUp: func(u *setup) { u.opts.ModeFault = errors.New("FERRY_MODE_FILE no such file or directory") }, verdict: nothing, first: "mode", fix: "setting"},
		"own password":                    {person: ownPassword, verdict: doctor.Works},
		"own password, no kratos.yml":     {person: ownPassword, setUp: without, verdict: nothing, first: "kratos_config", fix: "--kratos-config"},
		"own password, passwords are off": {person: ownPassword, setUp: func(u *setup) { u.edit("    password:\n      enabled: true", "    password:\n      enabled: false") }, verdict: inTheWay, first: "password_off", fix: "true"},
		"own password, login waits for ferry": {person: ownPassword, setUp: func(u *setup) {
			u.edit("ignore: true", "ignore: false")
			u.edit(u.ferry.HooksURL(), "http://"+closedPort(u.t))
		}, verdict: inTheWay, first: "after_login_call", fix: "ferry serve"},
		"own password, verified": {person: func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			ownPassword(u, i)
			i.VerifiableAddresses = []kratostest.Address{{Value: "kim@example.org", Via: "email", Verified: true}}
		}, setUp: without, verdict: doctor.Works},
	}
}

// TestWhy: doctor gives a verdict and the most likely reason with its fix. It asks
// Auth0 for at most one grant, never with the user's identifier, and prints no user
// data except the identifier it was given.
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
			grants := s.grants()
			found := doctor.Why(t.Context(), u.options(), identifier)
			checkFindings(t, found)
			first := append(append([]doctor.Check{}, found.Findings...), found.NotLooked...)
			switch {
			case found.Verdict != c.verdict:
				t.Errorf("the verdict is %s, want %s: %+v", found.Verdict, c.verdict, found)
			case c.first != "" && (len(first) == 0 || first[0].Name != c.first || !strings.Contains(first[0].Fix, c.fix)):
				t.Errorf("want %s (%s), found %+v", c.first, c.fix, first)
			}
			if n := s.grants() - grants; n > 1 || s.sim.Attempts("auth0|kim") != 0 || (u.opts.NoGrant || found.Verdict == doctor.InTheWay) && n > 0 {
				t.Errorf("Auth0 was asked for %d grants, %d of them for the user", n, s.sim.Attempts("auth0|kim"))
			}
		})
	}
}

// TestWhyHash: the hash is that of the identifier as Kratos stores it. Without the key
// doctor prints none.
func TestWhyHash(t *testing.T) {
	s := start(t)
	u := s.sound(t)
	options := u.options()
	var words strings.Builder
	if err := doctor.Why(t.Context(), options, "kim@example.org").Print(&words); err != nil || !strings.Contains(words.String(), "differs for each start") {
		t.Errorf("printed: %s, %v", words.String(), err)
	}
	words.Reset()
	options.HashIdentifier = func(identifier string) string { return "hash of " + identifier }
	found := doctor.Why(t.Context(), options, " KIM@example.org")
	if err := found.Print(&words); err != nil || found.IdentifierHash != "hash of kim@example.org" || !strings.Contains(words.String(), "identifier_hash  hash of kim@example.org\n") {
		t.Errorf("printed: %s, %v", words.String(), err)
	}
}

// TestWhyCountsUsers: user_ids lists user_id, too.
func TestWhyCountsUsers(t *testing.T) {
	s := start(t)
	s.person(t, "kim", twoUsers)
	found := doctor.Why(t.Context(), s.sound(t).options(), "kim@example.org")
	if !slices.ContainsFunc(found.Looked, func(f doctor.Check) bool {
		return f.Name == "bound" && strings.Contains(f.Detail, "bound to 2 users")
	}) {
		t.Errorf("%+v", found.Looked)
	}
}

// checkFindings: every finding has a message and a fix, and no secret. The printed report
// starts with the verdict and contains all findings.
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
	verdict, rest, _ := strings.Cut(words.String(), "\n")
	begins := map[doctor.Verdict]string{
		doctor.Works: "nothing is in the way: Kratos", doctor.Crosses: "nothing is in the way: the next login", doctor.NothingFound: "nothing found in what was looked at",
		doctor.Perhaps: "something may be in the way", doctor.InTheWay: "the login fails",
	}
	if begin := begins[found.Verdict]; begin == "" || !strings.HasPrefix(verdict, begin) {
		t.Errorf("printed: %s", words.String())
	}
	for _, list := range [][]doctor.Check{found.Findings, found.Looked, found.NotLooked} {
		for _, f := range list {
			if !strings.Contains(rest, f.Name) || !strings.Contains(rest, f.Detail) || !strings.Contains(rest, f.Fix) {
				t.Errorf("%s is not printed: %s", f.Name, words.String())
			}
		}
	}
	if err := found.Print(brokenWriter{}); err == nil {
		t.Error("findings that could not be written are not a success")
	}
}

// TestWhyStricterSchema: after the schema became stricter, an identity that no longer
// fits it cannot log in even after a match.
func TestWhyStricterSchema(t *testing.T) {
	const schema = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"traits":{"type":"object",` +
		`"properties":{"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}},"name":{"type":"string"}}%s}}}`
	dir := t.TempDir()
	loose := kratostest.Options{Dir: dir, Schema: []byte(strings.Replace(schema, "%s", "", 1))}
	k, err := kratostest.Start(t.Context(), loose)
	if err != nil {
		t.Fatal(err)
	}
	id, err := k.CreateIdentity(t.Context(), kratostest.IdentitySpec{
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
