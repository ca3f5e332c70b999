// Package reconcile compares Auth0's users with Kratos' identities.
//
//	for each user in the file: plan it as an import would; store it by line
//	for each identity in Kratos: find its user by the binding; compare; with Fix, update
//	each identity without a user is extra; with DeactivateExtra, deactivate it
//	each user who had no identity is missing, or cannot have one
//
// It creates and deletes nothing. Apart from extra identities, it changes identities only as
// package update does.
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
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/mapping"
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
	// Strict refuses a file that lacks fields of Auth0's that decide what is reported, except
	// those in AcceptMissing.
	Strict        bool
	AcceptMissing []string
	// Fix fixes what is safe to fix, by the rules of package update.
	Fix     bool
	HookOff bool
	// Rearm lets Fix make identities pending whose password was reset at Auth0 since.
	Rearm bool
	// DeactivateExtra deactivates the identities of users that are not in the file, unless
	// they are more than MaxExtra percent of all; 0: 5.
	DeactivateExtra bool
	MaxExtra        int
	// Bridge is the id of Kratos' OIDC provider that is the tenant itself; empty: none.
	Bridge string
	// DropMFA says that Auth0 asks ferry's application for no second factor.
	DropMFA bool
	// KeepMFA says the same, and that users need their second factor in Kratos. It excludes
	// DropMFA.
	KeepMFA bool
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
	extras   *extras
	// connections count the users by connection.
	connections map[string]*Connection
	// planned is what the plan was made with.
	planned plan.Options
	result  Result
	out     *json.Encoder
}

// Run compares Auth0's users with Kratos' identities.
func Run(ctx context.Context, opts Options) (result Result, err error) {
	r := &reconciler{Options: opts, accounts: accounts{}, connections: map[string]*Connection{}, result: Result{
		Connections: map[string]Connection{},
		Kinds:       map[kind.Kind]int{}, Findings: map[Found]int{}, Fixed: map[Found]int{},
		Unverified: map[kind.Kind]int{}, Misnamed: map[kind.Kind]int{}, Outdated: map[kind.Kind]int{},
	}}
	if opts.Findings != nil {
		r.out = json.NewEncoder(opts.Findings)
		r.out.SetEscapeHTML(false)
	}
	if r.users, err = newUserStore(opts.TempDir); err != nil {
		return r.result, err
	}
	defer func() { err = errors.Join(err, r.users.close()) }()
	if r.extras, err = newExtras(opts.TempDir); err != nil {
		return r.result, err
	}
	defer func() { err = errors.Join(err, r.extras.close()) }()
	r.planned = plan.Options{
		Users: r.Users, Schema: r.Schema, Mapper: r.Mapper, Rules: r.Rules, Providers: r.Providers, Bridge: r.Bridge, DropMFA: r.DropMFA,
		Tenant: r.Tenant, Domain: r.Domain, Mode: plan.ModeHook, DryRun: true, KeepUsers: true, Strict: r.Strict, Compares: true, AcceptMissing: r.AcceptMissing, Phase: "users", Progress: r.Progress, Now: r.Now,
	}
	if r.planned.Lacks, err = r.Kratos.Lacks(ctx, r.planned.Fields()...); err != nil {
		return r.result, err
	}
	r.plan, err = plan.Make(ctx, r.planned, func(row plan.Row) error {
		r.result.Users++
		if row.UserID == "" {
			r.result.unreadable++
		}
		return r.users.put(row)
	})
	if err != nil {
		return r.result, err
	}
	if err := r.walk(ctx); err != nil {
		return r.result, err
	}
	if err := r.reportExtras(ctx); err != nil {
		return r.result, err
	}
	err = r.missing()
	r.settle()
	return r.result, err
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
	if record.Active {
		r.result.activeBound++
	}
	switch {
	case len(lines) > 0:
	case r.isAccount(record):
		return r.found(Finding{UserID: subject, IdentityID: record.ID, Finding: Extra, Detail: "no such user in the file, which has another account of the identity"})
	case record.Active:
		return r.extras.add(extra{UserID: subject, IdentityID: record.ID})
	default:
		r.result.Gone++
		return nil
	}
	at := lines[0]
	if r.seen.Has(at) {
		return r.found(Finding{Line: at, UserID: subject, IdentityID: record.ID, Finding: Duplicate, Detail: "the user has another identity"})
	}
	r.seen.Add(at)
	u, err := r.readUser(at, record)
	if err != nil {
		return err
	}
	return r.compare(ctx, u, record)
}

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
		case !row.Creates():
			why = row.Reason
		default:
			why = results.Cause{}
		}
		if why.Reason != "" {
			finding.unmapped(why)
		}
		r.countMissing(row, why)
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
