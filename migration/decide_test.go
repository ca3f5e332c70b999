package migration_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/migration"
	"ferry/test/bulktest"
	"ferry/verification"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// counted returns a status with these kinds, all in the connection main.
func counted(kinds map[kind.Kind]int) status.Status {
	s := status.Status{At: now, Kinds: kinds, Connections: map[string]status.Connection{}}
	for _, n := range kinds {
		s.Total += n
	}
	if s.Total > 0 {
		s.Connections["main"] = status.Connection{Total: s.Total, Kinds: kinds, Obstacles: map[status.Obstacle]int{}}
	}
	return s
}

// migratedAgo adds when the last user migrated.
func migratedAgo(s status.Status, ago time.Duration) status.Status {
	at := now.Add(-ago)
	s.LastMigratedAt = &at
	return s
}

// verified returns facts in which doctor and reconcile verified everything an hour ago.
func verified(s status.Status) migration.Facts {
	on, hour, exported := true, now.Add(-time.Hour), now.Add(-2*time.Hour)
	return migration.Facts{
		Now: now, Status: s, HookOn: &on, KratosConfig: "k", Settings: "s", RecordsKept: true, UsersAt: &exported,
		Files: migration.Files{KratosConfig: "kratos.yml", Users: "users.ndjson.gz"},
		Rules: migration.Rules{ReconcileMaxAge: 3 * day, Quiet: 14 * day},
		Records: verification.Records{
			verification.Doctor:    {Command: verification.Doctor, Ended: hour, OK: true, Settings: "s", KratosConfig: "k", HookOn: &on},
			verification.Reconcile: {Command: verification.Reconcile, Started: hour, Ended: hour, InputAt: &exported, OK: true, Counts: map[string]int{"users": s.Total}},
		},
	}
}

// gateway returns the same facts with a ferry serve that creates identities at logins.
func gateway(s status.Status) migration.Facts {
	f := verified(s)
	f.Gateway = true
	delete(f.Records, verification.Reconcile)
	return f
}

// change changes one record.
func change(f migration.Facts, command verification.Command, edit func(*verification.Record)) migration.Facts {
	record := f.Records[command]
	record.Command = command
	edit(&record)
	f.Records[command] = record
	return f
}

