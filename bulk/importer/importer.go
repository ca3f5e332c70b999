// Package importer creates Kratos identities from a users file.
//
//	ask Kratos which fields it does not have
//	first pass, over the file: plan every row (package plan) into an unlinked file
//	journal: write the checkpoint
//	scan Kratos: which rows are in conflict with which identities
//	second pass, over the plan: skip rows that have a result; create the others in
//	  batches, update or skip those in conflict; append each result
//	repeat the second pass for rows that Kratos found in conflict unexpectedly
//
// Journal says what holds after a crash. The package does not verify passwords.
package importer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"sync"
	"time"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/bulk/tempfile"
	"ferry/kratos"
)

// Conflict says what happens to a row whose user has an identity already. A conflict with
// another user's identity always fails.
type Conflict string

// The ways to handle a conflict.
const (
	// ConflictSkip leaves the identity alone.
	ConflictSkip Conflict = "skip"
	// ConflictUpdate writes what is new in the profile to it, by the rules of a login.
	ConflictUpdate Conflict = "update"
	// ConflictFail fails the row.
	ConflictFail Conflict = "fail"
)

// Options say what to import and how. Those of the plan that must be set, Warn and Journal
// must be set; so must Kratos, unless it is a dry run. The importer sets Run, Phase
// and Lacks.
type Options struct {
	plan.Options

	OnConflict Conflict
	// HookOff says that Kratos does not call the migration hook, so pending identities may
	// be written.
	HookOff bool

	// Kratos may be nil in a dry run, which then makes no requests.
	Kratos *kratos.Client
	// InFlight is the most requests at once; 0: 4.
	InFlight int
	// RetryFor is how long a request is repeated while Kratos does not answer; 0: 30 s.
	RetryFor time.Duration

	// Inputs are further inputs that decide what becomes of a row, such as the digest of
	// the mapper, by name: a run is resumed only if they are the same.
	Inputs map[string]string
	// Journal receives the results, and makes the run resumable.
	Journal *Journal
	// RecreateDeleted creates identities again that an earlier part of the run created and that
	// were deleted since.
	RecreateDeleted bool
	// RetryFile receives the rows that failed, in the format of the input; empty: none.
	RetryFile string

	// Warn tells the operator something. It is called by several goroutines at once.
	Warn func(string)
}

const (
	defaultInFlight = 4
	defaultRetryFor = 30 * time.Second
)

func (o *Options) complete() error {
	switch {
	case o.Users == nil || o.Schema == nil || o.Mapper == nil || o.Now == nil || o.Progress == nil || o.Warn == nil || o.Journal == nil:
		return errors.New("import: users, schema, mapper, journal, clock, progress and warn are required")
	case o.Kratos == nil && !o.DryRun:
		return errors.New("import: without Kratos there are dry runs only")
	case o.Shards < 0 || o.Shard < 0 || o.Shards > 0 && o.Shard >= o.Shards:
		return errors.New("import: shards count from 0: of 4 there are 0/4, 1/4, 2/4 and 3/4")
	}
	o.Shards = max(o.Shards, 1)
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	if o.RetryFor <= 0 {
		o.RetryFor = defaultRetryFor
	}
	o.Run, o.Phase = o.Journal.run, "plan"
	return nil
}

// importer is one import.
type importer struct {
	Options

	plan     *plan.Plan
	rows     *planFile
	userRows *userRows // of the pass
	existing *existingIdentities
	recorder recorder
	creator  *creator

	mu      sync.Mutex
	waiting waiting
	warned  map[string]bool
}

// Run imports the users. The Summary says what was done, also if an error ended the run;
// the same call then continues it. An error is about the run: a row that fails has a
// result that says so.
func Run(ctx context.Context, opts Options) (Summary, error) {
	if err := opts.complete(); err != nil {
		return Summary{}, err
	}
	started := opts.Now()
	r := &importer{Options: opts, recorder: recorder{to: opts.Journal.out}, warned: map[string]bool{}}
	r.creator = newCreator(r)
	err := r.do(ctx)
	summary := r.recorder.total(r.plan, r.creator.lacks.all())
	summary.DryRun = opts.DryRun
	if opts.Hashes != nil {
		summary.HashesTotal = opts.Hashes.Len()
	}
	summary.took(opts.Now().Sub(started))
	return summary, err
}

func (r *importer) do(ctx context.Context) (err error) {
	if err := r.Journal.load(r.recorder.resume); err != nil {
		return err
	}
	if r.rows, err = newPlanFile(r.TempDir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.rows.close()) }()
	if err := r.askFields(ctx); err != nil {
		return err
	}
	if r.plan, err = plan.Make(ctx, r.Options.Options, r.rows.add); err != nil {
		return err
	}
	if err := r.Journal.checkInputs(r.checkpoint()); err != nil {
		return err
	}
	for _, text := range r.plan.Warnings() {
		r.warn(text)
	}
	if r.Kratos != nil {
		if r.existing, err = r.scanIdentities(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.existing.close()) }() // that of the last scan
		if err = r.checkCreated(ctx); err != nil {
			return err
		}
	}
	err = r.execute(ctx)
	return errors.Join(err, r.writeRetry(ctx))
}

func (r *importer) report(all ...results.Result) error {
	for _, result := range all {
		r.Progress.Add(int64(1 + len(result.Accounts)))
	}
	return r.recorder.put(all...)
}

// result returns the result of a row.
func result(row plan.Row, outcome results.Outcome, identityID string, cause results.Cause) results.Result {
	done := results.Result{Line: row.Line, UserID: row.UserID, Outcome: outcome, IdentityID: identityID, Reason: cause.Reason, Detail: cause.Detail}
	for _, account := range row.Merged {
		done.Accounts = append(done.Accounts, results.Account{Line: account.Line, UserID: account.UserID})
	}
	return done
}

// warn tells the operator something, once.
func (r *importer) warn(text string) {
	r.mu.Lock()
	warned := r.warned[text]
	r.warned[text] = true
	r.mu.Unlock()
	if !warned {
		r.Warn(text)
	}
}

// writeRetry writes the rows that failed, unchanged. If the input has all deciding fields, the
// first one gets those that it lacks, so that the file is not refused.
func (r *importer) writeRetry(ctx context.Context) error {
	if r.RetryFile == "" {
		return nil
	}
	var mark func([]byte) ([]byte, error)
	if r.plan.Complete() {
		mark = r.plan.Mark
	}
	err := tempfile.Replace(r.RetryFile, func(w *os.File) error {
		return r.Users.Copy(context.WithoutCancel(ctx), w, r.recorder.failed.Has, mark)
	})
	if err != nil {
		return fmt.Errorf("write the rows that failed: %w", err)
	}
	return nil
}

// checkpoint returns the inputs and options of the run, after the users file was read.
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
	if r.Merge {
		c.Options["--merge-verified"] = "true"
	}
	if r.KeepMFA {
		c.Options["--mfa keep"], c.Options["--rp-id"] = "true", r.RelyingParties.String()
	}
	if r.Bridge != "" {
		c.Options["--bridge"] = r.Bridge
	}
	if len(r.Organizations) > 0 {
		c.Options["--organization"] = r.Organizations.String()
	}
	maps.Copy(c.Options, r.Inputs)
	if r.Hashes != nil {
		c.Hashes = r.Hashes.Digest()
	}
	return c
}
