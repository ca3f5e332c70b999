// Package reconcile compares Auth0's users with Kratos' identities.
//
//	for each user in the file: plan it as an import would; store it by line
//	for each identity in Kratos: find its user by the binding; compare; with Fix, update
//	each user who had no identity is missing, or cannot have one
//
// It creates and deletes nothing, and changes identities only as package update does.
package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/plan"
	"ferry/bulk/progress"
	"ferry/bulk/results"
	"ferry/bulk/scan"
	"ferry/bulk/update"
	"ferry/bulk/userfile"
	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// Options say what to compare. Users, Kratos, Schema, Mapper, Progress and Now must be set.
type Options struct {
	Users  *userfile.Source
	Kratos *kratos.Client
	Schema *mapping.Schema
	// SchemaID is the schema's id at Kratos; empty: unknown.
	SchemaID  string
	Mapper    mapping.Mapper
	Rules     mapping.Rules
	Providers plan.Providers
	// Tenant and Domain are the only tenant that the users may be of, as for an import.
	Tenant, Domain string
	// Fix fixes what is safe to fix, by the rules of an import that updates.
	Fix     bool
	HookOff bool
	// PasswordsNeedVerified and SocialNeedsVerified say that Kratos requires a verified
	// address after a login with a password or at a provider.
	PasswordsNeedVerified, SocialNeedsVerified bool
	// CodesOff says that Kratos has the login by a code switched off.
	CodesOff bool
	// Findings receives the findings as NDJSON; nil: none.
	Findings io.Writer
	TempDir  string
	Progress progress.Reporter
	Now      func() time.Time
}

// reconciler is one reconciliation.
type reconciler struct {
	Options

	plan     *plan.Plan
	users    *userStore
	seen     results.LineSet // lines of users who have an identity
	accounts accounts
	result   Result
	out      *json.Encoder
}

// Run compares Auth0's users with Kratos' identities.
func Run(ctx context.Context, opts Options) (result Result, err error) {
	r := &reconciler{Options: opts, accounts: accounts{}, result: Result{Kinds: map[kind.Kind]int{}, Findings: map[Found]int{}, Fixed: map[Found]int{}, Unverified: map[kind.Kind]int{}}}
	if opts.Findings != nil {
		r.out = json.NewEncoder(opts.Findings)
		r.out.SetEscapeHTML(false)
	}
	if r.users, err = newUserStore(opts.TempDir); err != nil {
		return r.result, err
	}
	defer func() { err = errors.Join(err, r.users.close()) }()
	options := plan.Options{
		Users: r.Users, Schema: r.Schema, Mapper: r.Mapper, Rules: r.Rules, Providers: r.Providers,
		Tenant: r.Tenant, Domain: r.Domain, Mode: plan.ModeHook, DryRun: true, KeepUsers: true, Phase: "users", Progress: r.Progress, Now: r.Now,
	}
	if options.Lacks, err = r.Kratos.Lacks(ctx, options.Fields()...); err != nil {
		return r.result, err
	}
	r.plan, err = plan.Make(ctx, options, func(row plan.Row) error {
		r.result.Users++
		return r.users.put(row)
	})
	if err != nil {
		return r.result, err
	}
	if err := r.walk(ctx); err != nil {
		return r.result, err
	}
	return r.result, r.missing()
}

func (r *reconciler) walk(ctx context.Context) error {
	return scan.Identities(ctx, r.Kratos, r.Progress, func(record kratos.Record) error {
		r.result.Identities++
		return r.identity(ctx, record)
	})
}

// identity compares one identity with its user.
func (r *reconciler) identity(ctx context.Context, record kratos.Record) error {
	subject := record.Binding.Primary()
	if subject == "" {
		r.result.Native++
		return nil
	}
	lines := r.plan.LinesOfUser(subject)
	if len(lines) == 0 {
		return r.found(Finding{UserID: subject, IdentityID: record.ID, Finding: Extra, Detail: "no such user in the file"})
	}
	at := lines[0]
	if r.seen.Has(at) {
		return r.found(Finding{Line: at, UserID: subject, IdentityID: record.ID, Finding: Duplicate, Detail: "the user has another identity"})
	}
	r.seen.Add(at)
	row, err := r.users.get(at)
	if err != nil {
		return err
	}
	how := kind.Of(record)
	r.result.Kinds[how]++
	profile, err := mapping.FromUser(row.User)
	if err != nil {
		return fmt.Errorf("line %d: %w", at, err)
	}
	if profile.Blocked && how == kind.Inactive {
		r.result.Blocked++
	}
	against := r.against(record, profile, how)
	r.result.hinder(how, against, 1)
	r.noteAccounts(record, standing{how, against})
	if against == isStranded {
		if err := r.found(Finding{
			Line: at, UserID: subject, IdentityID: record.ID, Finding: Stranded, Reason: results.ReasonLinkedEmail,
			Detail: "Auth0 takes the password with another e-mail address only, that of a linked account",
		}); err != nil {
			return err
		}
	}
	return r.compare(ctx, row, record, profile, how, against)
}

