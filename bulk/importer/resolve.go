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

// conflict is a row and the identity that it is in conflict with.
type conflict struct {
	row   plan.Row
	found existingIdentity
}

// resolveByLookup looks up the owners of a row's identifiers after Kratos refused the row
// with a conflict, then resolves the conflict.
func (r *importer) resolveByLookup(ctx context.Context, row plan.Row) error {
	found, err := r.lookUp(ctx, row, r.ownerOf)
	if err != nil {
		return err
	}
	if len(row.Merged) == 0 || found.owner == createdByRun {
		return r.resolveConflict(ctx, row, found)
	}
	for _, account := range accountsOf(row) {
		if found, err = r.lookUp(ctx, account, r.ownerOfAccount); err != nil {
			return err
		}
		if err := r.resolveConflict(ctx, account, found); err != nil {
			return err
		}
	}
	return nil
}

// lookUp looks up the owners of a row's identifiers. ownerOf says whose an identity is.
func (r *importer) lookUp(ctx context.Context, row plan.Row, ownerOf func(kratos.Record, plan.Row) owner) (existingIdentity, error) {
	found := existingIdentity{owner: ownedByOther}
	for _, identifier := range row.Identifiers {
		var owners []kratos.Record
		err := r.creator.retry(ctx, func() (err error) {
			owners, err = r.Kratos.Owners(ctx, identifier)
			return err
		})
		if err != nil {
			return found, err
		}
		for _, record := range owners {
			found = existingIdentity{ownerOf(record, row), record.ID}
			if found.owner == ownedByOther {
				return found, nil
			}
		}
	}
	return found, nil
}

// accountsOf returns the accounts of a person as rows of their own, with the identifiers of
// all of them.
func accountsOf(row plan.Row) []plan.Row {
	accounts := row.Merged
	row.Merged = nil
	all := []plan.Row{row}
	for _, account := range accounts {
		account.Identifiers = row.Identifiers
		all = append(all, account)
	}
	return all
}

// separated returns the accounts of a person, each with the identity that it is in conflict
// with. exist reports whether there is one. Accounts are merged only where the run creates the
// identity: then none of them is added to an identity that exists, and each is treated as a
// user of its own.
func (r *importer) separated(row plan.Row) (all []conflict, exist bool) {
	var other conflict
	for _, account := range accountsOf(row) {
		one := conflict{account, r.existing.of(account.Line)}
		if one.found.owner != noOwner && !exist {
			exist, other = true, one
		}
		all = append(all, one)
	}
	for i := range all {
		if all[i].found.owner == noOwner {
			all[i].found = existingIdentity{ownedByOther, other.found.id}
		}
	}
	return all, exist
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

// ownerOfAccount is ownerOf for one of several accounts that are merged.
func (r *importer) ownerOfAccount(record kratos.Record, row plan.Row) owner {
	if record.Binding.Has(row.UserID) && record.Binding.Primary() != row.UserID {
		return linkedTo
	}
	return r.ownerOf(record, row)
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
	case found.owner.linked():
		return r.report(result(row, results.Skipped, found.id, results.Because(results.ReasonExists, "the identity is that of another account of the user")))
	case r.OnConflict != ConflictUpdate:
		return r.report(result(row, results.Skipped, found.id, results.Because(results.ReasonExists, "")))
	}
	done, err := r.update(ctx, row, found.id)
	if err != nil {
		return err
	}
	return r.report(done)
}

// update applies the profile of the row to its identity, which it reads again only if there
// is something to write. An error ends the run.
func (r *importer) update(ctx context.Context, row plan.Row, id string) (results.Result, error) {
	editor := update.Editor{
		Kratos: r.Kratos, Rules: r.Rules, Mapper: r.Mapper, Schema: r.Schema, SchemaID: r.SchemaID,
		Leaves: r.Users.Format() == userfile.CSV, HookOff: r.HookOff, DryRun: r.DryRun, Now: r.Now,
		Plan: &r.Options.Options, BlockedAccounts: row.BlockedAccounts,
	}
	record, walked, err := r.existing.record(row.Line)
	if err != nil {
		return results.Result{}, err
	}
	if walked && record.ID == id {
		if change, decided, err := editor.Judge(record, row.UserID, row.User); decided || err != nil {
			return result(row, change.Outcome, id, change.Cause), err
		}
	}
	var change update.Change
	err = r.creator.retry(ctx, func() (err error) {
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
