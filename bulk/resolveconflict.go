package bulk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/results"
	"ferry/bulk/retry"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/mapping"
)

// resolveByLookup looks up the owners of a row's identifiers after Kratos refused the row
// with a conflict, then resolves the conflict.
func (r *importer) resolveByLookup(ctx context.Context, row planRow) error {
	found := existingIdentity{owner: ownedByOther}
	for _, identifier := range row.Identifiers {
		var owners []kratos.Record
		err := r.retry(ctx, func() (err error) {
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

// ownerOf returns whose an identity is from the view of a row.
func (r *importer) ownerOf(record kratos.Record, row planRow) owner {
	switch {
	case row.UserID == "" || kind.Primary(record) != row.UserID:
		return ownedByOther
	case kind.OriginOf(record).Run == r.Journal.run:
		return createdByRun
	}
	return ownedByUser
}

// resolveConflict reports a row that is in conflict with an identity. It updates the
// identity if it is the same user's and OnConflict says so.
func (r *importer) resolveConflict(ctx context.Context, row planRow, found existingIdentity) error {
	switch {
	case found.owner == createdByRun:
		// This run created it and was interrupted before it wrote the result.
		return r.report(row.result(row.Outcome, found.id, row.Reason))
	case found.owner == ownedByOther:
		return r.report(row.result(results.Failed, found.id, results.Because(results.ReasonOther, "")))
	case r.OnConflict == ConflictFail:
		return r.report(row.result(results.Failed, found.id, results.Because(results.ReasonExists, "")))
	case r.OnConflict != ConflictUpdate:
		return r.report(row.result(results.Skipped, found.id, results.Because(results.ReasonExists, "")))
	}
	result, err := r.update(ctx, row, found.id)
	if err != nil {
		return err
	}
	return r.report(result)
}

// update applies the profile of the row to its identity. An error ends the run.
func (r *importer) update(ctx context.Context, row planRow, id string) (results.Result, error) {
	editor := editor{
		kratos: r.Kratos, rules: r.Rules, mapper: r.Mapper, schema: r.Schema, schemaID: r.SchemaID,
		leaves: r.Users.Format() == userfile.CSV, hookOff: r.HookOff, dryRun: r.DryRun,
	}
	var change change
	err := r.retry(ctx, func() (err error) {
		change, err = editor.apply(ctx, row.UserID, row.User, id)
		return err
	})
	var fault *kratos.Error
	switch {
	case errors.As(err, &fault) && fault.Final():
		return row.result(results.Failed, id, results.Refused(fault.Status, fault.Said)), nil
	case err != nil:
		return results.Result{}, err
	}
	return row.result(change.outcome, id, change.why), nil
}

// editor changes identities that are there: only those of the very user, never their
// credentials, and never their binding.
type editor struct {
	kratos *kratos.Client
	rules  mapping.Rules
	mapper mapping.Mapper
	schema *mapping.Schema
	// schemaID is the schema's id at Kratos; empty: not known.
	schemaID string
	// leaves says that the users' metadata are told leaf by leaf, and not whole.
	leaves  bool
	hookOff bool
	dryRun  bool
	now     func() time.Time
}

// change is what became of an identity.
type change struct {
	outcome results.Outcome
	why     results.Cause
}

// apply reads the identity and writes what Auth0 knows better: the profile, by the same
// rules as a login, and that the user is blocked. It does not activate an identity that an
// operator deactivated. It writes once, and a second time only to mark an address verified
// that the first write added.
func (e editor) apply(ctx context.Context, userID string, user []byte, id string) (change, error) {
	profile, err := mapping.FromUser(user)
	if err != nil {
		return change{results.Failed, results.Because(results.ReasonUnreadable, err.Error())}, nil
	}
	mapped, err := e.mapper.Map(profile)
	if err != nil {
		return change{results.Failed, results.Because(results.ReasonInvalid, err.Error())}, nil
	}
	record, err := e.kratos.Read(ctx, id)
	if err != nil {
		return change{}, err
	}
	switch {
	case kind.Primary(record) != userID:
		return change{results.Failed, results.Because(results.ReasonOther, "")}, nil
	case record.Pending && !e.hookOff:
		return change{results.Skipped, results.Because(results.ReasonPending, "the migration hook may be at it; --hook-off where that is switched off")}, nil
	}
	written := false
	for range 2 {
		ops, unmarked, err := e.ops(record, profile, mapped)
		if err != nil {
			return change{results.Failed, results.Because(results.ReasonInvalid, violations(err))}, nil
		}
		if len(ops) == 0 {
			break
		}
		written = true
		if e.dryRun {
			break
		}
		before := record
		if record, err = e.kratos.Patch(ctx, id, ops); err != nil {
			return change{}, err
		}
		if record.PasswordDigest != before.PasswordDigest || record.Pending != before.Pending {
			return change{results.Updated, results.Because(results.ReasonPassword, "ask the person to try the new one")}, nil
		}
		if len(unmarked) == 0 {
			break
		}
	}
	if !written {
		return change{results.Skipped, results.Because(results.ReasonUnchanged, "")}, nil
	}
	return change{results.Updated, results.Cause{}}, nil
}

// applyWithRetry calls apply again while Kratos does not answer. Each attempt starts with a
// fresh read.
func (e editor) applyWithRetry(ctx context.Context, userID string, user []byte, id string) (done change, err error) {
	err = retry.Do(ctx, e.now, applyFor, func() (err error) {
		done, err = e.apply(ctx, userID, user, id)
		return err
	}, retry.Unavailable)
	return done, err
}

// applyFor bounds the attempts of applyWithRetry.
const applyFor = 10 * time.Second

// ops are the changes that the identity needs. Only its own schema tells which of its
// traits are identifiers and addresses.
func (e editor) ops(record kratos.Record, profile mapping.Profile, mapped mapping.Identity) ([]kratos.Op, []mapping.Address, error) {
	if e.schemaID != "" && record.SchemaID != "" && record.SchemaID != e.schemaID {
		return nil, nil, fmt.Errorf("the identity is of the identity schema %s, not %s: name that with --schema-id", record.SchemaID, e.schemaID)
	}
	current := mapping.Current{Traits: record.Traits, MetadataPublic: record.MetadataPublic, MetadataAdmin: record.MetadataAdmin}
	for _, a := range record.Addresses {
		current.Addresses = append(current.Addresses, mapping.CurrentAddress{Value: a.Value, Via: a.Via, Verified: a.Verified})
	}
	if e.leaves {
		profile = profile.OverMetadata(record.MetadataAdmin)
	}
	merged, err := mapping.Merge(e.schema, current, profile, mapped, e.rules, nil)
	if err != nil {
		return nil, nil, err
	}
	var ops []kratos.Op
	for _, op := range merged.Ops {
		ops = append(ops, kratos.Op{Op: op.Op, Path: op.Path, Value: op.Value})
	}
	if profile.Blocked && record.Active {
		ops = append(ops, kratos.Op{Op: "replace", Path: "/state", Value: "inactive"})
	}
	return ops, merged.Unmarked, nil
}
