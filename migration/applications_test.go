package migration_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/migration"
	"ferry/test/bulktest"
	"ferry/verification"
)

// TestApplications: where refresh tokens are re-minted, nothing is ready to switch off while an
// application comes with tokens of Auth0, or while that is not known.
func TestApplications(t *testing.T) {
	t.Parallel()
	off := false
	lately := []status.Remint{{ClientID: "old", Count: 3, Last: now.Add(-20 * day)}, {ClientID: "spa", Count: 9, Last: now.Add(-13 * day)}}
	for name, c := range map[string]struct {
		edit  func(*migration.Facts)
		state migration.State
		next  string
		off   string // what the plan says of Auth0
	}{
		"none is re-minted":  {func(f *migration.Facts) { f.Remint = false }, migration.ReadyToSwitchOff, "ferry kratos-config --remove kratos.yml", ""},
		"no ferry was asked": {func(*migration.Facts) {}, migration.Draining, "ferry plan --metrics http://127.0.0.1:4481", "not known how many applications"},
		"none has come yet": {
			func(f *migration.Facts) { f.Remints = []status.Remint{} }, migration.Draining,
			"ferry status --metrics http://127.0.0.1:4481", "not known how many applications",
		},
		"one has come lately": {
			func(f *migration.Facts) { f.Remints = lately }, migration.Draining,
			"ferry status --metrics http://127.0.0.1:4481", "the users of 1 application that still use",
		},
		"at an unknown time": {
			func(f *migration.Facts) {
				f.Remints = []status.Remint{{ClientID: "spa", Count: 1}, {ClientID: "web", Count: 1}}
			}, migration.Draining,
			"ferry status --metrics http://127.0.0.1:4481", "the users of 2 applications that still use",
		},
		"the last came long ago": {func(f *migration.Facts) { f.Remints = lately[:1] }, migration.ReadyToSwitchOff, "ferry kratos-config --remove kratos.yml", ""},
		"accepted": {func(f *migration.Facts) {
			f.Remints, f.Rules.Accepted = lately, []migration.BlockerKind{migration.Auth0Tokens}
		}, migration.ReadyToSwitchOff, "ferry kratos-config --remove kratos.yml", "the users of 1 application that still use"},
		"accepted, not known": {
			func(f *migration.Facts) { f.Rules.Accepted = []migration.BlockerKind{migration.Auth0Tokens} }, migration.ReadyToSwitchOff,
			"ferry kratos-config --remove kratos.yml", "not known how many applications",
		},
		"the migration is closed": {func(f *migration.Facts) { f.Closed = true }, migration.ReadyToSwitchOff, "ferry kratos-config --remove kratos.yml", ""},
		"unwired":                 {func(f *migration.Facts) { f.HookOn, f.Remints = &off, lately }, migration.Draining, "ferry status --metrics http://127.0.0.1:4481", "the users of 1 application"},
		"unwired, and no reconciliation": {func(f *migration.Facts) {
			f.HookOn, f.Remints = &off, lately
			delete(f.Records, verification.Reconcile)
		}, migration.Draining, "ferry status --metrics http://127.0.0.1:4481", "the users of 1 application"},
		"unwired, not known":                {func(f *migration.Facts) { f.HookOn = &off }, migration.Draining, "ferry plan --metrics http://127.0.0.1:4481", "not known how many applications"},
		"unwired, the last came long ago":   {func(f *migration.Facts) { f.HookOn, f.Remints = &off, lately[:1] }, migration.SwitchedOff, "FERRY_MIGRATION_CLOSED=true", ""},
		"unwired, and the migration closed": {func(f *migration.Facts) { f.HookOn, f.Remints, f.Closed = &off, lately, true }, migration.SwitchedOff, "", ""},
		"users are left": {func(f *migration.Facts) {
			s := migratedAgo(counted(map[kind.Kind]int{kind.Migrated: 2, kind.Pending: 1}), 20*day)
			*f = verified(s)
			f.Remint, f.Remints = true, lately
		}, migration.Draining, "ferry status --metrics http://127.0.0.1:4481", "the users of 1 application"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := verified(migratedAgo(counted(map[kind.Kind]int{kind.Migrated: 2}), day))
			f.Remint = true
			c.edit(&f)
			p := migration.Decide(f)
			if got := first(p); p.State != c.state || got != c.next {
				t.Errorf("got %s (%s), next %q; want %s, %q", p.State, p.Why, got, c.state, c.next)
			}
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			bulktest.Documented(t, "../docs/plan.schema.json", string(text))
			said := printed(t, p)
			if !strings.Contains(said, c.off) || c.off == "" && strings.Contains(said, "Auth0 refresh tokens would have to log in") {
				t.Errorf("it lacks %q:\n%s", c.off, said)
			}
			if blocked := strings.Contains(said, "FERRY_PLAN_ACCEPT=auth0_tokens"); blocked != (c.state == migration.Draining) {
				t.Error(said)
			}
		})
	}
}
