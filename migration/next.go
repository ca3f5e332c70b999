package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ferry/verification"
)

// The files that the commands of a plan write.
const (
	mailFile     = "mail.csv"
	planFile     = "plan.ndjson"
	resultsFile  = "results.ndjson"
	findingsFile = "findings.ndjson"
	finishFile   = "finish.ndjson"
)

// closedSetting closes the migration.
const closedSetting = "FERRY_MIGRATION_CLOSED=true"

func stragglersCommand(f Facts) []string {
	command := []string{"ferry", "status", "--stragglers", mailFile}
	if f.usersAt() != nil {
		command = append(command, "--users", f.Files.Users)
	}
	return command
}

// usersAt returns when the users file was written, as far as it is known.
func (f Facts) usersAt() *time.Time {
	at := f.UsersAt
	if !f.FilesUnseen {
		return at
	}
	for _, record := range f.Records {
		if record.InputAt != nil && (at == nil || record.InputAt.After(*at)) {
			at = record.InputAt
		}
	}
	return at
}

// importCommand repeats the flags of the last import, or of the last dry run.
func importCommand(f Facts) []string {
	command := []string{"ferry", "import", "--users", f.Files.Users}
	for _, last := range []verification.Command{verification.Import, verification.ImportDryRun} {
		if record, found := f.Records[last]; found {
			return append(command, record.Flags...)
		}
	}
	return command
}

// reconcileCommand repeats the flags of the last reconciliation, or those of the last import
// that both have.
func reconcileCommand(f Facts) []string {
	command := []string{"ferry", "reconcile", "--users", f.Files.Users}
	if record, found := f.Records[verification.Reconcile]; found {
		return append(command, record.Flags...)
	}
	for _, flag := range f.Records[verification.Import].Flags {
		name, _, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		if slices.Contains(sharedFlags(), name) {
			command = append(command, flag)
		}
	}
	return command
}

// sharedFlags are those of `ferry import` that say the same to `ferry reconcile`.
func sharedFlags() []string {
	return []string{"accept-missing", "bridge", "column", "fetch-missing", "mapper", "mfa", "provider", "schema", "schema-id"}
}

func run(why string, command ...string) Action { return Action{Command: command, Why: why} }

// next returns what comes next in a state.
func (d *decider) next(state State) []Action {
	if !d.RecordsKept && state != SwitchedOff {
		return append([]Action{{
			Settings: []string{"FERRY_DATA_DIR=DIRECTORY"},
			Why:      "ferry keeps no record of what its commands verify, so it cannot say when a step is ready; or use FERRY_STATE_URL with Redis",
		}}, d.follow(state)...)
	}
	return d.follow(state)
}

func (d *decider) follow(state State) []Action {
	switch state {
	case NotWired:
		return d.wire()
	case Wired:
		return d.afterWired()
	case Imported, Crossing:
		if d.gatewayOnly() {
			return d.throughGateway()
		}
		if state == Imported {
			return d.verified(Action{Wait: true, Why: "switch your applications to Kratos: users migrate when they log in"})
		}
		return append(d.verified(Action{Wait: true, Why: "users migrate when they log in; ask again later"}),
			run(fmt.Sprintf("lists the %s left, for a mail", plural(d.pending, "user who is", "users who are")), stragglersCommand(d.Facts)...))
	case Draining:
		return d.drain()
	case ReadyToSwitchOff:
		return []Action{run("takes ferry's hooks out of Kratos; your applications must use Kratos by now", "ferry", "kratos-config", "--remove", d.Files.KratosConfig)}
	case SwitchedOff:
		if d.remints() {
			return []Action{{Settings: []string{closedSetting}, Why: "the token front no longer asks Auth0; the user of an application that uses an Auth0 refresh token has to log in again"}}
		}
	}
	return []Action{}
}

// throughGateway returns the steps of a migration without an import. Who is left is known from
// an export alone, and matters at the end only.
func (d *decider) throughGateway() []Action {
	steps := []Action{{Wait: true, Why: "send your applications' logins through the gateway: ferry creates the identity of each user at the first login, who then migrates"}}
	if d.migrated > 0 {
		steps[0].Why = "users migrate at their first login through the gateway; ask again later"
	}
	if d.doctor.is != Verified {
		steps = append([]Action{d.runDoctor(d.doctor.why)}, steps...)
	}
	why := "to know who is left, or to import them: users without an identity are in an export only"
	if export, needed := d.export(); needed {
		return append(steps, Action{Command: export.Command, Why: why})
	}
	return append(steps, run(why, reconcileCommand(d.Facts)...))
}

func (d *decider) wire() []Action {
	doctor := d.runDoctor("finds out whether Kratos calls ferry")
	if d.hookOn == nil {
		return []Action{doctor}
	}
	return []Action{run("makes Kratos call ferry", "ferry", "kratos-config", "--merge", d.Files.KratosConfig), doctor}
}

func (d *decider) runDoctor(why string) Action {
	return run(why, "ferry", "doctor", "--kratos-config", d.Files.KratosConfig)
}

