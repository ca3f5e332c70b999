package reconcile

import (
	"context"
	"errors"
	"fmt"

	"ferry/bulk/kind"
	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/bulk/update"
	"ferry/bulk/userfile"
	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// user is a user of the file who has an identity.
type user struct {
	row      plan.Row
	profile  mapping.Profile
	mapped   mapping.Identity
	expected plan.Expected
	// unmapped says why no identity can be made of the user now; empty: one can.
	unmapped results.Cause
	// contested is true if another row of the file has the user's identifiers too.
	contested bool
	// blockedAccounts are the users who are blocked at Auth0 and whose accounts were merged
	// into the identity.
	blockedAccounts []string
	// linked are the Auth0 user ids of all accounts of the user, those of merged accounts too;
	// empty: the file does not have all of them.
	linked []string
}

// blocked reports whether the user may not log in at Auth0, or one of the merged accounts.
func (u user) blocked() bool { return u.profile.Blocked || len(u.blockedAccounts) > 0 }

// readUser returns the user of a line, whose identity record is.
func (r *reconciler) readUser(line int, record kratos.Record) (user, error) {
	var u user
	var err error
	if u.row, err = r.users.get(line); err != nil {
		return u, err
	}
	if u.profile, err = mapping.FromUser(u.row.User); err != nil {
		return u, fmt.Errorf("line %d: %w", line, err)
	}
	_, u.contested = r.plan.Loses(u.row)
	if err := r.readAccounts(&u, record); err != nil {
		return u, err
	}
	if u.mapped, err = r.Mapper.Map(u.profile); err != nil {
		u.unmapped = results.Because(results.ReasonInvalid, err.Error())
		return u, nil
	}
	u.expected = r.planned.Expect(u.profile, u.mapped)
	return u, nil
}

// compare finds what is not as at Auth0, and fixes it if Fix is set and it is safe. The
// counts are of the identity afterwards.
func (r *reconciler) compare(ctx context.Context, u user, record kratos.Record) error {
	found := r.judge(u, record)
	switch {
	case !r.Fix:
	case !fixable(found):
		markFixed(found, found, update.Change{})
	default:
		change, err := r.editor(u).ApplyWithRetry(ctx, u.row.UserID, u.row.User, record.ID)
		var fault *kratos.Error
		switch {
		case err == nil:
		case errors.As(err, &fault) && fault.Final():
			change.Outcome, change.Cause = results.Failed, results.Refused(fault.Status, fault.Said)
		default:
			return err
		}
		after := change.After
		if change.Cause.Reason == results.ReasonUnchanged { // by another program, or the answer was lost
			if after, err = r.Kratos.Read(ctx, record.ID); err != nil {
				return fmt.Errorf("read the identity %s: %w", record.ID, err)
			}
			change.Outcome, change.Cause = results.Updated, results.Cause{}
		}
		if change.Outcome == results.Updated {
			record = after
		}
		markFixed(found, r.judge(u, record), change)
	}
	r.count(u, record)
	return r.found(found...)
}

func fixable(found []Finding) bool {
	for _, f := range found {
		if f.canFix {
			return true
		}
	}
	return false
}

// editor returns what fixes an identity.
func (r *reconciler) editor(u user) update.Editor {
	return update.Editor{
		Kratos: r.Kratos, Rules: r.Rules, Mapper: r.Mapper, Schema: r.Schema, SchemaID: r.SchemaID,
		Leaves: r.Users.Format() == userfile.CSV, HookOff: r.HookOff, DryRun: !r.Fix, Now: r.Now,
		Plan: &r.planned, Repair: true, NoMove: u.contested, BlockedAccounts: u.blockedAccounts, Linked: u.linked, NoActivate: !r.plan.Has(plan.FieldBlocked), Rearm: r.Rearm,
	}
}

// judge returns the findings about an identity.
func (r *reconciler) judge(u user, record kratos.Record) []Finding {
	var found []Finding
	add := func(what Found, reason, detail string, canFix bool, why string) {
		found = append(found, Finding{
			Line: u.row.Line, UserID: u.row.UserID, IdentityID: record.ID, Finding: what, Reason: reason, Detail: detail, canFix: canFix, why: why,
		})
	}
	if isStranded(u, record) {
		add(Stranded, results.ReasonLinkedEmail, "Auth0 takes the password with another e-mail address only, that of a linked account", false, "")
	}
	if why := update.Stale(record, u.profile); why != "" {
		kept := ""
		if r.Rearm {
			kept = update.PasswordKept(record)
		}
		add(Stale, "", why, r.Rearm && kept == "", kept)
	}
	switch {
	case !record.Active:
	case u.profile.Blocked:
		add(Stale, "", "blocked at Auth0, and active in Kratos", true, "")
	case u.blocked():
		add(Stale, "", "an account that was merged into the identity is blocked at Auth0, and the identity is active", true, "")
	}
	if u.unmapped.Reason != "" {
		add(Unmapped, u.unmapped.Reason, u.unmapped.Detail, false, "")
		return found
	}
	if _, ours := update.Deactivated(record); ours && !u.blocked() && r.plan.Has(plan.FieldBlocked) {
		add(Unblocked, "", "not blocked at Auth0, and deactivated by ferry", true, "")
	}
	if r.lacksFactor(u, record) {
		add(SecondFactor, "", r.factorDetail(record), false, "")
	}
	if u.expected.Renamed(record) {
		why := identifiersKept(u, record)
		add(IdentifierDiffers, "", "the user's identifiers at Auth0 are not those of the identity", why == "", why)
	}
	if n := len(u.expected.MissingSocial(record)); n > 0 {
		add(Linked, "", fmt.Sprintf("accounts at providers that the identity does not have: %d", n), true, "another identity may have them")
	}
	if n := len(update.Unlinked(record, u.linked)); n > 0 {
		kept := update.LoginsKept(record, u.linked)
		add(Unlinked, "", fmt.Sprintf("logins of accounts that are no longer linked at Auth0: %d", n), kept == "", kept)
	}
	if record.Pending && !r.HookOff { // the next login writes the profile
		return found
	}
	if ops, err := r.editor(u).Ops(record, u.profile, u.mapped); err != nil || len(ops) > 0 {
		add(Different, "", differences(ops, err), true, "")
	}
	return found
}

// identifiersKept says why identifiers do not move; empty: they may.
func identifiersKept(u user, record kratos.Record) string {
	if u.contested {
		return "another user in the file has them too"
	}
	return update.IdentifiersKept(record)
}

// factorAtBridge reports whether the user gets in at the bridge only, where Auth0 asks for the
// second factor.
func factorAtBridge(record kratos.Record) bool {
	return kind.Of(record) == kind.Bridge || record.Pending && record.HasBridge()
}

// lacksFactor reports whether the user has a second factor at Auth0 that keeps the user out, or
// that Kratos does not have.
func (r *reconciler) lacksFactor(u user, record kratos.Record) bool {
	if len(u.profile.Factors) == 0 || r.DropMFA || factorAtBridge(record) {
		return false
	}
	has := record.HasTOTP || record.HasKeys && provenance.ImportOf(record.MetadataAdmin).Keys
	return !has || record.Pending && !r.KeepMFA
}

func (r *reconciler) factorDetail(record kratos.Record) string {
	if record.Pending && !r.KeepMFA {
		return "Auth0 asks for a second factor, so the migration hook refuses the login"
	}
	return "the user has a second factor at Auth0, and Kratos does not have it"
}

// markFixed records which findings are gone after a change.
func markFixed(found, left []Finding, change update.Change) {
	for i := range found {
		f := &found[i]
		remains := false
		for _, other := range left {
			remains = remains || other.Finding == f.Finding && (f.Finding != Stale || other.Detail == f.Detail)
		}
		f.Fixed = change.Outcome == results.Updated && !remains
		if f.Finding == Unlinked && change.LoginsKept.Reason != "" {
			f.why = change.LoginsKept.String()
		}
		switch {
		case f.Fixed && change.Cause != results.Cause{}:
			f.Detail += " (" + change.Cause.String() + ")"
		case f.Fixed || !f.canFix && f.why == "":
		case f.why != "":
			f.Detail += " (not fixed: " + f.why + ")"
		case change.Outcome == results.Updated:
			f.Detail += " (not fixed: " + notAllowed + ")"
		default:
			f.Detail += " (not fixed: " + change.Cause.String() + ")"
		}
	}
}

// notAllowed is why an update does not remove a finding.
const notAllowed = "Auth0 did not verify the new values, or the rules keep those of the identity"

// differences lists the paths that differ, without values.
func differences(ops []jsonpatch.Op, err error) string {
	if err != nil {
		return plan.Violations(err)
	}
	var paths []string
	for _, op := range ops {
		if op.Path != "" && len(paths) < maxPaths {
			paths = append(paths, op.Path)
		}
	}
	text := fmt.Sprint(paths)
	if len(ops) > maxPaths {
		text += " and more"
	}
	return text
}

const maxPaths = 8

// count counts the identity.
func (r *reconciler) count(u user, record kratos.Record) {
	how := kind.Of(record)
	r.result.Kinds[how]++
	switch {
	case how == kind.Inactive && u.blocked():
		r.result.Blocked++
	case how == kind.Inactive:
		r.result.Deactivated++
	}
	against := r.against(u, record, how)
	r.result.hinder(how, against)
	r.countUser(u, record, how, against)
	r.noteAccounts(record, standing{how, against})
}
