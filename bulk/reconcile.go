package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/progress"
	"ferry/bulk/results"
	"ferry/bulk/scan"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/mapping"
)

// ReconcileOptions are what a reconciliation is made of; all are required but those
// that may be their zero value.
type ReconcileOptions struct {
	Users  *userfile.Source
	Kratos *kratos.Client
	Schema *mapping.Schema
	// SchemaID is the schema's id at Kratos; empty: not known.
	SchemaID  string
	Mapper    mapping.Mapper
	Rules     mapping.Rules
	Providers Providers
	// Fix fixes what is safe to fix, by the same rules as an import that updates.
	Fix     bool
	HookOff bool
	// PasswordsNeedVerified and SocialNeedsVerified say that Kratos lets nobody without a
	// verified address in, after a login by a password or at a provider.
	PasswordsNeedVerified, SocialNeedsVerified bool
	// Findings takes a line for each, NDJSON; nil: nobody wants them.
	Findings io.Writer
	TempDir  string
	Progress progress.Reporter
	Now      func() time.Time
}

// reconciler is one reconciliation under way.
type reconciler struct {
	ReconcileOptions

	users       *userStore
	identifiers identifierIndex
	seen        results.LineSet
	result      Reconciled
	out         *json.Encoder
}

// Reconcile compares Auth0's users with Kratos' identities: one pass over the file, one
// over Kratos.
func Reconcile(ctx context.Context, opts ReconcileOptions) (result Reconciled, err error) {
	r := &reconciler{ReconcileOptions: opts, result: Reconciled{Kinds: map[kind.Kind]int{}, Findings: map[Found]int{}, Fixed: map[Found]int{}, Unverified: map[kind.Kind]int{}}}
	if opts.Findings != nil {
		r.out = json.NewEncoder(opts.Findings)
		r.out.SetEscapeHTML(false)
	}
	if r.users, err = newUserStore(opts.TempDir); err != nil {
		return r.result, err
	}
	defer func() { err = errors.Join(err, r.users.close()) }()
	if err := r.readUsers(ctx); err != nil {
		return r.result, err
	}
	r.identifiers.resolve()
	if err := r.walk(ctx); err != nil {
		return r.result, err
	}
	return r.result, r.missing()
}

// readUsers keeps the file's users where they can be found by their ids.
func (r *reconciler) readUsers(ctx context.Context) error {
	r.Progress.Start("users, bytes", r.Users.Size())
	defer r.Progress.Done()
	planner := &planner{opts: ImportOptions{
		Schema: r.Schema, Mapper: r.Mapper, Rules: r.Rules, Providers: r.Providers, Mode: ModeHook, DryRun: true, Now: r.Now,
	}}
	var read int64
	for row, err := range r.Users.Rows(ctx) {
		if err != nil {
			return err
		}
		s, err := planner.plan(row.Line, row.JSON, row.Err)
		if err != nil {
			return err
		}
		for _, key := range s.keys {
			if err := r.identifiers.add(key.value, s.Line, key.rank); err != nil {
				return err
			}
		}
		r.result.Users++
		s.User = slices.Clone(row.JSON)
		if err := r.users.put(s.planRow); err != nil {
			return err
		}
		now := r.Users.Offset()
		r.Progress.Add(now - read)
		read = now
	}
	return nil
}

func (r *reconciler) walk(ctx context.Context) error {
	return scan.Identities(ctx, r.Kratos, r.Progress, func(record kratos.Record) error {
		r.result.Identities++
		return r.identity(ctx, record)
	})
}

