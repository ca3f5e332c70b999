package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"sync"
	"time"

	"ferry/bulk/hashfile"
	"ferry/bulk/progress"
	"ferry/bulk/results"
	"ferry/bulk/tempfile"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/mapping"
)

// Mode says how passwords cross.
type Mode string

// The modes.
const (
	// ModeAuto takes the exported hash where there is a fresh one that Kratos can use,
	// and the hook where not.
	ModeAuto Mode = "auto"
	// ModeHook makes everybody pending.
	ModeHook Mode = "hook"
	// ModeHash takes hashes only; who has none fails.
	ModeHash Mode = "hash"
)

// Conflict says what becomes of a row whose user has an identity already. A conflict
// with any other identity always fails.
type Conflict string

// The ways.
const (
	// ConflictSkip leaves the identity alone.
	ConflictSkip Conflict = "skip"
	// ConflictUpdate brings what is new of the profile into it, by the rules of a login.
	ConflictUpdate Conflict = "update"
	// ConflictFail fails the row.
	ConflictFail Conflict = "fail"
)

// ImportOptions are what an import is made of. Users, Schema, Mapper, Now and Progress
// are required; so is Kratos, unless it is a dry run.
type ImportOptions struct {
	Users  *userfile.Source
	Hashes *hashfile.Index // nil: none
	// Tenant is the only one that the hash file may be of; empty: any one.
	Tenant string

	Schema *mapping.Schema
	// SchemaID is the schema's id at Kratos; empty: Kratos' default.
	SchemaID string
	Mapper   mapping.Mapper
	Rules    mapping.Rules

	// Realms are the connections that the hook may ask, the first of them about those who
	// record none; none: everyone is asked about in the tenant's default directory.
	Realms []string

	Mode       Mode
	Providers  Providers
	OnConflict Conflict
	// DropMFA takes over users with a second factor at Auth0, without it.
	DropMFA bool
	// SkipUnverified leaves out users with a password whose addresses Auth0 did not verify.
	SkipUnverified bool
	// HookOff says that Kratos does not call the migration hook, so that pending
	// identities may be written.
	HookOff bool
	// ExternalID gives each identity its Auth0 user id as external_id, if Kratos takes it.
	ExternalID bool
	DryRun     bool
	// Shard is the part of the file that is imported: the lines that leave this
	// remainder when divided by Shards, 0 or 1 being the whole file.
	Shard, Shards int

	// Kratos nil: a dry run that asks nobody.
	Kratos *kratos.Client
	// InFlight is how many requests are made at once at most, 0 being 4.
	InFlight int
	// RetryFor is how long a Kratos that does not answer is asked again, 0 being 30 s.
	RetryFor time.Duration

	// Inputs are further things that decide what becomes of a row, such as the digest of
	// the mapper, by name: a run is resumed only if they are the same.
	Inputs map[string]string
	// Journal takes a line for each row, and makes the run resumable.
	Journal *Journal
	// RetryFile takes the rows that failed, in the format of the input; empty: none.
	RetryFile string
	// TempDir is where the plan is kept meanwhile; empty: the system's.
	TempDir string

	Progress progress.Reporter
	// Warn says what the operator should know; several goroutines may call it at once.
	Warn func(string)
	Now  func() time.Time
}

const (
	defaultInFlight = 4
	defaultRetryFor = 30 * time.Second
)

func (o *ImportOptions) complete() error {
	switch {
	case o.Users == nil || o.Schema == nil || o.Mapper == nil || o.Now == nil || o.Progress == nil || o.Warn == nil || o.Journal == nil:
		return errors.New("bulk: users, schema, mapper, journal, clock, progress and warn are required")
	case o.Kratos == nil && !o.DryRun:
		return errors.New("bulk: without Kratos there are dry runs only")
	case o.Shards < 0 || o.Shard < 0 || o.Shards > 0 && o.Shard >= o.Shards:
		return errors.New("bulk: shards count from 0: of 4 there are 0/4, 1/4, 2/4 and 3/4")
	}
	o.Shards = max(o.Shards, 1)
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	if o.RetryFor <= 0 {
		o.RetryFor = defaultRetryFor
	}
	return nil
}

// importer is one import under way.
type importer struct {
	ImportOptions

	plan        *planFile
	identifiers identifierIndex
	folded      identifierIndex // identifiers in the form of the next Kratos, where that is another
	creates     results.LineSet // rows that the plan makes identities of
	existing    *existingIdentities
	results     recorder
	limiter     *limiter

	mu         sync.Mutex
	noExternal bool // this Kratos takes no external_id
	waiting    waiting
	explained  int // rows of which Kratos was asked why it refused them
	warned     map[string]bool
}

// Import makes identities of Auth0's users. It first makes a plan of the whole file,
// writing nothing, then carries it out. The Summary is of what was done, also where
// the error says that it could not go on; the same call then does the rest.
//
// An error is about the run: a row that fails has a result that says so.
func Import(ctx context.Context, opts ImportOptions) (Summary, error) {
	if err := opts.complete(); err != nil {
		return Summary{}, err
	}
	started := opts.Now()
	run := &importer{ImportOptions: opts, results: recorder{to: opts.Journal.out}, limiter: newLimiter(opts.InFlight), warned: map[string]bool{}}
	err := run.do(ctx)
	summary := run.results.total()
	summary.DryRun = opts.DryRun
	summary.took(opts.Now().Sub(started))
	return summary, err
}