// export returns the step that makes a new users file, if there is none or it is too old.
func (d *decider) export() (Action, bool) {
	export, at := []string{"ferry", "export", "--out", d.Files.Users}, d.usersAt()
	switch {
	case at == nil && d.FilesUnseen:
		return run("no export is recorded", export...), true
	case at == nil:
		return run("there is no export "+d.Files.Users, export...), true
	case d.Now.Sub(*at) > d.Rules.ReconcileMaxAge:
		export = append(export, "--force")
		return run(fmt.Sprintf("the export %s is %s old", d.Files.Users, age(d.Now.Sub(*at))), export...), true
	}
	return Action{}, false
}

func (d *decider) afterWired() []Action {
	if d.doctor.is != Verified {
		return []Action{d.runDoctor(d.doctor.why)}
	}
	if d.gatewayOnly() && !d.rehearsed() {
		return d.throughGateway()
	}
	if export, needed := d.export(); needed {
		return []Action{export}
	}
	create := run("creates the identities", append(importCommand(d.Facts), "--results", resultsFile)...)
	rehearsal, rehearsed := d.Records[verification.ImportDryRun]
	if !rehearsed || rehearsal.InputAt == nil || !rehearsal.InputAt.Equal(*d.usersAt()) {
		return []Action{run("rehearses the import and writes nothing to Kratos", append(importCommand(d.Facts), "--dry-run", "--results", planFile)...), create}
	}
	if n := rehearsal.Counts["failed"]; n > 0 {
		create.Why += fmt.Sprintf("; %d users would fail: the last dry run says why in %s", n, planFile)
	}
	return []Action{create}
}

// rehearsed reports whether an import was rehearsed: then one is intended.
func (d *decider) rehearsed() bool {
	_, found := d.Records[verification.ImportDryRun]
	return found
}

// verified returns the steps that verify the state, or else then.
func (d *decider) verified(then Action) []Action {
	if d.doctor.is != Verified {
		return []Action{d.runDoctor(d.doctor.why), then}
	}
	if d.reconcile.is != Verified {
		if export, needed := d.export(); needed {
			return []Action{export, run(d.reconcile.why, reconcileCommand(d.Facts)...), then}
		}
		return []Action{run(d.reconcile.why, reconcileCommand(d.Facts)...), then}
	}
	for _, b := range d.blockers {
		if b.Kind == Missing && b.Blocks {
			return []Action{run(fmt.Sprintf("users of the export without an identity: %d", b.Count), b.Command...), then}
		}
	}
	return []Action{then}
}

// drain returns the steps to the end. None is skipped: what is stale is verified again first.
func (d *decider) drain() []Action {
	then := Action{Settings: []string{closedSetting}, Why: fmt.Sprintf("closes the migration: ferry no longer asks Auth0, and the %d users who are left recover their accounts", d.pending)}
	switch {
	case d.pending == 0:
		then = run("takes ferry's hooks out of Kratos", "ferry", "kratos-config", "--remove", d.Files.KratosConfig)
	case d.Closed:
		then = run(fmt.Sprintf("ends the pending state of %d identities: their users recover the accounts", d.pending), "ferry", "finish", "--yes", "--results", finishFile)
	}
	if d.unwired() {
		return d.unblock(d.applications())
	}
	if steps := d.verified(then); len(steps) > 1 {
		return steps
	}
	return append(d.unblock(blocking(d.blockers)), then)
}

// unblock returns a step for each blocker.
func (d *decider) unblock(all []Blocker) []Action {
	var steps []Action
	for _, b := range all {
		if b.Kind == Unbound && d.pending > b.Count && d.Closed {
			continue // finish ends the others first
		}
		why := fmt.Sprintf("%d %s: %s", b.Count, b.Kind, b.Explanation)
		if !b.Known {
			why = fmt.Sprintf("%s: %s", b.Kind, b.Explanation)
		}
		if slices.Contains(Acceptable(), b.Kind) {
			why += fmt.Sprintf(". Or accept it: FERRY_PLAN_ACCEPT=%s", b.Kind)
		}
		steps = append(steps, Action{Command: b.Command, Why: why})
	}
	return steps
}

// notMoving says why no user migrates although some are pending.
func (d *decider) notMoving(state State) string {
	s := d.Status
	switch {
	case d.pending == 0 || state == Wired || s.LastDay > 0:
	case d.unwired():
		return "Kratos does not call ferry"
	case d.Closed:
		return "the migration is closed (FERRY_MIGRATION_CLOSED)"
	case s.Observed != nil && s.Observed.Modes["on"] == 0 && len(s.Observed.Modes) > 0:
		return "no ferry is in mode on"
	case s.Obstacles("unbound") == d.pending:
		return "no pending identity records its Auth0 user, so ferry refuses the logins"
	case d.doctor.is == Unverified && d.doctor.at != nil:
		return d.doctor.why
	case d.migrated > 0 && d.pace == nil:
		return "not known: users have migrated, and Kratos told ferry of none of their logins; is the after-login hook in kratos.yml?"
	case d.migrated == 0:
		return "no user has logged in at Kratos with the password of Auth0: have your applications been switched over?"
	default:
		return fmt.Sprintf("no pending user has logged in for %s: write to the %d who are left", age(d.Now.Sub(*d.pace)), d.pending)
	}
	return ""
}
