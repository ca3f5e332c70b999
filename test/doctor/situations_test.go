package doctor

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"ferry/doctor"
	"ferry/mode"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/wire"
)

// codeSchema has an identifier for login by code and one for login by password.
const codeSchema = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"traits":{"type":"object","properties":{` +
	`"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"email"}}}},` +
	`"username":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}}}}}`

const (
	kim      = "kim@example.org"
	password = "canary-password kim"
	another  = "canary-another-Passw0rd"
	sees403  = kratostest.SeesInvalidCredentials
	sees502  = kratostest.SeesUnavailable
	sees200  = kratostest.SeesSession
)

// situation is a user, and the result of logging in.
type situation struct {
	person func(*auth0sim.User, *kratostest.IdentitySpec)
	// before runs before doctor is asked; id is the user's identity.
	before func(t *testing.T, w *wired, id string)
	// mode and cohort are those of ferry and of its settings; empty: on, and all.
	mode, cohort string
	// kratos changes kratos.yml.
	kratos func(t *testing.T, config map[string]any)

	typed, password string // what the user types; empty: the e-mail address and Auth0's password

	verdict doctor.Verdict
	name    string // the first finding, or without findings the first check
	sees    string // how the login ends
	next    string // how the one after it ends; empty: it is not tried
}

// everyday returns situations with the shipped wiring.
func everyday() map[string]situation {
	const works, crosses, perhaps, inTheWay = doctor.Works, doctor.Crosses, doctor.Perhaps, doctor.InTheWay
	wrongTenTimes := func(t *testing.T, w *wired, _ string) {
		t.Helper()
		for i := range 10 { // all different: on 1.3.1 a repeated login looks like a re-delivery
			w.login(t, kim, fmt.Sprint("canary-wrong ", i))
		}
	}
	return map[string]situation{
		"pending": {verdict: crosses, name: "pending", sees: sees200, next: sees200},
		"crossed by the hook": {before: func(t *testing.T, w *wired, id string) {
			t.Helper()
			w.cross(t, id)
		}, verdict: works, name: "crossed", sees: sees200},
		"crossed, then another password": {before: func(t *testing.T, w *wired, id string) {
			t.Helper()
			if err := w.kratos.ChangePassword(t.Context(), w.cross(t, id), another); err != nil {
				t.Fatal(err)
			}
		}, password: another, verdict: works, name: "crossed", sees: sees200},
		"imported with the hash": {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.Pending, i.HashedPassword = false, hashOf(password)
			imported(i, "created_hash")
		}, verdict: works, name: "imported_hash", sees: sees200},
		"recovered without crossing": {person: pendingImport, before: recovered, password: another, verdict: works, name: "own_password", sees: sees200},
		"finished": {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.Pending, i.HashedPassword = false, hashOf("nobody knows")
			imported(i, "created_pending")
			digest := sha256.Sum256([]byte(i.HashedPassword))
			note := map[string]any{"at": "2026-11-01T12:00:00Z", "password_sha256": hex.EncodeToString(digest[:])}
			auth0(i)["finished"] = note
		}, verdict: inTheWay, name: "finished", sees: sees403},
		"inactive":            {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.State = "inactive" }, verdict: inTheWay, name: "inactive", sees: sees403},
		"blocked at Auth0":    {person: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Blocked = true }, verdict: inTheWay, name: "blocked_at_auth0", sees: sees403},
		"ten wrong passwords": {before: wrongTenTimes, verdict: inTheWay, name: "too_many_wrong_passwords", sees: sees403},
		"ten wrong passwords, locked everywhere": {before: func(t *testing.T, w *wired, id string) {
			t.Helper()
			w.configure(t, func(s *auth0sim.Settings) { s.BruteForce.PerIdentifier = true })
			wrongTenTimes(t, w, id)
		}, verdict: inTheWay, name: "too_many_wrong_passwords", sees: sees403},
		"ten wrong passwords, unblocked": {before: func(t *testing.T, w *wired, id string) {
			t.Helper()
			wrongTenTimes(t, w, id)
			if err := w.sim.UnblockUser("auth0|kim"); err != nil {
				t.Fatal(err)
			}
		}, verdict: crosses, name: "pending", sees: sees200},
		"second factor": {person: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.MFA = true }, verdict: perhaps, name: "second_factor", sees: sees403},
		"second factor, exempt": {person: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.MFA = true }, before: func(t *testing.T, w *wired, _ string) {
			t.Helper()
			w.app(t, func(a *auth0sim.App) { a.MFAExempt = true })
		}, verdict: perhaps, name: "second_factor", sees: sees200},
		"unbound":              {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.MetadataAdmin = nil }, verdict: inTheWay, name: "unbound", sees: sees403},
		"deleted at Auth0":     {person: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.ID = "" }, verdict: inTheWay, name: "deleted_at_auth0", sees: sees403},
		"changed at Auth0":     {person: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Email = "new@example.org" }, verdict: inTheWay, name: "other_identifier", sees: sees403},
		"moved at Auth0":       {person: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Connection = legacy }, verdict: inTheWay, name: "other_connection", sees: sees403},
		"realm not listed":     {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) { auth0(i)["connection"] = "unlisted" }, verdict: inTheWay, name: "realm_not_listed", sees: sees502},
		"unknown":              {typed: "nobody@example.org", verdict: inTheWay, name: "not_in_kratos", sees: sees403},
		"linked, other e-mail": {person: linkedAccount("second@example.org"), verdict: inTheWay, name: "other_identifier", sees: sees403},
		"linked, same e-mail":  {person: linkedAccount(kim), verdict: crosses, name: "pending", sees: sees200},
		"unlinked at Auth0": {person: twoUsers, before: func(t *testing.T, w *wired, _ string) {
			t.Helper()
			if _, err := w.sim.AddUser(auth0sim.User{ID: "google-oauth2|7", Connection: saml, Email: kim}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = w.sim.DeleteUser("google-oauth2|7") })
		}, verdict: crosses, name: "pending", sees: sees200},
		"by username": {person: named, typed: "Kimble", verdict: crosses, name: "pending", sees: sees200},
		"ten wrong passwords by e-mail, then by username": {
			person: named, before: wrongTenTimes, typed: "kimble", verdict: crosses, name: "auth0_blocks", sees: sees200,
		},
		"too long a password": {password: strings.Repeat("canary", 13), verdict: crosses, name: "pending", sees: sees403}, // doctor does not know the typed password
		"social only": {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.Pending, i.Social = false, []string{"google:7"}
		}, verdict: inTheWay, name: "social_only", sees: sees403},
		"no password": {person: func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.Pending = false }, verdict: inTheWay, name: "not_pending", sees: sees403},
		"by a code": {person: func(u *auth0sim.User, i *kratostest.IdentitySpec) {
			u.Username, i.SchemaID = "kimble", "code"
			i.Traits["username"] = "kimble"
		}, verdict: inTheWay, name: "another_identifier", sees: sees403},
		"ferry is off":       {mode: wire.ModeOff, verdict: inTheWay, name: "hook_call", sees: sees502},
		"ferry observes":     {mode: wire.ModeObserve, verdict: inTheWay, name: "mode", sees: sees502},
		"in the cohort":      {cohort: "@example.com,@example.org", verdict: crosses, name: "pending", sees: sees200},
		"outside the cohort": {cohort: "@example.com,traits.plan=beta", verdict: inTheWay, name: "mode", sees: sees502},
		"in the cohort by a trait": {
			person: named, cohort: "traits.username=kimble", verdict: crosses, name: "pending", sees: sees200,
		},
		"two identities": {before: func(t *testing.T, w *wired, _ string) {
			t.Helper()
			w.person(t, "twin", func(u *auth0sim.User, i *kratostest.IdentitySpec) {
				u.ID, i.SchemaID, i.Pending = "", "code", false
				i.Traits = map[string]any{"email": kim}
			})
		}, verdict: crosses, name: "pending", sees: sees200},
	}
}

