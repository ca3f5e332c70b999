// Package rebind binds an identity to another Auth0 user.
//
//	read all identities: no other may be bound to that user
//	read the identity; replace the binding, add an audit entry; check the answer
//
// It does not change credentials. Nothing else in ferry changes a binding.
package rebind

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ferry/bulk/progress"
	"ferry/bulk/scan"
	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// Request says how to bind an identity.
type Request struct {
	// IdentityID is the Kratos identity, Subject the Auth0 user to bind it to.
	IdentityID, Subject string
	// Connection is the Auth0 connection that has the user's password; empty: as recorded.
	Connection string
	// Reason is the operator's reason; it is stored on the identity.
	Reason string
	// By is who did it.
	By string
}

// Result is what Run did.
type Result struct {
	IdentityID string    `json:"identity_id"`
	From       []string  `json:"from"`
	To         string    `json:"to"`
	Reason     string    `json:"reason"`
	By         string    `json:"by"`
	At         time.Time `json:"at"`
	// Changed is false if the identity was bound to that user already.
	Changed bool `json:"changed"`
	// Connection replaced FromConnection; both are empty if the connection did not change.
	FromConnection string `json:"from_connection,omitempty"`
	Connection     string `json:"connection,omitempty"`
	// PasswordChanged says that Kratos had another password after the change than before:
	// the user logged in or set one at the same time.
	PasswordChanged bool `json:"password_changed,omitempty"`
}

// Run binds an identity to another Auth0 user, and notes on the identity what it was bound to
// before, when, why and by whom. It refuses an Auth0 user that another identity is bound to:
// that would be two accounts for one password. Linked users of the old binding are removed.
func Run(ctx context.Context, identities *kratos.Client, r Request, reporter progress.Reporter, now time.Time) (Result, error) {
	if !IsSubject(r.Subject) {
		return Result{}, errors.New("the subject is an Auth0 user id such as auth0|5f7c8ec7c33c6c004bbafe82")
	}
	if err := checkUnbound(ctx, identities, r, reporter); err != nil {
		return Result{}, err
	}
	before, err := identities.Read(ctx, r.IdentityID)
	var fault *kratos.Error
	switch {
	case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
		return Result{}, fmt.Errorf("read the identity: Kratos has no identity with the id %s", r.IdentityID)
	case err != nil:
		return Result{}, fmt.Errorf("read the identity: %w", err)
	}
	done := Result{IdentityID: r.IdentityID, From: append([]string{}, before.Binding.Subjects...), To: r.Subject, Reason: r.Reason, By: r.By, At: now.UTC()}
	if r.Connection != "" && r.Connection != before.Binding.Connection {
		done.FromConnection, done.Connection = before.Binding.Connection, r.Connection
	}
	if len(done.From) == 1 && done.From[0] == r.Subject && done.Connection == "" {
		return done, nil
	}
	after, err := identities.Patch(ctx, r.IdentityID, rebindOps(before, done))
	if err != nil {
		return Result{}, fmt.Errorf("write the identity: %w", err)
	}
	if after.Binding.Primary() != r.Subject {
		return Result{}, errors.New("kratos has another binding after the change than the one written: check the identity")
	}
	done.Changed = true
	done.PasswordChanged = after.PasswordDigest != before.PasswordDigest || after.Pending != before.Pending
	return done, nil
}

// checkUnbound makes sure that no other identity is bound to the user.
func checkUnbound(ctx context.Context, identities *kratos.Client, r Request, reporter progress.Reporter) error {
	return scan.Identities(ctx, identities, reporter, func(record kratos.Record) error {
		if record.ID != r.IdentityID && record.Binding.Has(r.Subject) {
			return fmt.Errorf("the identity %s is bound to that user already: rebind or delete that one first", record.ID)
		}
		return nil
	})
}

// rebindOps returns the operations that replace the binding, and nothing else in
// metadata_admin.
func rebindOps(before kratos.Record, done Result) []jsonpatch.Op {
	after := provenance.Rebound(before.MetadataAdmin, provenance.Rebind{
		From: done.From, To: done.To, Reason: done.Reason, By: done.By, At: done.At, FromConnection: done.FromConnection, Connection: done.Connection,
	})
	return jsonpatch.Diff([]string{"metadata_admin"}, before.MetadataAdmin, after)
}

// IsSubject reports whether the text has the form of an Auth0 user id, provider|id, without
// blanks.
func IsSubject(text string) bool {
	return mapping.IsUserID(text) && !strings.ContainsAny(text, " \t\r\n")
}
