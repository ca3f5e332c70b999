package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/verification"
)

// decider is one decision.
type decider struct {
	Facts

	hookOn *bool // of kratos.yml, or of the newest record
	// What the counts say.
	imported, migrated int
	pending            int // inactive ones too
	blockers           []Blocker
	doctor, reconcile  check
	// pace is when the last user migrated.
	pace *time.Time
}

// Decide decides where the migration stands and what comes next.
func Decide(f Facts) Plan {
	d := decider{Facts: f, hookOn: f.HookOn, blockers: blockers(f), pace: f.Status.LastMigratedAt}
	if d.hookOn == nil {
		d.hookOn = recordedHook(f.Records)
	}
	d.imported = f.Status.Total - f.Status.Unbound
	d.migrated = f.Status.Kinds[kind.Migrated] + f.Status.Kinds[kind.Unnoted]
	d.pending = f.Status.Kinds[kind.Pending] + f.Status.InactivePending
	d.doctor, d.reconcile = f.checkDoctor(), f.checkReconcile()
	p := Plan{At: f.Now.UTC(), GatewayOnly: d.gatewayOnly(), Blockers: d.blockers, IfOff: ifOff(f), Progress: d.progress(), Remints: f.Remints}
	p.State, p.Why = d.state()
	p.Steps = d.steps(p.State)
	p.Next = d.next(p.State)
	p.NotMoving = d.notMoving(p.State)
	return p
}

// recordedHook returns what the newest record says about the hook in kratos.yml.
func recordedHook(records verification.Records) (on *bool) {
	var at time.Time
	for _, command := range []verification.Command{verification.Doctor, verification.KratosConfig} {
		if record, found := records[command]; found && record.HookOn != nil && record.Ended.After(at) {
			on, at = record.HookOn, record.Ended
		}
	}
	return on
}

func (d *decider) wired() bool    { return d.hookOn != nil && *d.hookOn }
func (d *decider) unwired() bool  { return d.hookOn != nil && !*d.hookOn }
func (d *decider) finished() bool { return d.ended() || d.Status.Kinds[kind.Finished] > 0 }

// ended reports whether the migration was ended: closed, or finish was run.
func (d *decider) ended() bool {
	finish, found := d.Records[verification.Finish]
	return d.Closed || found && finish.Counts[CountUndo] == 0
}

// hookDone reports whether the hook has done its work, so that it is not in kratos.yml any more: it
// was there for users who migrated or are finished, or was taken out after the import. Where every
// user has a hash or another login, no one migrates.
func (d *decider) hookDone() bool {
	edited, found := d.Records[verification.KratosConfig]
	takenOut := found && edited.HookOn != nil && !*edited.HookOn && edited.Ended.After(d.Records[verification.Import].Ended)
	return d.finished() || d.migrated > 0 || takenOut
}

// gatewayOnly reports whether users get their identities at a login, and were not imported, as
// far as records tell.
func (d *decider) gatewayOnly() bool {
	_, imported := d.Records[verification.Import]
	return d.Gateway && d.RecordsKept && !imported
}

// allCame reports whether a reconciliation found that no user of the export is left.
func (d *decider) allCame() bool {
	return d.pending == 0 && d.reconcile.is == Verified && d.Records[verification.Reconcile].Counts[CountNoIdentity] == 0
}

// quiet reports whether no user has migrated for a while.
func (d *decider) quiet() bool {
	return d.pace != nil && d.Now.Sub(*d.pace) >= d.Rules.Quiet
}