// outages returns situations in which Auth0 is down or misconfigured.
func outages() map[string]situation {
	const inTheWay = doctor.InTheWay
	fault := func(f auth0sim.Fault) func(*testing.T, *wired, string) {
		return func(t *testing.T, w *wired, _ string) {
			t.Helper()
			(&setup{t: t, stack: w.stack}).fault(f)
		}
	}
	return map[string]situation{
		"Auth0 is down": {before: fault(auth0sim.Fault{Name: auth0sim.FaultAnswer, Path: auth0sim.AnyPath, Status: 503}), verdict: inTheWay, name: "auth0_down", sees: sees502},
		"a wrong client secret": {before: func(t *testing.T, w *wired, _ string) {
			t.Helper()
			w.app(t, func(a *auth0sim.App) { a.ClientSecret = "canary-rotated-secret" })
		}, verdict: inTheWay, name: "auth0_grant", sees: sees502},
		"connection not enabled": {before: func(t *testing.T, w *wired, _ string) {
			t.Helper()
			w.app(t, func(a *auth0sim.App) { a.Connections = []string{legacy} })
		}, verdict: inTheWay, name: "auth0_grant", sees: sees502},
		"bot detection": {before: func(t *testing.T, w *wired, _ string) {
			t.Helper()
			w.configure(t, func(s *auth0sim.Settings) { s.BotDetection = true })
		}, verdict: inTheWay, name: "auth0_grant", sees: sees502},
	}
}

