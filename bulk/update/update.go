// Package update writes to an existing identity what Auth0 knows better by now.
//
//	read the identity; it must be of the very user, and not pending
//	write the profile into it by the rules of a login (package edit)
//
// It never changes credentials or bindings. Kratos' patch writes the password too, so a
// password that changed in the same moment is reported.
package update

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/bulk/retry"
	"ferry/edit"
	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/mapping"
)

// Editor changes existing identities. Kratos, Mapper, Schema and Now must be set.
type Editor struct {
	Kratos *kratos.Client
	Rules  mapping.Rules
	Mapper mapping.Mapper
	Schema *mapping.Schema
	// SchemaID is the schema's id at Kratos; empty: not known.
	SchemaID string
	// Leaves says that a user has single values of the metadata, as in CSV, so that the
	// others stay.
	Leaves bool
	// HookOff says that the migration hook is switched off, so pending identities may be
	// written.
	HookOff bool
	// DryRun leaves out the writes.
	DryRun bool
	Now    func() time.Time
}

// Change is what became of an identity.
type Change struct {
	Outcome results.Outcome
	Cause   results.Cause
}

// Apply updates the identity with the profile of the user, whose row of the users file is
// user, and deactivates it if the user is blocked. It never activates an identity. An error
// is one of Kratos.
func (e Editor) Apply(ctx context.Context, userID string, user []byte, id string) (Change, error) {
	profile, err := mapping.FromUser(user)
	if err != nil {
		return Change{results.Failed, results.Because(results.ReasonUnreadable, err.Error())}, nil
	}
	mapped, err := e.Mapper.Map(profile)
	if err != nil {
		return Change{results.Failed, results.Because(results.ReasonInvalid, err.Error())}, nil
	}
	record, err := e.Kratos.Read(ctx, id)
	if err != nil {
		return Change{}, err
	}
	switch {
	case record.Binding.Primary() != userID:
		return Change{results.Failed, results.Because(results.ReasonOther, "")}, nil
	case record.Pending && !e.HookOff:
		return Change{results.Skipped, results.Because(results.ReasonPending, "the migration hook may be verifying its password; use --hook-off if the hook is switched off")}, nil
	}
	change, err := e.change(record, profile, mapped)
	if err != nil {
		return invalid(err), nil
	}
	after, written := record, false
	if e.DryRun {
		var result mapping.Result
		result, err = change.Merge(record)
		written = len(result.Ops) > 0
	} else {
		after, written, err = change.Write(ctx, e.Kratos, record)
	}
	var merge *edit.MergeError
	switch {
	case errors.As(err, &merge):
		return invalid(err), nil
	case err != nil:
		return Change{}, err
	case !written:
		return Change{results.Skipped, results.Because(results.ReasonUnchanged, "")}, nil
	case after.PasswordDigest != record.PasswordDigest || after.Pending != record.Pending:
		return Change{results.Updated, results.Because(results.ReasonPassword, "ask the user to try the new one")}, nil
	}
	return Change{results.Updated, results.Cause{}}, nil
}

func invalid(err error) Change {
	return Change{results.Failed, results.Because(results.ReasonInvalid, plan.Violations(err))}
}

// ApplyWithRetry calls Apply again while Kratos does not answer. Each attempt starts with a
// fresh read.
func (e Editor) ApplyWithRetry(ctx context.Context, userID string, user []byte, id string) (done Change, err error) {
	err = retry.Do(ctx, e.Now, applyFor, func() (err error) {
		done, err = e.Apply(ctx, userID, user, id)
		return err
	}, retry.Unavailable)
	return done, err
}

// applyFor bounds the attempts of ApplyWithRetry.
const applyFor = 10 * time.Second

// Ops returns the operations that the identity needs.
func (e Editor) Ops(record kratos.Record, profile mapping.Profile, mapped mapping.Identity) ([]jsonpatch.Op, error) {
	change, err := e.change(record, profile, mapped)
	if err != nil {
		return nil, err
	}
	result, err := change.Merge(record)
	return result.Ops, err
}

// change returns the change to write. Only the identity's own schema tells which of its
// traits are identifiers and addresses.
func (e Editor) change(record kratos.Record, profile mapping.Profile, mapped mapping.Identity) (edit.Change, error) {
	if e.SchemaID != "" && record.SchemaID != "" && record.SchemaID != e.SchemaID {
		return edit.Change{}, fmt.Errorf("the identity is of the identity schema %s, not %s: name that with --schema-id", record.SchemaID, e.SchemaID)
	}
	if e.Leaves {
		profile = profile.OverMetadata(record.MetadataAdmin)
	}
	return edit.Change{Schema: e.Schema, Profile: profile, Mapped: mapped, Rules: e.Rules, Deactivate: profile.Blocked}, nil
}
