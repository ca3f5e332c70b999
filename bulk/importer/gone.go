package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"ferry/bulk/results"
)

// A resumed run compares what it created before with what Kratos has. An identity that is gone was
// deleted by someone else, perhaps on purpose. So it is reported, and created again only with
// RecreateDeleted.

// goneAtOnce is how many identities Kratos is asked for at once.
const goneAtOnce = 500

// toldGone bounds the lines that the warning lists.
const toldGone = 10

// checkCreated finds the identities that an earlier part of the run created and that are gone.
func (r *importer) checkCreated(ctx context.Context) error {
	if r.DryRun || len(r.recorder.created) == 0 {
		return nil
	}
	if !r.existing.created {
		return fmt.Errorf("%w: this Kratos has none of the identities that were created; name the Kratos that has, or another results file for a new run", ErrOtherRun)
	}
	there := r.existing.present
	if r.recorder.created.Without(there).Count() == 0 {
		return nil
	}
	if err := r.findRebound(ctx, &there); err != nil {
		return err
	}
	gone := r.recorder.created.Without(there)
	if gone.Count() == 0 {
		return nil
	}
	lines := gone.First(toldGone + 1)
	told := strings.Trim(strings.ReplaceAll(fmt.Sprint(lines[:min(len(lines), toldGone)]), " ", ", "), "[]")
	if len(lines) > toldGone {
		told += " and more"
	}
	text := fmt.Sprintf("%d identities that this run created are gone from Kratos, those of lines %s: ", gone.Count(), told)
	if !r.RecreateDeleted {
		r.recorder.summary.Gone = gone.Count()
		r.warn(text + "they are not created again, unless you add --recreate-deleted")
		return nil
	}
	r.warn(text + "they are created again")
	return r.Journal.read(func(result results.Result) error {
		if gone.Has(result.Line) || result.Outcome == results.Merged && !there.Has(result.Line) {
			r.recorder.forget(result)
		}
		return nil
	})
}

// findRebound adds to there the lines whose identities exist although their binding does not say
// so: an operator rebound them.
func (r *importer) findRebound(ctx context.Context, there *results.LineSet) error {
	var missing []results.Result
	check := func() error {
		var ids []string
		for _, result := range missing {
			ids = append(ids, result.IdentityID)
		}
		var exist map[string]bool
		err := r.creator.retry(ctx, func() (err error) {
			exist, err = r.Kratos.Exist(ctx, ids)
			return err
		})
		for _, result := range missing {
			if exist[result.IdentityID] {
				there.Add(result.Line)
			}
		}
		missing = missing[:0]
		return err
	}
	err := r.Journal.read(func(result results.Result) error {
		if result.IdentityID == "" || there.Has(result.Line) || !result.Outcome.Created() && result.Outcome != results.Merged {
			return nil
		}
		if missing = append(missing, result); len(missing) < goneAtOnce {
			return nil
		}
		return check()
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	return check()
}

// read calls take with each result of the earlier parts of the run.
func (j *Journal) read(take func(results.Result) error) error {
	if j.file == nil {
		return nil
	}
	info, err := j.file.Stat()
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	_, err = results.Lines(io.NewSectionReader(j.file, 0, info.Size()), func(line []byte) error {
		var result results.Result
		if err := json.Unmarshal(line, &result); err != nil {
			return fmt.Errorf("read results: %w", err)
		}
		return take(result)
	})
	return err
}

// forget makes the recorder forget the result of a row, which is then done again.
func (r *recorder) forget(result results.Result) {
	if !r.done.Has(result.Line) {
		return // a row that was created again before has two results
	}
	for _, set := range []*results.LineSet{&r.done, &r.created} {
		set.Remove(result.Line)
	}
	r.summary.uncount(result)
}
