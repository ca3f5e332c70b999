package undo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"ferry/bulk/results"
	"ferry/bulk/retry"
	"ferry/kratos"
	"ferry/outcome"
	"ferry/provenance"
)

// The reasons besides ReasonKratos.
const (
	reasonMigrated    = "migrated"
	reasonPasswordSet = "password_set"
	reasonSession     = "session"
	reasonFinished    = "finished"
	reasonRebound     = "rebound"
	reasonChanged     = "changed"
	reasonOtherRun    = "other_run"
	reasonUnknown     = "unknown"
	reasonGone        = "gone"
)

// one handles one identity. Each attempt starts with a fresh read, so that it finds a
// deletion whose answer was lost. An error ends the call.
func (u *undoer) one(ctx context.Context, id string) (result Result, err error) {
	result = Result{Run: u.Run, DryRun: !u.Write, IdentityID: id}
	sent := false // whether Kratos was asked to delete it
	err = retry.Do(ctx, u.Now, u.RetryFor, func() (err error) {
		result, err = u.attempt(ctx, result, &sent)
		return err
	}, retry.Unavailable)
	var fault *kratos.Error
	switch {
	case err == nil || !errors.As(err, &fault):
		return result, err
	case fault.Final():
		return result.as(results.Failed, results.ReasonKratos, refused(fault)), nil
	}
	return result, fmt.Errorf("delete the identity %s: %w", id, err)
}

func refused(fault *kratos.Error) string {
	detail := fmt.Sprintf("Kratos refuses to delete it with %d", fault.Status)
	if fault.Said != "" {
		detail += ": " + fault.Said
	}
	return detail
}

// attempt completes the result of an identity.
func (u *undoer) attempt(ctx context.Context, result Result, sent *bool) (Result, error) {
	now, err := u.Kratos.Usage(ctx, result.IdentityID)
	var fault *kratos.Error
	switch {
	case err == nil:
	case !errors.As(err, &fault):
		return result, err
	case isMissing(err) && *sent:
		return result.as(results.Deleted, "", ""), nil
	case isMissing(err):
		return result.as(results.Deleted, reasonGone, "something else deleted it"), nil
	case fault.Status == http.StatusOK && fault.Outcome == outcome.InvalidResponse:
		return result.as(results.Skipped, reasonUnknown, "ferry cannot read it: "+fault.Reason), nil
	default:
		return result, err
	}
	result.UserID = now.Binding.Primary()
	if why := u.keeps(now); why.Reason != "" {
		return result.as(results.Skipped, why.Reason, why.Detail), nil
	}
	if u.Write {
		*sent = true
		if err := u.delete(ctx, result.IdentityID); err != nil {
			return result, err
		}
	}
	return result.as(results.Deleted, "", ""), nil
}

// delete deletes an identity. A 404 means that it is gone, or that something between ferry
// and Kratos refuses deletions: another read tells.
func (u *undoer) delete(ctx context.Context, id string) error {
	refusal := u.Kratos.Delete(ctx, id)
	if !isMissing(refusal) {
		return refusal
	}
	_, err := u.Kratos.Read(ctx, id)
	switch {
	case isMissing(err):
		return nil
	case err == nil:
		return refusal
	}
	return err
}

func isMissing(err error) bool {
	var fault *kratos.Error
	return errors.As(err, &fault) && fault.Status == http.StatusNotFound
}

// keeps returns why an identity is kept; without a reason, it is as the import left it.
func (u *undoer) keeps(now kratos.Usage) results.Cause {
	note := provenance.ImportOf(now.MetadataAdmin)
	_, migrated := provenance.MigratedAt(now.MetadataAdmin)
	switch {
	case note.Run != u.Run:
		return results.Because(reasonOtherRun, "it records another run now")
	case migrated:
		return results.Because(reasonMigrated, "the user has logged in by the hook")
	case now.Finished():
		return results.Because(reasonFinished, "finish ended its pending state")
	case !strings.HasPrefix(note.As, createdPrefix):
		return results.Because(reasonUnknown, fmt.Sprintf("the import recorded %q", note.As))
	case !asImported(now.Record, note):
		return results.Because(reasonPasswordSet, "its password is not the imported one: the user logged in by the hook, or set a password")
	case now.HasSession:
		return results.Because(reasonSession, "the user has logged in")
	case provenance.Rebinds(now.MetadataAdmin) > 0:
		return results.Because(reasonRebound, "an operator bound it to another user")
	case now.Changed:
		return results.Because(reasonChanged, "the user, an operator or ferry has changed it since the import")
	}
	return results.Cause{}
}

// createdPrefix begins the outcomes of an import that created an identity.
const createdPrefix = "created_"

// asImported reports whether the identity has the password that the import gave it: the
// imported hash, the pending state, or none.
func asImported(record kratos.Record, note provenance.Import) bool {
	switch note.As {
	case string(results.CreatedPending):
		return record.Pending
	case string(results.CreatedHash):
		// Earlier releases did not note the hash; that Kratos has not changed the credential
		// since the import says the same.
		return record.HasPassword && (note.PasswordSHA256 == "" || record.HasHash(note.PasswordSHA256))
	default:
		return !record.HasPassword && !record.Pending
	}
}