func (r *importer) do(ctx context.Context) (err error) {
	if err := r.Journal.load(r.results.resume); err != nil {
		return err
	}
	if err := r.checkTenant(); err != nil {
		return err
	}
	if r.plan, err = newPlanFile(r.TempDir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.plan.close()) }()
	if err := r.planPass(ctx); err != nil {
		return err
	}
	if err := r.Journal.checkInputs(r.checkpoint()); err != nil {
		return err
	}
	r.identifiers.resolve()
	r.warnAboutFile()
	if r.Kratos != nil {
		if r.existing, err = scanIdentities(ctx, r); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.existing.close()) }() // the last one
		if len(r.results.created) > 0 && !r.DryRun && !r.existing.created {
			return fmt.Errorf("%w: this Kratos has none of the identities that were created; name the Kratos that has, or another results file for a new run", ErrOtherRun)
		}
	}
	err = r.execute(ctx)
	return errors.Join(err, r.writeRetry(ctx))
}

// checkTenant refuses hashes that are not this tenant's: ids that an operator chose
// himself may be the same in two tenants, and be two people.
func (r *importer) checkTenant() error {
	if r.Hashes == nil {
		return nil
	}
	if count, first := r.Hashes.Unreadable(); count > 0 {
		if r.Hashes.Len() == 0 && r.Mode != ModeHook {
			return fmt.Errorf("not one of the %d entries of the hash file is a hash: nothing was written; give the file that Auth0's support exported, decrypted, as NDJSON or as a JSON array, or leave --hashes out", count)
		}
		r.Warn(fmt.Sprintf("%d entries of the hash file cannot be read, the first is number %d", count, first))
	}
	tenants := r.Hashes.Tenants()
	switch {
	case len(tenants) > 1:
		return fmt.Errorf("the hash file is of several tenants (%q): give a file of one", tenants)
	case r.Tenant != "" && len(tenants) == 1 && tenants[0] != r.Tenant:
		return fmt.Errorf("the hash file is of the tenant %q, not of %q: nothing was written; name the right file, or the tenant with --tenant", tenants[0], r.Tenant)
	}
	return nil
}

// dispatch reports a row whose outcome is known and passes the others to the sender.
func (r *importer) dispatch(sender *sender, p planRow) error {
	if collision, lost := r.identifiers.collisionOf(p.Line); lost && (p.creates() || collision.user) {
		return r.report(p.result(results.Failed, "", collisionCause(collision)))
	}
	if !p.creates() {
		return r.report(p.result(p.Outcome, "", p.Reason))
	}
	found := r.existing.of(p.Line)
	switch {
	case found.owner == noOwner && r.DryRun:
		return r.report(p.result(p.Outcome, "", p.Reason))
	case found.owner == noOwner:
		return sender.create(p)
	case found.owner == ownedByOther:
		return r.report(p.result(results.Failed, found.id, results.Because(results.ReasonOther, "")))
	}
	return sender.resolveConflict(p, found)
}

func (r *importer) report(all ...results.Result) error {
	r.Progress.Add(int64(len(all)))
	return r.results.put(all...)
}

// warn says a thing once.
func (r *importer) warn(text string) {
	r.mu.Lock()
	said := r.warned[text]
	r.warned[text] = true
	r.mu.Unlock()
	if !said {
		r.Warn(text)
	}
}

// writeRetry writes the rows that failed, as they stand in the input.
func (r *importer) writeRetry(ctx context.Context) error {
	if r.RetryFile == "" {
		return nil
	}
	err := tempfile.Replace(r.RetryFile, func(w io.Writer) error {
		return r.Users.Copy(context.WithoutCancel(ctx), w, r.results.failed.Has)
	})
	if err != nil {
		return fmt.Errorf("write the rows that failed: %w", err)
	}
	return nil
}

// checkpoint is what the run is about, once the users file was read.
func (r *importer) checkpoint() checkpoint {
	c := checkpoint{Users: r.Users.Digest(), Options: map[string]string{
		"--mode": string(r.Mode), "--on-conflict": string(r.OnConflict), "--schema-id": r.SchemaID,
		"--dry-run": strconv.FormatBool(r.DryRun), "--mfa drop": strconv.FormatBool(r.DropMFA),
		"--external-id": strconv.FormatBool(r.ExternalID), "--hook-off": strconv.FormatBool(r.HookOff),
		"--shard": fmt.Sprintf("%d/%d", r.Shard, r.Shards), "--provider": r.Providers.String(),
	}}
	if r.SkipUnverified { // only then: runs of earlier releases did not note it
		c.Options["--unverified"] = "skip"
	}
	maps.Copy(c.Options, r.Inputs)
	if r.Hashes != nil {
		c.Hashes = r.Hashes.Digest()
	}
	return c
}
