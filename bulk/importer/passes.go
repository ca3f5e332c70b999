package importer

import (
	"context"
	"slices"

	"ferry/bulk/plan"
	"ferry/bulk/results"
)

// Conflicts that the scan did not predict are rare, unless another program writes to Kratos
// too. Looking up the owner of an identifier takes Kratos longer than creating an identity.
// So rows in conflict wait for the next pass over the plan. If there are many, another scan
// finds all owners at once.

const (
	// maxPasses bounds how often rows wait; in the last pass each row is looked up.
	maxPasses = 4
	// fewConflicts or fewer rows are always looked up one by one.
	fewConflicts = 8
	// identitiesPerConflict is how many identities a scan reads in the time of one
	// look-up.
	identitiesPerConflict = 1000
)

// waiting counts the rows in conflict that wait for the next pass.
type waiting struct {
	rows int
	last bool // there is no next pass
}

// handleConflicts handles rows that Kratos refused with a conflict: they wait for the next
// pass, or in the last pass are looked up one by one.
func (r *importer) handleConflicts(ctx context.Context, rows []plan.Row) error {
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
		if err := r.resolveByLookup(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// execute runs the plan: first all rows, then those that had to wait.
func (r *importer) execute(ctx context.Context) error {
	what := "import"
	if r.DryRun {
		what = "dry run"
	}
	if err := r.pass(ctx, what, r.rows.rows, true); err != nil {
		return err
	}
	for pass := 2; r.waiting.rows > 0; pass++ {
		rows := r.waiting.rows
		few := rows <= max(fewConflicts, r.existing.size/identitiesPerConflict)
		r.waiting = waiting{last: few || pass >= maxPasses}
		if !few {
			if err := r.rescan(ctx); err != nil {
				return err
			}
		}
		if err := r.pass(ctx, "rows in conflict", rows, false); err != nil {
			return err
		}
	}
	return nil
}

// rescan scans the identities in Kratos again.
func (r *importer) rescan(ctx context.Context) error {
	next, err := r.scanIdentities(ctx)
	if err != nil {
		return err
	}
	before := r.existing
	r.existing = next
	return before.close()
}

// pass goes through the plan once and skips rows that have a result.
func (r *importer) pass(ctx context.Context, what string, rows int, first bool) error {
	r.Progress.Start(what, int64(rows))
	defer r.Progress.Done()
	r.userRows = newUserRows(ctx, r.Users)
	defer func() { r.userRows.stop() }()
	batches := r.creator.newBatches(ctx)
	planErr := r.rows.each(func(row plan.Row) error {
		if err := batches.ctx.Err(); err != nil {
			return err
		}
		switch {
		case r.plan.Replaced(row):
			return nil // a later row reports it
		case r.hasResults(row):
			if first {
				r.Progress.Add(int64(1 + len(row.Merged)))
			}
			return nil
		}
		return r.dispatch(batches, row)
	})
	if planErr == nil {
		planErr = batches.flush()
	}
	if err := batches.wait(); err != nil {
		return err // this error stopped the plan
	}
	return planErr
}

// hasResults reports whether the row and those merged into it have their results.
func (r *importer) hasResults(row plan.Row) bool {
	return r.recorder.has(row.Line) && !slices.ContainsFunc(row.Merged, func(account plan.Row) bool { return !r.recorder.has(account.Line) })
}

// dispatch reports a row whose outcome is known, adds one that is to be created to the next
// batch, and starts an update.
func (r *importer) dispatch(batches *batches, row plan.Row) error {
	found := r.existing.of(row.Line)
	if why, loses := r.plan.Loses(row); loses {
		return r.report(result(row, results.Failed, "", why))
	}
	if row.Creates() && len(row.Merged) > 0 && found.owner != createdByRun {
		if accounts, exist := r.separated(row); exist {
			return r.dispatchAll(batches, accounts)
		}
	}
	found.owner = found.owner.ofUser()
	if row.User == nil && r.updates(row, found) {
		var err error
		if row.User, err = r.userRows.of(row.Line); err != nil {
			return err
		}
	}
	switch {
	case !row.Creates(), found.owner == noOwner && r.DryRun:
		return r.report(result(row, row.Outcome, "", row.Reason))
	case found.owner == noOwner:
		return batches.add(row)
	}
	return r.dispatchConflict(batches, conflict{row, found})
}

// updates reports whether the row may update an identity in this pass: one that the scan
// found, or in the last pass one that a look-up finds.
func (r *importer) updates(row plan.Row, found existingIdentity) bool {
	return r.OnConflict == ConflictUpdate && row.Creates() && (found.owner == ownedByUser || found.owner == noOwner && r.waiting.last)
}

// dispatchConflict starts an update, or reports a row that is in conflict with an identity.
func (r *importer) dispatchConflict(batches *batches, one conflict) error {
	if one.found.owner == ownedByUser && r.OnConflict == ConflictUpdate {
		return batches.start(func(ctx context.Context) error { return r.resolveConflict(ctx, one.row, one.found) })
	}
	return r.resolveConflict(batches.ctx, one.row, one.found) // makes no request
}

func (r *importer) dispatchAll(batches *batches, all []conflict) error {
	for _, one := range all {
		if r.recorder.has(one.row.Line) {
			continue
		}
		if err := r.dispatchConflict(batches, one); err != nil {
			return err
		}
	}
	return nil
}
