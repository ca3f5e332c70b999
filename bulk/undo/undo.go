// Package undo deletes the identities that a run of an import created, unless someone has
// used or changed them since.
//
//	read all identities, note the ids of those that the run created
//	for each id: read it and its sessions; is it as the import left it? delete it
//
// It keeps every identity that it does not understand. Users lose nothing by a deletion:
// Auth0 still has them and their password.
package undo

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ferry/bulk/progress"
	"ferry/bulk/results"
	"ferry/bulk/scan"
	"ferry/kratos"
	"ferry/provenance"
)

// Options say what to undo. Kratos, Run, Progress and Now must be set.
type Options struct {
	Kratos *kratos.Client
	// Run is the id of the run, as the identities record it.
	Run string
	// Write deletes the identities. Otherwise Undo only says what it would do.
	Write bool
	// RetryFor is how long a request is repeated while Kratos does not answer; 0: 30 s.
	RetryFor time.Duration
	// Results receives a line for each identity of the run; nil: no results.
	Results  *Results
	Progress progress.Reporter
	Now      func() time.Time
}

// Summary is what Undo did, or without Write what it would do.
type Summary struct {
	DryRun bool   `json:"dry_run"`
	Run    string `json:"run"`
	// Identities is the number in Kratos, and OfRun the number of them that the run created,
	// both before. Remaining is how many of those are left after.
	Identities int `json:"identities"`
	OfRun      int `json:"of_run"`
	Remaining  int `json:"remaining"`
	// Outcomes and Reasons count the results, by outcome and by "outcome: reason".
	Outcomes map[results.Outcome]int `json:"outcomes"`
	Reasons  map[string]int          `json:"reasons"`
}

// Failed returns the number of identities that Kratos refused to delete.
func (s Summary) Failed() int { return s.Outcomes[results.Failed] }

const inFlight = 4

// Undo deletes the identities of the run that are as the import left them.
//
// Kratos has no conditional delete. The user of a pending identity who logs in between the
// last read and the deletion gets an error, or loses the session.
//
// Undo can be interrupted at any point and called again: it finds the identities that are
// left by their run.
func Undo(ctx context.Context, opts Options) (Summary, error) {
	if opts.Kratos == nil || opts.Run == "" || opts.Progress == nil || opts.Now == nil {
		return Summary{}, errors.New("undo: Kratos, run, progress and a clock are required")
	}
	if opts.RetryFor <= 0 {
		opts.RetryFor = 30 * time.Second
	}
	u := &undoer{Options: opts, summary: Summary{
		DryRun: !opts.Write, Run: opts.Run, Outcomes: map[results.Outcome]int{}, Reasons: map[string]int{},
	}}
	if err := u.walk(ctx); err != nil {
		return u.summary, err
	}
	err := u.all(ctx)
	return u.summary, err
}

// undoer is one call of Undo.
type undoer struct {
	Options

	ids []string // of the identities that the run created

	mu      sync.Mutex
	summary Summary
}

// walk finds the identities that the run created.
func (u *undoer) walk(ctx context.Context) error {
	return scan.Identities(ctx, u.Kratos, u.Progress, func(record kratos.Record) error {
		u.summary.Identities++
		if provenance.ImportOf(record.MetadataAdmin).Run == u.Run {
			u.ids = append(u.ids, record.ID)
			u.summary.OfRun++
			u.summary.Remaining++
		}
		return nil
	})
}

// all handles the identities, several at a time.
func (u *undoer) all(ctx context.Context) error {
	what := "undo"
	if !u.Write {
		what = "dry run"
	}
	u.Progress.Start(what, int64(len(u.ids)))
	defer u.Progress.Done()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, id := range u.ids {
		group.Go(func() error {
			if err := groupCtx.Err(); err != nil {
				return err
			}
			result, err := u.one(groupCtx, id)
			if err != nil {
				return err
			}
			u.Progress.Add(1)
			return u.report(result)
		})
	}
	return group.Wait()
}

// report counts a result and writes its line.
func (u *undoer) report(result Result) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.summary.Outcomes[result.Outcome]++
	if result.Reason != "" {
		u.summary.Reasons[string(result.Outcome)+": "+result.Reason]++
	}
	if result.Outcome == results.Deleted {
		u.summary.Remaining--
	}
	return u.Results.write(result)
}
