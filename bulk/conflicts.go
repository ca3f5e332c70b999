package bulk

import (
	"context"
)

// Conflicts that the census did not know are rare, unless somebody else writes to Kratos
// as well. To look up who is in the way takes Kratos longer than to create an identity.
// So rows in conflict wait for the next pass over the plan: where they are many, another
// census finds all who are in the way at once.

const (
	// maxPasses bounds how often rows wait; in the last pass each row is looked up.
	maxPasses = 4
	// fewConflicts are looked up one by one, however few identities there are.
	fewConflicts = 8
	// identitiesPerConflict is how many identities a census reads in the time that it
	// takes to look up one row.
	identitiesPerConflict = 1000
)

// waiting counts the rows in conflict that wait for the next pass.
type waiting struct {
	rows int
	last bool // there is no next pass
}

// conflicts deals with rows that Kratos would not create because somebody is in the way.
func (r *importer) conflicts(ctx context.Context, rows []planned) error {
	r.mu.Lock()
	wait := !r.waiting.last
	if wait {
		r.waiting.rows += len(rows)
	}
	r.mu.Unlock()
	if wait {
		return nil
	}
	for _, row := range rows {
		if err := r.conflict(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// carryOut does what the plan says: all of it, then what had to wait.
func (r *importer) carryOut(ctx context.Context) error {
	what := "import"
	if r.DryRun {
		what = "dry run"
	}
	if err := r.pass(ctx, what, r.plan.rows, true); err != nil {
		return err
	}
	for pass := 2; r.waiting.rows > 0; pass++ {
		rows := r.waiting.rows
		few := rows <= max(fewConflicts, r.census.size/identitiesPerConflict)
		r.waiting = waiting{last: few || pass >= maxPasses}
		if !few {
			if err := r.lookAgain(ctx); err != nil {
				return err
			}
		}
		if err := r.pass(ctx, "rows in conflict", rows, false); err != nil {
			return err
		}
	}
	return nil
}

// lookAgain takes another census.
func (r *importer) lookAgain(ctx context.Context) error {
	next, err := takeCensus(ctx, r)
	if err != nil {
		return err
	}
	before := r.census
	r.census = next
	return before.close()
}

// pass goes once through the plan, leaving out what is done.
func (r *importer) pass(ctx context.Context, what string, rows int, first bool) error {
	r.Progress.Start(what, int64(rows))
	defer r.Progress.Done()
	crew := r.newCrew(ctx)
	planErr := r.plan.each(func(p planned) error {
		if err := crew.ctx.Err(); err != nil {
			return err
		}
		if r.results.has(p.Line) {
			if first {
				r.Progress.Add(1)
			}
			return nil
		}
		return r.dispatch(crew, p)
	})
	if planErr == nil {
		planErr = crew.flush()
	}
	if err := crew.wait(); err != nil {
		return err // it is why the plan stopped, if it did
	}
	return planErr
}
