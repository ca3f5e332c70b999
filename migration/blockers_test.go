package migration_test

import (
	"slices"
	"testing"

	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/migration"
	"ferry/verification"
)

// TestLongPasswords: logins with a password that is too long are counted if a ferry was asked, and
// never block.
func TestLongPasswords(t *testing.T) {
	t.Parallel()
	f := verified(counted(map[kind.Kind]int{kind.Migrated: 2}))
	for observed, want := range map[*status.Observed]migration.Blocker{
		nil:                {},
		{LongPasswords: 3}: {Known: true, Count: 3, From: "metrics"},
	} {
		f.Status.Observed = observed
		all := migration.Decide(f).Blockers
		got := all[slices.IndexFunc(all, func(b migration.Blocker) bool { return b.Kind == migration.TooLong })]
		if got.Known != want.Known || got.Count != want.Count || got.From != want.From || got.Blocks {
			t.Errorf("%+v: got %+v", observed, got)
		}
	}
}

// TestIfOffOfOthers: pending identities that record no Auth0 user lose access too, the others that
// record none do not; and of the users who were active at a reconciliation, no more count than lose
// access now.
func TestIfOffOfOthers(t *testing.T) {
	t.Parallel()
	f := verified(counted(map[kind.Kind]int{kind.Pending: 1, kind.Migrated: 9}))
	f.Status.Connections[status.NotFromAuth0] = status.Connection{Total: 5, Kinds: map[kind.Kind]int{kind.Pending: 2, kind.Own: 3}}
	f = change(f, verification.Reconcile, func(r *verification.Record) { r.Counts[migration.CountLoseActive] = 8 })
	if off := migration.Decide(f).IfOff; off.Total != 12 || off.LoseAccess != 3 || *off.ActiveLast90Days != 3 {
		t.Errorf("%+v, %d active", off, *off.ActiveLast90Days)
	}
}

// TestPartOfTheUsers: a reconciliation of less than nine tenths of the users whom an import had read
// verifies nothing. Some may have been deleted since.
func TestPartOfTheUsers(t *testing.T) {
	t.Parallel()
	for users, is := range map[int]migration.Verification{89: migration.Unverified, 90: migration.Verified} {
		f := verified(counted(map[kind.Kind]int{kind.Pending: 5}))
		f = change(f, verification.Import, func(r *verification.Record) { r.Counts = map[string]int{"rows": 100} })
		f = change(f, verification.Reconcile, func(r *verification.Record) { r.Counts["users"] = users })
		if step := migration.Decide(f).Steps[2]; step.State != migration.Imported || step.Verification != is {
			t.Errorf("%d users: %+v", users, step)
		}
	}
}

// TestNewestRecordTellsOfTheHook: without kratos.yml, what doctor or kratos-config saw last counts.
func TestNewestRecordTellsOfTheHook(t *testing.T) {
	t.Parallel()
	for taken, want := range map[bool]migration.State{true: migration.NotWired, false: migration.Wired} {
		at := now.Add(-3 * day)
		f := verified(counted(nil))
		f.HookOn, f.KratosConfig = nil, ""
		if taken {
			at = now // after doctor, which saw the hook
		}
		f = change(f, verification.KratosConfig, func(r *verification.Record) { r.HookOn, r.Ended = new(bool), at })
		if p := migration.Decide(f); p.State != want {
			t.Errorf("taken out later %t: %s", taken, p.State)
		}
	}
}

// TestImportRepeatsTheLastImport: a dry run with other flags does not count.
func TestImportRepeatsTheLastImport(t *testing.T) {
	t.Parallel()
	f := verified(counted(map[kind.Kind]int{kind.Pending: 5}))
	f = change(f, verification.ImportDryRun, func(r *verification.Record) { r.Flags = []string{"--mfa=keep"} })
	f = change(f, verification.Import, func(r *verification.Record) { r.Flags = []string{"--mfa=drop"} })
	f = change(f, verification.Reconcile, func(r *verification.Record) { r.Counts["missing"] = 1 })
	if got := first(migration.Decide(f)); got != "ferry import --users users.ndjson.gz --mfa=drop" {
		t.Error(got)
	}
}

// TestFinishThatWasUndone: identities that are pending again are not at their end.
func TestFinishThatWasUndone(t *testing.T) {
	t.Parallel()
	for undone, want := range map[bool]migration.State{true: migration.NotWired, false: migration.SwitchedOff} {
		f := verified(counted(map[kind.Kind]int{kind.Hash: 3}))
		f.HookOn = new(bool)
		f = change(f, verification.Finish, func(r *verification.Record) {
			r.Counts = map[string]int{}
			if undone {
				r.Counts[migration.CountUndo] = 1
			}
		})
		if p := migration.Decide(f); p.State != want {
			t.Errorf("undone %t: %s", undone, p.State)
		}
	}
}

// TestFailuresOfTheRehearsal: the import is named with the number of users who would fail.
func TestFailuresOfTheRehearsal(t *testing.T) {
	t.Parallel()
	f := verified(counted(nil))
	f = change(f, verification.ImportDryRun, func(r *verification.Record) { r.InputAt, r.Counts = f.UsersAt, map[string]int{"failed": 7} })
	if next := migration.Decide(f).Next[0]; next.Why != "creates the identities; 7 users would fail: the last dry run says why in plan.ndjson" {
		t.Errorf("%+v", next)
	}
}