func TestStates(t *testing.T) {
	t.Parallel()
	off := false
	pending := func(n, migrated int) status.Status {
		return counted(map[kind.Kind]int{kind.Pending: n, kind.Migrated: migrated})
	}
	for name, c := range map[string]struct {
		facts func() migration.Facts
		state migration.State
		next  string // of the first next step
	}{
		"nothing is known": {func() migration.Facts {
			f := verified(counted(nil))
			f.HookOn, f.Records, f.KratosConfig = nil, nil, ""
			return f
		}, migration.NotWired, "ferry doctor --kratos-config kratos.yml"},
		"the hook is off": {func() migration.Facts {
			f := verified(counted(nil))
			f.HookOn = &off
			return f
		}, migration.NotWired, "ferry kratos-config --merge kratos.yml"},
		"the hook is off and identities are pending": {func() migration.Facts {
			f := verified(pending(3, 2))
			f.HookOn = &off
			return f
		}, migration.NotWired, "ferry kratos-config --merge kratos.yml"},
		"the hook is on in the record of doctor": {func() migration.Facts {
			f := verified(counted(nil))
			f.HookOn, f.KratosConfig = nil, ""
			return f
		}, migration.Wired, "ferry import --users users.ndjson.gz --dry-run --results plan.ndjson"},
		"wired without an export": {func() migration.Facts {
			f := verified(counted(nil))
			f.UsersAt = nil
			return f
		}, migration.Wired, "ferry export --out users.ndjson.gz"},
		"wired and rehearsed": {func() migration.Facts {
			f := verified(counted(nil))
			return change(f, verification.ImportDryRun, func(r *verification.Record) { r.InputAt = f.UsersAt })
		}, migration.Wired, "ferry import --users users.ndjson.gz --results results.ndjson"},
		"wired, and another export rehearsed": {func() migration.Facts {
			f := verified(counted(nil))
			other := f.UsersAt.Add(-day)
			return change(f, verification.ImportDryRun, func(r *verification.Record) { r.InputAt = &other })
		}, migration.Wired, "ferry import --users users.ndjson.gz --dry-run --results plan.ndjson"},
		"imported":                        {func() migration.Facts { return verified(pending(3, 0)) }, migration.Imported, "wait"},
		"crossing":                        {func() migration.Facts { return verified(migratedAgo(pending(3, 2), day)) }, migration.Crossing, "wait"},
		"crossing without notes of times": {func() migration.Facts { return verified(pending(3, 2)) }, migration.Crossing, "wait"},
		"draining":                        {func() migration.Facts { return verified(migratedAgo(pending(3, 2), 14*day)) }, migration.Draining, "FERRY_MIGRATION_CLOSED=true"},
		"closed": {func() migration.Facts {
			f := verified(migratedAgo(pending(3, 2), day))
			f.Closed = true
			return f
		}, migration.Draining, "ferry finish --yes --results finish.ndjson"},
		"no one is pending": {func() migration.Facts { return verified(migratedAgo(pending(0, 2), day)) }, migration.ReadyToSwitchOff, "ferry kratos-config --remove kratos.yml"},
		"inactive and pending": {func() migration.Facts {
			f := verified(migratedAgo(pending(0, 2), 14*day))
			f.Status.InactivePending = 1
			return f
		}, migration.Draining, "FERRY_MIGRATION_CLOSED=true"},
		"only the bridge": {func() migration.Facts {
			return verified(counted(map[kind.Kind]int{kind.Bridge: 3, kind.Migrated: 1}))
		}, migration.Draining, "do"},
		"the bridge is accepted": {func() migration.Facts {
			f := verified(counted(map[kind.Kind]int{kind.Bridge: 3, kind.Migrated: 1}))
			f.Rules.Accepted = []migration.BlockerKind{migration.BridgeOnly}
			return f
		}, migration.ReadyToSwitchOff, "ferry kratos-config --remove kratos.yml"},
		"unbound is never accepted": {func() migration.Facts {
			f := verified(migratedAgo(pending(1, 2), 14*day))
			main := f.Status.Connections["main"]
			main.Obstacles = map[status.Obstacle]int{status.Unbound: 1}
			f.Status.Connections["main"], f.Rules.Accepted = main, migration.BlockerKinds()
			return f
		}, migration.Draining, "ferry rebind IDENTITY --to SUBJECT --reason TEXT"},
		"unbound identities, closed": { // finish ends the others first
			func() migration.Facts {
				f := verified(migratedAgo(pending(2, 2), day))
				main := f.Status.Connections["main"]
				main.Obstacles = map[status.Obstacle]int{status.Unbound: 1}
				f.Status.Connections["main"], f.Closed = main, true
				return f
			}, migration.Draining, "ferry finish --yes --results finish.ndjson",
		},
		"users are missing": {func() migration.Facts {
			return change(verified(pending(0, 2)), verification.Reconcile, func(r *verification.Record) { r.Counts = map[string]int{"missing": 4} })
		}, migration.Draining, "ferry import --users users.ndjson.gz"},
		"users are missing, which is accepted": {func() migration.Facts {
			f := verified(migratedAgo(pending(3, 2), day))
			f.Rules.Accepted = []migration.BlockerKind{migration.Missing}
			return change(f, verification.Reconcile, func(r *verification.Record) { r.Counts = map[string]int{"missing": 4} })
		}, migration.Crossing, "wait"},
		"switched off": {func() migration.Facts {
			f := verified(pending(0, 2))
			f.HookOn = &off
			return f
		}, migration.SwitchedOff, ""},
		"the hook taken out, and no one needed it": {func() migration.Facts {
			f := verified(counted(map[kind.Kind]int{kind.Hash: 3}))
			f.HookOn = &off
			return change(f, verification.KratosConfig, func(r *verification.Record) { r.HookOn, r.Ended = &off, now })
		}, migration.SwitchedOff, ""},
		"imported after the hook was taken out": {func() migration.Facts {
			f := verified(counted(map[kind.Kind]int{kind.Hash: 3}))
			f.HookOn = &off
			f = change(f, verification.KratosConfig, func(r *verification.Record) { r.HookOn, r.Ended = &off, now.Add(-day) })
			return change(f, verification.Import, func(r *verification.Record) { r.Ended = now.Add(-time.Hour) })
		}, migration.NotWired, "ferry kratos-config --merge kratos.yml"},
		"the hook taken out by hand, and the migration closed": {func() migration.Facts {
			f := verified(counted(map[kind.Kind]int{kind.Hash: 3}))
			f.HookOn, f.Closed = &off, true
			return f
		}, migration.SwitchedOff, ""},
		"no hook, and no one needed it": {func() migration.Facts {
			f := verified(counted(map[kind.Kind]int{kind.Hash: 3}))
			f.HookOn = &off
			return f
		}, migration.NotWired, "ferry kratos-config --merge kratos.yml"},
		"only the gateway":            {func() migration.Facts { return gateway(pending(0, 0)) }, migration.Wired, "wait"},
		"only the gateway, migrating": {func() migration.Facts { return gateway(migratedAgo(pending(0, 2), day)) }, migration.Crossing, "wait"},
		"only the gateway, doctor has not run": {func() migration.Facts {
			f := gateway(migratedAgo(pending(0, 2), day))
			delete(f.Records, verification.Doctor)
			return f
		}, migration.Crossing, "ferry doctor --kratos-config kratos.yml"},
		"only the gateway, no one comes any more": {func() migration.Facts {
			f := verified(migratedAgo(pending(0, 2), 15*day))
			f.Gateway = true
			return change(f, verification.Reconcile, func(r *verification.Record) { r.Counts = map[string]int{"missing": 4, migration.CountNoIdentity: 4} })
		}, migration.Draining, "ferry import --users users.ndjson.gz"},
		"only the gateway, closed": {func() migration.Facts {
			f := gateway(migratedAgo(pending(0, 2), day))
			f.Closed = true
			return f
		}, migration.Draining, "ferry reconcile --users users.ndjson.gz"},
		"only the gateway, and everyone came": {func() migration.Facts {
			f := verified(migratedAgo(pending(0, 2), day))
			f.Gateway = true
			return f
		}, migration.ReadyToSwitchOff, "ferry kratos-config --remove kratos.yml"},
		"the gateway with a rehearsed import": {func() migration.Facts {
			f := gateway(pending(0, 0))
			return change(f, verification.ImportDryRun, func(r *verification.Record) { r.InputAt = f.UsersAt })
		}, migration.Wired, "ferry import --users users.ndjson.gz --results results.ndjson"},
		"the gateway after an import": {func() migration.Facts {
			return change(gateway(migratedAgo(pending(0, 2), day)), verification.Import, func(*verification.Record) {})
		}, migration.Draining, "ferry reconcile --users users.ndjson.gz"},
		"no record is kept": {func() migration.Facts {
			f := verified(pending(3, 0))
			f.Records, f.RecordsKept = nil, false
			return f
		}, migration.Imported, "FERRY_DATA_DIR=DIRECTORY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := migration.Decide(c.facts())
			if got := first(p); p.State != c.state || got != c.next {
				t.Errorf("got %s (%s), next %q; want %s, %q", p.State, p.Why, got, c.state, c.next)
			}
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			bulktest.Documented(t, "../docs/plan.schema.json", string(text))
			for _, step := range p.Steps {
				if step.Verification == "" || step.VerifiedBy == "" && step.Verification == migration.Verified || step.Why == "" {
					t.Errorf("%+v", step)
				}
			}
		})
	}
}

