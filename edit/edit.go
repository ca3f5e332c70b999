// Package edit writes a profile into an existing identity.
//
//	merge the profile into the identity as it was just read; nothing to change: done
//	patch it
//	once more, if the patch gave it an address that Auth0 verified
//
// Kratos lists an address, so that it can be marked as verified, only after a patch. It
// does not read the identity first, nor check whose it is: its callers do.
package edit

import (
	"context"

	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// Change is a profile to write, and how.
type Change struct {
	// Schema is the identity's own. Without one (nil), no trait is written.
	Schema  *mapping.Schema
	Profile mapping.Profile
	// Mapped is what the mapper made of the profile.
	Mapped mapping.Identity
	Rules  mapping.Rules
	Notes  provenance.Content
	// Deactivate deactivates an active identity, and Activate activates an inactive one.
	Deactivate, Activate bool
}

// MergeError says why a profile cannot be merged into an identity. It contains no value of
// the profile.
type MergeError struct{ Err error }

// Error implements error.
func (e *MergeError) Error() string { return e.Err.Error() }

// Unwrap returns the cause, such as a [mapping.InvalidError].
func (e *MergeError) Unwrap() error { return e.Err }

// Merge returns what the change adds to the identity. Its error is a *MergeError.
func (c Change) Merge(record kratos.Record) (mapping.Result, error) {
	current := mapping.Current{Traits: record.Traits, MetadataPublic: record.MetadataPublic, MetadataAdmin: record.MetadataAdmin}
	for _, a := range record.Addresses {
		current.Addresses = append(current.Addresses, mapping.CurrentAddress{Value: a.Value, Via: a.Via, Verified: a.Verified})
	}
	result, err := mapping.Merge(c.Schema, current, c.Profile, c.Mapped, c.Rules, c.Notes)
	if err != nil {
		return mapping.Result{}, &MergeError{err}
	}
	switch {
	case c.Deactivate && record.Active:
		result.Ops = append(result.Ops, jsonpatch.Op{Op: "replace", Path: "/state", Value: "inactive"})
	case c.Activate && !record.Active:
		result.Ops = append(result.Ops, jsonpatch.Op{Op: "replace", Path: "/state", Value: "active"})
	}
	return result, nil
}

type patcher interface {
	Patch(ctx context.Context, id string, ops []jsonpatch.Op) (kratos.Record, error)
}

// Write writes the change into the identity, which must have been read just now. It
// returns the identity afterwards, and whether anything was written. Kratos' patch writes
// the credentials too: compare PasswordDigest. An error is a *MergeError, or Patch's.
func (c Change) Write(ctx context.Context, identities patcher, before kratos.Record) (after kratos.Record, written bool, err error) {
	after = before
	for range 2 {
		result, err := c.Merge(after)
		if err != nil {
			return kratos.Record{}, written, err
		}
		if len(result.Ops) == 0 {
			break
		}
		if after, err = identities.Patch(ctx, before.ID, result.Ops); err != nil {
			return kratos.Record{}, written, err
		}
		written = true
		if len(result.Unmarked) == 0 {
			break
		}
	}
	return after, written, nil
}