// wirings returns situations with another kratos.yml.
func wirings() map[string]situation {
	const perhaps, inTheWay = doctor.Perhaps, doctor.InTheWay
	hook := func(config map[string]any) map[string]any {
		return at(config, "selfservice", "methods", "password", "config", "migrate_hook")
	}
	requireVerified := func(place func(hooks []any, required any) []any) func(*testing.T, map[string]any) {
		return func(_ *testing.T, config map[string]any) {
			after := at(config, "selfservice", "flows", "login", "after", "password")
			hooks, _ := after["hooks"].([]any)
			after["hooks"] = place(hooks, map[string]any{"hook": "require_verified_address"})
		}
	}
	first := requireVerified(func(hooks []any, required any) []any { return append([]any{required}, hooks...) })
	last := requireVerified(func(hooks []any, required any) []any { return append(slices.Clone(hooks), required) })
	unverified := func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.EmailVerified = false }
	return map[string]situation{
		"ferry is not running": {kratos: func(t *testing.T, config map[string]any) {
			t.Helper()
			at(hook(config), "config")["url"] = "http://" + closedPort(t) + wire.MigrationPath
		}, verdict: inTheWay, name: "hook_call", sees: sees502},
		"the hook is off": {
			kratos: func(_ *testing.T, config map[string]any) { hook(config)["enabled"] = false }, verdict: inTheWay, name: "hook_off",
			sees: "other: error 500",
		},
		"a wrong key": {kratos: func(_ *testing.T, config map[string]any) {
			at(hook(config), "config", "auth", "config")["value"] = "Bearer canary-stale-key-0123456789abcdef012345"
		}, verdict: inTheWay, name: "hook_key", sees: sees502},
		"Kratos calls no private address": {kratos: func(_ *testing.T, config map[string]any) {
			at(config, "clients", "http")["disallow_private_ip_ranges"] = true
		}, verdict: inTheWay, name: "hook_blocked", sees: sees502},
		"not verified anywhere":               {person: unverified, kratos: last, verdict: inTheWay, name: "address_not_verified", sees: "other: ", next: "other: "},
		"verified at Auth0":                   {kratos: last, verdict: perhaps, name: "address_not_verified", sees: "other: ", next: sees200},
		"verified by a linked social account": {person: linkedAccount(kim), kratos: last, verdict: inTheWay, name: "address_not_verified", sees: "other: ", next: "other: "},
		"verified at Auth0 too late":          {kratos: first, verdict: inTheWay, name: "address_not_verified", sees: "other: ", next: "other: "},
	}
}

// TestWhyAgainstLogin: in each situation, on the real Kratos and the simulator,
// doctor's verdict agrees with the result of logging in.
func TestWhyAgainstLogin(t *testing.T) {
	w := startWired(t)
	w.configure(t, func(s *auth0sim.Settings) { s.SuspiciousIP.Enabled = false }) // many logins fail, all from one address
	t.Run("everyday", func(t *testing.T) {
		w.boot(t, nil)
		for name, c := range everyday() {
			t.Run(name, func(t *testing.T) { w.check(t, c) })
		}
		for name, c := range outages() {
			t.Run(name, func(t *testing.T) { w.check(t, c) })
		}
	})
	for name, c := range wirings() {
		t.Run(name, func(t *testing.T) {
			w.boot(t, c.kratos)
			w.check(t, c)
		})
	}
}