// identity compares one identity with its user.
func (r *reconciler) identity(ctx context.Context, record kratos.Record) error {
	subject := kind.Primary(record)
	if subject == "" {
		r.result.Native++
		return nil
	}
	lines := r.identifiers.lines(subject, rankUser)
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
func (r *reconciler) compare(ctx context.Context, row planRow, record kratos.Record, profile mapping.Profile, how kind.Kind, against hindrance) error {
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
	editor := editor{
		kratos: r.Kratos, rules: r.Rules, mapper: r.Mapper, schema: r.Schema, schemaID: r.SchemaID,
		leaves: r.Users.Format() == userfile.CSV, hookOff: r.HookOff, dryRun: !r.Fix, now: r.Now,
	}
	mapped, err := r.Mapper.Map(profile)
	if err != nil {
		f := finding
		f.unmapped(results.Because(results.ReasonInvalid, err.Error()))
		return r.found(append(found, f)...)
	}
	different := false
	if how != kind.Pending || r.HookOff { // a pending one's next login brings it
		profile.Blocked = false
		ops, _, err := editor.ops(record, profile, mapped)
		if different = err != nil || len(ops) > 0; different {
			f := finding
			f.Finding, f.Detail = Different, differences(ops, err)
			found = append(found, f)
		}
	}
	if r.Fix && (different || blocked) {
		change, err := editor.applyWithRetry(ctx, row.UserID, row.User, record.ID)
		var fault *kratos.Error
		switch {
		case change.why.Reason == results.ReasonUnchanged:
			change.outcome, change.why = results.Updated, results.Cause{} // by somebody else, or the answer was lost
		case err == nil:
		case errors.As(err, &fault) && fault.Final():
			change.outcome, change.why = results.Failed, results.Refused(fault.Status, fault.Said)
		default:
			return err
		}
		if blocked && change.outcome == results.Updated {
			r.result.deactivated(how, against)
		}
		markFixed(found, change)
	}
	return r.found(found...)
}

// detailBlocked is the detail of the only Stale finding that ferry can fix.
const detailBlocked = "blocked at Auth0, and active in Kratos"

// deactivated counts an identity anew that the reconciliation has just switched off.
func (r *Reconciled) deactivated(was kind.Kind, against hindrance) {
	r.Kinds[was]--
	r.Kinds[kind.Inactive]++
	r.Blocked++
	r.hinder(was, against, -1)
}

// markFixed records on the findings whether a change fixed them.
func markFixed(found []Finding, change change) {
	for i := range found {
		if found[i].Finding == Stale && found[i].Detail != detailBlocked {
			continue // only the person can change a password
		}
		switch found[i].Fixed = change.outcome == results.Updated; {
		case !found[i].Fixed:
			found[i].Detail += " (not fixed: " + change.why.String() + ")"
		case change.why != results.Cause{}:
			found[i].Detail += " (" + change.why.String() + ")"
		}
	}
}

// staleSince says why the identity's password is not the one at Auth0 any more; empty:
// nothing tells so.
func staleSince(record kratos.Record, profile mapping.Profile) string {
	value, told := profile.Claims["last_password_reset"]
	if !told || value == nil || !record.HasPassword {
		return ""
	}
	reset, ok := mapping.Time(value)
	if !ok {
		return "last_password_reset cannot be read"
	}
	origin := kind.OriginOf(record)
	at, migrated := record.MigratedAt()
	switch {
	case migrated && reset.After(at):
		return "the password was reset at Auth0 after it had crossed"
	case migrated || origin.As != results.CreatedHash:
		return ""
	case !origin.PasswordSetAt.IsZero() && reset.After(origin.PasswordSetAt),
		origin.PasswordSetAt.IsZero():
		return "the password was reset at Auth0 after the hash was exported"
	}
	return ""
}

// differences are the paths that differ, without values.
func differences(ops []kratos.Op, err error) string {
	if err != nil {
		return violations(err)
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

// missing finds the users that no identity was seen of.
func (r *reconciler) missing() error {
	return r.users.each(func(line int) error {
		if r.seen.Has(line) {
			return nil
		}
		row, err := r.users.get(line)
		if err != nil {
			return err
		}
		finding := Finding{Line: line, UserID: row.UserID, Finding: Missing}
		collision, lost := r.identifiers.collisionOf(line)
		switch {
		case lost && (collision.user || row.creates()):
			finding.unmapped(collisionCause(collision))
		case !row.creates():
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
