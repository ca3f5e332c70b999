// Package update writes to an existing identity what Auth0 knows better by now.
//
//	read the identity; it must be of the very user
//	replace its credentials: a newer hash, a password to verify again, accounts to add
//	write the profile into it by the rules of a login (package edit)
//	remove the logins of accounts that are no longer linked at Auth0
//
// It never changes bindings. It changes a password only while that is the hash that ferry
// imported, identifiers only while they are those that ferry gave, removes only logins that it
// gave, and activates only what
// ferry deactivated: see PasswordKept, IdentifiersKept and Deactivated. Pending identities
// get no profile, because Kratos' patch writes the password too and the migration hook may
// be verifying it; those of blocked users do, because Auth0 accepts no password of theirs.
// For the same reason a password that changed in the same moment is reported.
package update

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// Plan says what an import would give the user. It must be set with Repair. With hashes,
	// a newer one replaces the imported one.
	Plan *plan.Options
	// Repair moves identifiers to the address that Auth0 verified, adds accounts that were
	// linked since, and activates identities that ferry deactivated.
	Repair bool
	// Linked are the Auth0 user ids of all accounts that the user has now. Repair removes logins
	// of others that ferry gave the identity; empty: unknown, none is removed.
	Linked []string
	// NoMove keeps identifiers even so, because another user may have the address.
	NoMove bool
	// BlockedAccounts are Auth0 users who are blocked. An identity that one of them was merged
	// into counts as that of a blocked user.
	BlockedAccounts []string
	// NoActivate keeps an identity inactive even so.
	NoActivate bool
	// Rearm makes an identity pending if its password was reset at Auth0 after the import
	// of the hash.
	Rearm bool
	// DryRun leaves out the writes.
	DryRun bool
	Now    func() time.Time
}

// Change is what became of an identity.
type Change struct {
	Outcome results.Outcome
	Cause   results.Cause
	// After is the identity after it was written.
	After kratos.Record
	// LoginsKept says why Kratos did not remove the logins of accounts that are no longer
	// linked; the rest was written. Empty: it did, or there are none.
	LoginsKept results.Cause
}

func failed(cause results.Cause) Change { return Change{Outcome: results.Failed, Cause: cause} }

// Judge decides about an identity that was just read, without a request. decided is false if
// the identity is to be written.
func (e Editor) Judge(record kratos.Record, userID string, user []byte) (change Change, decided bool, err error) {
	_, change, decided, err = e.judge(record, userID, user)
	return change, decided, err
}

func (e Editor) judge(record kratos.Record, userID string, user []byte) (s steps, change Change, decided bool, err error) {
	profile, err := mapping.FromUser(user)
	if err != nil {
		return s, failed(results.Because(results.ReasonUnreadable, err.Error())), true, nil
	}
	profile.Blocked = profile.Blocked || e.accountBlocked(record)
	mapped, err := e.Mapper.Map(profile)
	switch {
	case err != nil:
		return s, failed(results.Because(results.ReasonInvalid, err.Error())), true, nil
	case record.Binding.Primary() != userID:
		return s, failed(results.Because(results.ReasonOther, "")), true, nil
	}
	var merge *edit.MergeError
	if s, err = e.steps(record, profile, mapped); err == nil {
		decided, err = s.written(record)
		decided = !decided
	}
	switch {
	case errors.As(err, &merge):
		return s, invalid(err), true, nil
	case err != nil:
		return s, Change{}, false, err
	case decided:
		return s, s.idle(), true, nil
	case e.DryRun:
		return s, s.updated(record), true, nil
	}
	return s, Change{}, false, nil
}

// Apply updates the identity with the profile of the user, whose row of the users file is
// user, and deactivates it if the user is blocked. An error is one of Kratos, or of the file
// with the hashes.
func (e Editor) Apply(ctx context.Context, userID string, user []byte, id string) (Change, error) {
	record, err := e.Kratos.Read(ctx, id)
	if err != nil {
		return Change{}, err
	}
	s, change, decided, err := e.judge(record, userID, user)
	if decided || err != nil {
		return change, err
	}
	before := record
	if s.replacement != nil {
		if before, err = e.Kratos.Replace(ctx, record, *s.replacement); err != nil {
			return Change{}, err
		}
	}
	after := before
	if !s.waits {
		after, _, err = s.edit.Write(ctx, e.Kratos, before)
	}
	var merge *edit.MergeError
	switch {
	case errors.As(err, &merge):
		return invalid(err), nil
	case err != nil:
		return Change{}, err
	}
	done := s.updated(after)
	if done.After, done.LoginsKept, err = e.removeLogins(ctx, s, after); err != nil {
		return Change{}, err
	}
	if done.After.PasswordDigest != before.PasswordDigest || done.After.Pending != before.Pending {
		done.Cause = results.Because(results.ReasonPassword, "ask the user to try the new one")
	}
	return done, nil
}

func (s steps) updated(after kratos.Record) Change {
	change := Change{Outcome: results.Updated, After: after}
	if s.kept != "" {
		change.Cause = results.Because(results.ReasonPasswordKept, s.kept)
	}
	return change
}

func invalid(err error) Change {
	return failed(results.Because(results.ReasonInvalid, plan.Violations(err)))
}

// accountBlocked reports whether one of BlockedAccounts was merged into the identity.
func (e Editor) accountBlocked(record kratos.Record) bool {
	return len(e.BlockedAccounts) > 0 && slices.ContainsFunc(Merged(record), func(id string) bool { return slices.Contains(e.BlockedAccounts, id) })
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

// Ops returns the operations that the identity needs for the profile alone: its identifiers
// and its state stay.
func (e Editor) Ops(record kratos.Record, profile mapping.Profile, mapped mapping.Identity) ([]jsonpatch.Op, error) {
	change, err := e.change(record, profile, mapped)
	if err != nil {
		return nil, err
	}
	change.Deactivate = false
	result, err := change.Merge(record)
	return result.Ops, err
}

// change returns the change to write. Only the identity's own schema tells which of its
// traits are identifiers and addresses.
func (e Editor) change(record kratos.Record, profile mapping.Profile, mapped mapping.Identity) (edit.Change, error) {
	if e.SchemaID != "" && record.SchemaID != "" && record.SchemaID != e.SchemaID {
		err := fmt.Errorf("the identity is of the identity schema %s, not %s: name that with --schema-id", record.SchemaID, e.SchemaID)
		return edit.Change{}, &edit.MergeError{Err: err}
	}
	if e.Leaves {
		profile = profile.OverMetadata(record.MetadataAdmin)
	}
	return edit.Change{Schema: e.Schema, Profile: profile, Mapped: mapped, Rules: e.Rules, Deactivate: profile.Blocked}, nil
}