// check sets up the situation, asks doctor, and logs in.
func (w *wired) check(t *testing.T, c situation) {
	t.Helper()
	w.sim.Reset()
	id := w.person(t, "kim", c.person)
	if c.before != nil {
		c.before(t, w, id)
	}
	identifier, typed := c.typed, c.password
	if identifier == "" {
		identifier = kim
	}
	if typed == "" {
		typed = password
	}
	options := w.config(t).options()
	w.modes(t, c, &options)
	attempts := w.sim.Attempts("auth0|kim")
	found := doctor.Why(t.Context(), options, identifier)
	if n := w.sim.Attempts("auth0|kim") - attempts; n != 0 {
		t.Errorf("doctor tried %d logins of the user", n)
	}
	checkFindings(t, found)
	named := found.Looked
	if len(found.Findings) > 0 {
		named = found.Findings[:1]
	}
	if found.Verdict != c.verdict || !slices.ContainsFunc(named, func(f doctor.Check) bool { return f.Name == c.name }) {
		t.Errorf("the verdict is %s, want %s (%s): %+v", found.Verdict, c.verdict, c.name, found)
	}
	_, sees := w.login(t, identifier, typed)
	if !strings.HasPrefix(sees, c.sees) {
		t.Errorf("the user sees %q, want %q", sees, c.sees)
	}
	if found.Verdict == doctor.InTheWay && sees == sees200 || found.Good() && sees != sees200 && len(typed) <= 72 {
		t.Errorf("doctor says %s, and the user sees %q", found.Verdict, sees)
	}
	if c.next != "" {
		if c.sees != sees200 && c.next == sees200 {
			w.eventually(t, func() bool { return w.verified(t, id) })
		}
		if _, sees := w.login(t, identifier, typed); !strings.HasPrefix(sees, c.next) {
			t.Errorf("at the next login the user sees %q, want %q", sees, c.next)
		}
	}
}

// modes gives ferry and doctor the mode and the cohort of the situation.
func (w *wired) modes(t *testing.T, c situation, o *doctor.Options) {
	t.Helper()
	first := mode.Options{Mode: wire.ModeOn, Cohort: wire.CohortAll, Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now}
	if c.mode+c.cohort != "" {
		t.Cleanup(func() { w.putMode(t, first.Mode, first.Cohort) })
	}
	given := first
	given.Mode, given.Cohort = cmp.Or(c.mode, first.Mode), cmp.Or(c.cohort, first.Cohort)
	if given.Mode != first.Mode || given.Cohort != first.Cohort {
		w.putMode(t, given.Mode, given.Cohort)
	}
	modes, err := mode.New(given)
	if err != nil {
		t.Fatal(err)
	}
	o.Mode = given.Mode
	o.InCohort = func(typed string, identifiers []string, traits any) bool {
		return modes.Has(mode.User{Identifier: typed, Identifiers: identifiers, Traits: traits})
	}
}

// putMode changes the mode and the cohort of the running ferry.
func (w *wired) putMode(t *testing.T, to, cohort string) {
	t.Helper()
	body := fmt.Sprintf(`{"mode":%q,"cohort":%q}`, to, cohort)
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPut, w.ferry.AdminURL()+"/mode", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT /mode %s: %s, %v", body, resp.Status, err)
	}
}

// auth0 returns metadata_admin.auth0 of the identity.
func auth0(i *kratostest.IdentitySpec) map[string]any {
	admin, _ := i.MetadataAdmin.(map[string]any)
	recorded, _ := admin["auth0"].(map[string]any)
	return recorded
}

// imported adds the record that an import writes.
func imported(i *kratostest.IdentitySpec, as string) {
	auth0(i)["import"] = map[string]any{"as": as, "at": "2026-10-01T12:00:00Z", "run": "r"}
}

func pendingImport(_ *auth0sim.User, i *kratostest.IdentitySpec) { imported(i, "created_pending") }

// twoUsers binds the identity to a user and a linked one.
func twoUsers(u *auth0sim.User, i *kratostest.IdentitySpec) {
	auth0(i)["user_id"], auth0(i)["user_ids"] = "google-oauth2|7", []any{"google-oauth2|7", u.ID}
}

// named gives the user a username as well.
func named(u *auth0sim.User, i *kratostest.IdentitySpec) {
	u.Username, i.Traits["username"] = "kimble", "kimble"
}

// recovered recovers the account at Kratos without an earlier login.
func recovered(t *testing.T, w *wired, id string) {
	t.Helper()
	if err := w.kratos.Recover(t.Context(), id, another); err != nil {
		t.Fatal(err)
	}
}

// linkedAccount makes a user whose password belongs to a linked account with this
// address.
func linkedAccount(email string) func(*auth0sim.User, *kratostest.IdentitySpec) {
	return func(u *auth0sim.User, i *kratostest.IdentitySpec) {
		u.ID, u.Connection, u.Password = "google-oauth2|7", saml, ""
		u.Identities = []auth0sim.Identity{{Provider: "auth0", UserID: "kim", Connection: users, Email: email, EmailVerified: true, Password: password}}
		auth0(i)["user_id"], auth0(i)["user_ids"] = u.ID, []any{u.ID, "auth0|kim"}
	}
}

func hashOf(password string) string {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return ""
	}
	return string(hash)
}
