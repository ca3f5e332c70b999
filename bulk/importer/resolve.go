package importer

import (
	"context"
	"errors"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/bulk/update"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/provenance"
)

// resolveByLookup looks up the owners of a row's identifiers after Kratos refused the row
// with a conflict, then resolves the conflict.
func (r *importer) resolveByLookup(ctx context.Context, row plan.Row) error {
	found := existingIdentity{owner: ownedByOther}
	for _, identifier := range row.Identifiers {
		var owners []kratos.Record
		err := r.creator.retry(ctx, func() (err error) {
			owners, err = r.Kratos.Owners(ctx, identifier)
			return err
		})
		if err != nil {
			return err
		}
		for _, record := range owners {
			found = existingIdentity{r.ownerOf(record, row), record.ID}
			if found.owner == ownedByOther {
				return r.resolveConflict(ctx, row, found)
			}
		}
	}
	return r.resolveConflict(ctx, row, found)
}

// ownerOf says whose identity it is, for a row.
func (r *importer) ownerOf(record kratos.Record, row plan.Row) owner {
	switch {
	case row.UserID == "" || record.Binding.Primary() != row.UserID:
		return ownedByOther
	case provenance.ImportOf(record.MetadataAdmin).Run == r.Journal.run:
		return createdByRun
	}
	return ownedByUser
}

// resolveConflict reports a row that is in conflict with an identity. It updates the
// identity if it is the same user's and OnConflict says so.
func (r *importer) resolveConflict(ctx context.Context, row plan.Row, found existingIdentity) error {
	switch {
	case found.owner == createdByRun:
		// This run created it and was interrupted before it wrote the result.
		return r.report(result(row, row.Outcome, found.id, row.Reason))
	case found.owner == ownedByOther:
		return r.report(result(row, results.Failed, found.id, results.Because(results.ReasonOther, "")))
	case r.OnConflict == ConflictFail:
		return r.report(result(row, results.Failed, found.id, results.Because(results.ReasonExists, "")))
	case r.OnConflict != ConflictUpdate:
		return r.report(result(row, results.Skipped, found.id, results.Because(results.ReasonExists, "")))
	}
	done, err := r.update(ctx, row, found.id)
	if err != nil {
		return err
	}
	return r.report(done)
}

// update applies the profile of the row to its identity. An error ends the run.
func (r *importer) update(ctx context.Context, row plan.Row, id string) (results.Result, error) {
	editor := update.Editor{
		Kratos: r.Kratos, Rules: r.Rules, Mapper: r.Mapper, Schema: r.Schema, SchemaID: r.SchemaID,
		Leaves: r.Users.Format() == userfile.CSV, HookOff: r.HookOff, DryRun: r.DryRun, Now: r.Now,
	}
	var change update.Change
	err := r.creator.retry(ctx, func() (err error) {
		change, err = editor.Apply(ctx, row.UserID, row.User, id)
		return err
	})
	var fault *kratos.Error
	switch {
	case errors.As(err, &fault) && fault.Final():
		return result(row, results.Failed, id, results.Refused(fault.Status, fault.Said)), nil
	case err != nil:
		return results.Result{}, err
	}
	return result(row, change.Outcome, id, change.Cause), nil
}