// first returns the first next step as text.
func first(p migration.Plan) string {
	if len(p.Next) == 0 {
		return ""
	}
	switch one := p.Next[0]; {
	case one.Wait:
		return "wait"
	case len(one.Settings) > 0:
		return one.Settings[0]
	case len(one.Command) > 0:
		return strings.Join(one.Command, " ")
	}
	return "do"
}

// TestStaleIsNeverReady: with a verification that is missing or stale, no state calls itself
// ready, and the next step is to verify.
func TestStaleIsNeverReady(t *testing.T) {
	t.Parallel()
	const doctor, reconcile, export = "ferry doctor --kratos-config kratos.yml", "ferry reconcile --users users.ndjson.gz", "ferry export --out users.ndjson.gz --force"
	edit := func(command verification.Command, edit func(*verification.Record)) func(migration.Facts) migration.Facts {
		return func(f migration.Facts) migration.Facts { return change(f, command, edit) }
	}
	without := func(command verification.Command) func(migration.Facts) migration.Facts {
		return func(f migration.Facts) migration.Facts { delete(f.Records, command); return f }
	}
	old := now.Add(-4 * day)
	for name, c := range map[string]struct {
		make func(migration.Facts) migration.Facts
		is   migration.Verification
		next string
	}{
		"no doctor":                         {without(verification.Doctor), migration.Unverified, doctor},
		"doctor failed":                     {edit(verification.Doctor, func(r *verification.Record) { r.OK = false }), migration.Unverified, doctor},
		"doctor without kratos.yml":         {edit(verification.Doctor, func(r *verification.Record) { r.KratosConfig = "" }), migration.Unverified, doctor},
		"another kratos.yml":                {edit(verification.Doctor, func(r *verification.Record) { r.KratosConfig = "other" }), migration.Stale, doctor},
		"other settings":                    {edit(verification.Doctor, func(r *verification.Record) { r.Settings = "other" }), migration.Stale, doctor},
		"no reconciliation":                 {without(verification.Reconcile), migration.Unverified, reconcile},
		"an old reconciliation":             {edit(verification.Reconcile, func(r *verification.Record) { r.Ended = old }), migration.Stale, reconcile},
		"a reconciliation of an old export": {edit(verification.Reconcile, func(r *verification.Record) { r.InputAt = &old }), migration.Stale, reconcile},
		"an undo since":                     {edit(verification.Undo, func(r *verification.Record) { r.Ended = now }), migration.Stale, reconcile},
		"identities were deleted since":     {edit(verification.Reconcile, func(r *verification.Record) { r.Counts[migration.CountFromAuth0] = 100 }), migration.Stale, reconcile},
		"a reconciliation of a part":        {edit(verification.Import, func(r *verification.Record) { r.Counts = map[string]int{"rows": 100} }), migration.Unverified, reconcile},
		"a finish since":                    {edit(verification.Finish, func(r *verification.Record) { r.Ended = now }), migration.Stale, reconcile},
		"an import since":                   {edit(verification.Import, func(r *verification.Record) { r.Ended = now }), migration.Stale, reconcile},
		"an old reconciliation and export": {func(f migration.Facts) migration.Facts {
			f.UsersAt = &old
			return change(f, verification.Reconcile, func(r *verification.Record) { r.Ended = old })
		}, migration.Stale, export},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []status.Status{
				counted(map[kind.Kind]int{kind.Migrated: 2}), counted(map[kind.Kind]int{kind.Migrated: 2, kind.Finished: 1}),
				migratedAgo(counted(map[kind.Kind]int{kind.Migrated: 2, kind.Pending: 1}), 20*day),
			} {
				p := migration.Decide(c.make(verified(s)))
				if got := first(p); p.State != migration.Draining || got != c.next {
					t.Errorf("got %s (%s), next %q; want draining, %q", p.State, p.Why, got, c.next)
				}
				i := slices.IndexFunc(p.Steps, func(s migration.Step) bool { return s.State == migration.ReadyToSwitchOff })
				if ready := p.Steps[i]; ready.Reached || ready.Verification != c.is {
					t.Errorf("%+v, want %s", ready, c.is)
				}
			}
		})
	}
}