// compare finds what is stale and what is different, and fixes it if Fix is set and it is
// safe.
func (r *reconciler) compare(ctx context.Context, row plan.Row, record kratos.Record, profile mapping.Profile, how kind.Kind, against hindrance) error {
	finding := Finding{Line: row.Line, UserID: row.UserID, IdentityID: record.ID}
	var found []Finding
	if why := staleSince(record, profile); why != "" {
		f := finding
		f.Finding, f.Detail = Stale, why
		found = append(found, f)
	}
	blocked := profile.Blocked && record.Active
	if blocked {
		f := finding
		f.Finding, f.Detail = Stale, detailBlocked
		found = append(found, f)
	}
	editor := update.Editor{
		Kratos: r.Kratos, Rules: r.Rules, Mapper: r.Mapper, Schema: r.Schema, SchemaID: r.SchemaID,
		Leaves: r.Users.Format() == userfile.CSV, HookOff: r.HookOff, DryRun: !r.Fix, Now: r.Now,
	}
	mapped, err := r.Mapper.Map(profile)
	if err != nil {
		f := finding
		f.unmapped(results.Because(results.ReasonInvalid, err.Error()))
		return r.found(append(found, f)...)
	}
	different := false
	if how != kind.Pending || r.HookOff { // else the next login writes it
		profile.Blocked = false
		ops, err := editor.Ops(record, profile, mapped)
		if different = err != nil || len(ops) > 0; different {
			f := finding
			f.Finding, f.Detail = Different, differences(ops, err)
			found = append(found, f)
		}
	}
	if r.Fix && (different || blocked) {
		change, err := editor.ApplyWithRetry(ctx, row.UserID, row.User, record.ID)
		var fault *kratos.Error
		switch {
		case change.Cause.Reason == results.ReasonUnchanged:
			change.Outcome, change.Cause = results.Updated, results.Cause{} // by another program, or the answer was lost
		case err == nil:
		case errors.As(err, &fault) && fault.Final():
			change.Outcome, change.Cause = results.Failed, results.Refused(fault.Status, fault.Said)
		default:
			return err
		}
		if blocked && change.Outcome == results.Updated {
			r.result.deactivated(how, against)
		}
		markFixed(found, change)
	}
	return r.found(found...)
}

// detailBlocked is the detail of the only Stale finding that ferry can fix.
const detailBlocked = "blocked at Auth0, and active in Kratos"

// deactivated corrects the counts after the reconciliation deactivated an identity.
func (r *Result) deactivated(was kind.Kind, against hindrance) {
	r.Kinds[was]--
	r.Kinds[kind.Inactive]++
	r.Blocked++
	r.hinder(was, against, -1)
}

// markFixed records on the findings whether a change fixed them.
func markFixed(found []Finding, change update.Change) {
	for i := range found {
		if found[i].Finding == Stale && found[i].Detail != detailBlocked {
			continue // only the user can change a password
		}
		switch found[i].Fixed = change.Outcome == results.Updated; {
		case !found[i].Fixed:
			found[i].Detail += " (not fixed: " + change.Cause.String() + ")"
		case change.Cause != results.Cause{}:
			found[i].Detail += " (" + change.Cause.String() + ")"
		}
	}
}

// staleSince says why the identity's password is no longer that at Auth0; empty: it is, as far
// as ferry knows.
func staleSince(record kratos.Record, profile mapping.Profile) string {
	value, told := profile.Claims["last_password_reset"]
	if !told || value == nil || !record.HasPassword {
		return ""
	}
	reset, ok := mapping.Time(value)
	if !ok {
		return "last_password_reset cannot be read"
	}
	origin := provenance.ImportOf(record.MetadataAdmin)
	at, migrated := provenance.MigratedAt(record.MetadataAdmin)
	switch {
	case migrated && reset.After(at):
		return "the password was reset at Auth0 after it had crossed"
	case migrated || origin.As != string(results.CreatedHash):
		return ""
	case !origin.PasswordSetAt.IsZero() && reset.After(origin.PasswordSetAt),
		origin.PasswordSetAt.IsZero():
		return "the password was reset at Auth0 after the hash was exported"
	}
	return ""
}

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

// missing finds the users without an identity.
func (r *reconciler) missing() error {
	return r.users.each(func(line int) error {
		if r.seen.Has(line) || r.countAccount(line) {
			return nil
		}
		row, err := r.users.get(line)
		if err != nil {
			return err
		}
		finding := Finding{Line: line, UserID: row.UserID, Finding: Missing}
		why, loses := r.plan.Loses(row)
		switch {
		case loses:
			finding.unmapped(why)
		case !row.Creates():
			finding.unmapped(row.Reason)
		}
		return r.found(finding)
	})
}

func (r *reconciler) found(all ...Finding) error {
	for _, f := range all {
		r.result.Findings[f.Finding]++
		if f.Fixed {
			r.result.Fixed[f.Finding]++
		}
		if r.out == nil {
			continue
		}
		if err := r.out.Encode(f); err != nil {
			return fmt.Errorf("write findings: %w", err)
		}
	}
	return nil
}
