// Package finish ends the pending state of identities that were imported and whose users
// never logged in, and can restore it. Their password becomes a random hash.
//
//	check that no login can match
//	read all identities, note the ids of the pending ones
//	wait for logins that Kratos may still be storing
//	for each id: read it; still pending? write it; read the answer
//
// It changes no identity with a password, and none that an import did not create.
package finish

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ferry/bulk/progress"
	"ferry/bulk/results"
	"ferry/bulk/retry"
	"ferry/bulk/scan"
	"ferry/kratos"
	"ferry/provenance"
)

// The reasons besides those of an import.
const (
	reasonNotImported = "not_imported"
	reasonNotPending  = "not_pending"
	reasonEarlier     = "finished_earlier"
	reasonOwnPassword = "own_password"
	reasonGone        = "deleted"
)

// Options say what to finish. Kratos, Progress and Now must be set.
type Options struct {
	Kratos *kratos.Client
	// Write makes the changes. Otherwise Run only says what it would do.
	Write bool
	// Undo restores the pending state of identities that Run ended, unless the user has set
	// a password since.
	Undo bool
	// Check is called before the first write and then repeatedly. It returns nil while no
	// login can match, or with Undo while the hook answers. Its error ends the run. Nil: no
	// check.
	Check func(context.Context) error
	// Wait is the time from the first Check to the first write. Kratos may need it to
	// store the password of a login that matched just before the migration was closed.
	Wait time.Duration
	// RetryFor is how long a request is repeated while Kratos does not answer; 0: 30 s.
	RetryFor time.Duration
	// Results receives a line for each identity; nil: no results.
	Results  *Results
	Progress progress.Reporter
	Now      func() time.Time
}

// Summary is what Run did, or without Write what it would do.
type Summary struct {
	DryRun bool `json:"dry_run"`
	Undo   bool `json:"undo"`
	// Identities is the number in Kratos, Pending the number of them that were pending
	// before, and Remaining the number that are pending after.
	Identities int `json:"identities"`
	Pending    int `json:"pending"`
	Remaining  int `json:"remaining"`
	// Outcomes and Reasons count the results, by outcome and by "outcome: reason".
	Outcomes map[results.Outcome]int `json:"outcomes"`
	Reasons  map[string]int          `json:"reasons"`
}

// Failed returns the number of identities that could not be changed.
func (s Summary) Failed() int { return s.Outcomes[results.Failed] }

const (
	inFlight = 4
	// checkEvery is the number of identities written between two calls of Check.
	checkEvery = 50
)

// Run ends the pending state of the identities that were imported and never migrated. A
// login then sees wrong credentials, with the hook and without it, and recovery works.
//
// Kratos has no conditional write. A login that matches between the read and the write
// would lose its password, hence Check and Wait.
//
// Run can be interrupted at any point and run again. The mark in metadata_admin is written
// together with the password, so an identity is either pending or marked. The result
// follows the write: if it is missing, the next run finds the mark and reports
// finished_earlier.
func Run(ctx context.Context, opts Options) (Summary, error) {
	if opts.Kratos == nil || opts.Progress == nil || opts.Now == nil {
		return Summary{}, errors.New("finish: Kratos, progress and a clock are required")
	}
	if opts.RetryFor <= 0 {
		opts.RetryFor = 30 * time.Second
	}
	f := &finisher{Options: opts, summary: Summary{
		DryRun: !opts.Write, Undo: opts.Undo, Outcomes: map[results.Outcome]int{}, Reasons: map[string]int{},
	}}
	err := f.do(ctx)
	return f.summary, err
}

// finisher is one call of Run.
type finisher struct {
	Options

	ids []string // of the identities to change

	mu      sync.Mutex
	summary Summary
}

func (f *finisher) do(ctx context.Context) error {
	started := f.Now()
	if err := f.check(ctx); err != nil {
		return err
	}
	if err := f.walk(ctx); err != nil {
		return err
	}
	if !f.Write || len(f.ids) == 0 {
		return nil
	}
	if left := f.Wait - f.Now().Sub(started); left > 0 {
		f.Progress.Say("waiting " + left.Round(time.Second).String() + " for logins that Kratos may still be storing")
		if err := retry.Sleep(ctx, left); err != nil {
			return err
		}
	}
	return f.writeAll(ctx)
}