func TestIfOff(t *testing.T) {
	t.Parallel()
	s := counted(map[kind.Kind]int{kind.Pending: 5, kind.Bridge: 2, kind.Migrated: 10, kind.Inactive: 3})
	f := change(verified(s), verification.Reconcile, func(r *verification.Record) {
		r.Counts = map[string]int{"missing": 4, "social_without_provider": 1, migration.CountNoIdentity: 5, migration.CountLoseActive: 6}
	})
	off := migration.Decide(f).IfOff
	if off.Total != 22 || off.LoseAccess != 12 || off.ActiveLast90Days == nil || *off.ActiveLast90Days != 6 || off.From != "reconcile" {
		t.Errorf("%+v", off)
	}
	for _, command := range []verification.Command{verification.Import, verification.Undo} { // since then, others have no identity
		since := f
		since.Records = maps.Clone(f.Records)
		since = change(since, command, func(r *verification.Record) { r.Ended = now })
		if off := migration.Decide(since).IfOff; off.Total != 17 || off.LoseAccess != 7 || off.MissingKnown || off.ActiveLast90Days == nil || *off.ActiveLast90Days != 6 {
			t.Errorf("after %s: %+v", command, off)
		}
	}
	f.Status.Export = &status.Export{Users: 20, NoIdentity: 2, LoseActive: 3}
	if off := migration.Decide(f).IfOff; off.Total != 19 || off.LoseAccess != 9 || *off.ActiveLast90Days != 3 || off.From != "users file" {
		t.Errorf("%+v", off)
	}
	f.Status.Export, f.Records = nil, nil
	if off := migration.Decide(f).IfOff; off.Total != 17 || off.LoseAccess != 7 || off.ActiveLast90Days != nil || off.MissingKnown {
		t.Errorf("%+v", off)
	}
}

// TestFilesUnseen: where the files are not at hand, the records say how old the export is.
func TestFilesUnseen(t *testing.T) {
	t.Parallel()
	f := verified(counted(map[kind.Kind]int{kind.Pending: 5}))
	f.UsersAt, f.FilesUnseen = nil, true
	f = change(f, verification.Reconcile, func(r *verification.Record) { r.Ended = now.Add(-4 * day) })
	if got := first(migration.Decide(f)); got != "ferry reconcile --users users.ndjson.gz" {
		t.Error(got)
	}
	f.Now = now.Add(10 * day)
	if got := first(migration.Decide(f)); got != "ferry export --out users.ndjson.gz --force" {
		t.Error(got)
	}
	delete(f.Records, verification.Reconcile)
	if got := first(migration.Decide(f)); got != "ferry export --out users.ndjson.gz" {
		t.Error(got)
	}
}