// state returns the state and why.
func (d *decider) state() (State, string) {
	switch {
	case d.unwired() && d.imported > 0 && d.pending == 0 && d.hookDone() && len(d.applications()) > 0:
		return Draining, "the migration hook is not in kratos.yml, and no identity is pending; not ready: " + describe(d.applications())
	case d.unwired() && d.imported > 0 && d.pending == 0 && d.hookDone():
		return SwitchedOff, "the migration hook is not in kratos.yml, and no identity is pending: Kratos does not need Auth0"
	case d.unwired() && d.pending > 0:
		return NotWired, fmt.Sprintf("the migration hook is not in kratos.yml: logins of the %d pending identities fail with an error 500", d.pending)
	case d.unwired():
		return NotWired, "the migration hook is not in kratos.yml"
	case d.imported == 0 && !d.wired():
		return NotWired, "not known whether Kratos calls ferry: no kratos.yml was read, and none is recorded"
	case d.imported == 0:
		return Wired, "Kratos calls ferry, and no identity is of an Auth0 user"
	case d.gatewayOnly() && !d.Closed && d.migrated > 0 && d.pace != nil && !d.quiet() && !d.allCame():
		return Crossing, fmt.Sprintf("%s migrated through the gateway, %d of the identities are pending; users who have not logged in have no identity", plural(d.migrated, "user has", "users have"), d.pending)
	case d.pending == 0:
		return d.settled()
	case d.Closed:
		return Draining, fmt.Sprintf("the migration is closed, and %s pending", plural(d.pending, "user is", "users are"))
	case d.migrated == 0:
		return Imported, fmt.Sprintf("%s been imported, and no user has migrated", plural(d.imported, "user has", "users have"))
	case d.quiet():
		return Draining, fmt.Sprintf("the last user migrated %s ago, and %d are pending", age(d.Now.Sub(*d.pace)), d.pending)
	}
	return Crossing, fmt.Sprintf("%s migrated, %s pending", plural(d.migrated, "user has", "users have"), plural(d.pending, "is", "are"))
}

// settled is the state where no identity is pending.
func (d *decider) settled() (State, string) {
	blocked := blocking(d.blockers)
	switch {
	case d.reconcile.is != Verified:
		return Draining, "no identity is pending; not ready: " + d.reconcile.why
	case len(blocked) > 0:
		return Draining, "no identity is pending; not ready: " + describe(blocked)
	case d.doctor.is != Verified:
		return Draining, "no identity is pending; not ready: " + d.doctor.why
	}
	return ReadyToSwitchOff, fmt.Sprintf("no identity is pending, and the last ferry reconcile found for each of the %d users of the export an identity that does not need Auth0",
		d.Records[verification.Reconcile].Counts["users"])
}

// applications returns the blocker of the applications that need Auth0, if it blocks.
func (d *decider) applications() []Blocker {
	return slices.DeleteFunc(blocking(d.blockers), func(b Blocker) bool { return b.Kind != Auth0Tokens })
}

// describe counts blockers in a phrase.
func describe(all []Blocker) string {
	var parts []string
	for _, b := range all {
		if !b.Known {
			parts = append(parts, fmt.Sprintf("%s not known", b.Kind))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d %s", b.Count, b.Kind))
	}
	return strings.Join(parts, ", ")
}

// counting is the command that verifies what the counts and kratos.yml say.
const counting = "ferry plan"

// steps returns the states with what verified them.
func (d *decider) steps(now State) []Step {
	all := States()
	at := slices.Index(all, now)
	var steps []Step
	for i, state := range all {
		c := d.verify(state)
		step := Step{State: state, Reached: i <= at, Verification: c.is, VerifiedBy: c.by, VerifiedAt: c.at, Why: c.why}
		if !step.Reached && (c.is == Verified || c.by == counting) {
			step.Verification, step.VerifiedAt, step.Why = Unverified, nil, "not reached"
		}
		steps = append(steps, step)
	}
	return steps
}

// verify returns what verified a state.
func (d *decider) verify(state State) check {
	counted := check{is: Verified, by: counting, at: &d.Status.At}
	switch state {
	case NotWired:
		counted.why = "nothing to verify"
		return counted
	case Wired:
		return d.doctor
	case Imported:
		return d.reconcile
	case Crossing:
		counted.why = plural(d.migrated, "user has", "users have") + " migrated"
		if d.migrated == 0 {
			counted.is = Unverified
		}
		return counted
	case Draining:
		return d.reconcile
	case ReadyToSwitchOff:
		if d.doctor.is != Verified {
			return d.doctor
		}
		return d.reconcile
	case SwitchedOff:
		counted.why = "read in kratos.yml"
		if d.HookOn == nil {
			counted.is, counted.why = Unverified, "no kratos.yml was read"
		}
		return counted
	}
	return check{is: Unverified}
}

func (d *decider) progress() Progress {
	s := d.Status
	p := Progress{
		Identities: s.Total, Migrated: d.migrated, Pending: s.Kinds[kind.Pending],
		Share: s.Share, LastDay: s.LastDay, LastWeek: s.LastWeek, PerDay: s.PerDay, Done: s.Done,
	}
	for name, one := range s.Connections {
		if name != status.NotFromAuth0 {
			p.FromAuth0 += one.Total - one.Kinds[kind.Inactive]
		}
	}
	return p
}