func (f *finisher) check(ctx context.Context) error {
	if !f.Write || f.Check == nil {
		return nil
	}
	return f.Check(ctx)
}

// walk reads all identities. Those that need no write get their result here.
func (f *finisher) walk(ctx context.Context) error {
	return scan.Identities(ctx, f.Kratos, f.Progress, func(record kratos.Record) error {
		f.summary.Identities++
		if record.Pending {
			f.summary.Pending++
			f.summary.Remaining++
		}
		return f.plan(record)
	})
}

func (f *finisher) plan(record kratos.Record) error {
	outcome := results.Finished
	if f.Undo {
		outcome = results.Restored
	}
	todo, result := f.look(record)
	switch {
	case result.Outcome != "" && !f.concerns(record):
		return nil
	case !todo:
		return f.report(result)
	case f.Write:
		f.ids = append(f.ids, record.ID)
		return nil
	}
	return f.report(result.as(outcome, "", ""))
}

// concerns reports whether an identity that needs no change gets a result.
func (f *finisher) concerns(record kratos.Record) bool {
	_, marked := provenance.FinishOf(record.MetadataAdmin)
	if f.Undo {
		return marked
	}
	return record.Pending || marked && !f.Results.has(record.ID)
}

// look says whether an identity needs a change, and its result if it does not.
func (f *finisher) look(record kratos.Record) (todo bool, result Result) {
	result = Result{DryRun: !f.Write, IdentityID: record.ID, UserID: record.Binding.Primary()}
	_, marked := provenance.FinishOf(record.MetadataAdmin)
	switch {
	case f.Undo && !marked:
		return false, result.as(results.Skipped, reasonNotPending, "finish did not end it, or it was restored already")
	case f.Undo && !record.Finished():
		return false, result.as(results.Skipped, reasonOwnPassword, "the user has set a password since")
	case f.Undo:
		return true, result
	case record.Finished():
		return false, result.as(results.Skipped, reasonEarlier, "")
	case marked && !record.Pending:
		return false, result.as(results.Skipped, reasonOwnPassword, "the user has set a password since")
	case !record.Pending:
		return false, result.as(results.Skipped, reasonNotPending, "the user logged in or set a password meanwhile")
	case !provenance.HasBinding(record.MetadataAdmin) || len(record.Binding.Subjects) == 0:
		return false, result.as(results.Skipped, reasonNotImported, "metadata_admin.auth0 records no Auth0 user")
	}
	return true, result
}

// writeAll changes the identities, several at a time.
func (f *finisher) writeAll(ctx context.Context) error {
	what := "finish"
	if f.Undo {
		what = "undo"
	}
	f.Progress.Start(what, int64(len(f.ids)))
	defer f.Progress.Done()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	var checked error
	for i, id := range f.ids {
		if i%checkEvery == 0 {
			if checked = f.check(groupCtx); checked != nil {
				break
			}
		}
		group.Go(func() error {
			if err := groupCtx.Err(); err != nil {
				return err
			}
			result, err := f.change(groupCtx, id)
			if err != nil {
				return err
			}
			f.Progress.Add(1)
			return f.report(result)
		})
	}
	if err := group.Wait(); err != nil {
		return err // it also ended the check, if that failed
	}
	return checked
}

// report counts a result and writes its line.
func (f *finisher) report(result Result) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.summary.Outcomes[result.Outcome]++
	if result.Reason != "" {
		f.summary.Reasons[string(result.Outcome)+": "+result.Reason]++
	}
	switch {
	case result.Outcome == results.Restored:
		f.summary.Remaining++
	case f.Undo, result.Reason == reasonEarlier, result.Reason == reasonOwnPassword:
	case result.Outcome == results.Finished, result.Reason == reasonNotPending, result.Reason == reasonGone, result.Reason == results.ReasonPassword:
		f.summary.Remaining--
	}
	return f.Results.write(result)
}

// Result is what became of one identity.
type Result struct {
	// DryRun says that nothing was done.
	DryRun     bool            `json:"dry_run,omitempty"`
	IdentityID string          `json:"identity_id"`
	UserID     string          `json:"user_id,omitempty"`
	Outcome    results.Outcome `json:"outcome"`
	// Reason is a word; Detail says more, and may quote what Kratos said of the person's
	// data.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (r Result) as(outcome results.Outcome, reason, detail string) Result {
	r.Outcome, r.Reason, r.Detail = outcome, reason, detail
	return r
}
