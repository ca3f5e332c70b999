// Package results has what the bulk commands write about rows and identities: outcomes,
// the words for reasons, and the file with a line for each. It does not decide anything.
package results

import "fmt"

// Outcome is what became of a row or an identity; in a dry run, what would become of it.
type Outcome string

// The outcomes.
const (
	// CreatedHash is a new identity with the password hash that Auth0 exported.
	CreatedHash Outcome = "created_hash"
	// CreatedPending is a new identity whose password the migration hook will verify.
	CreatedPending Outcome = "created_pending"
	// CreatedSocial is a new identity without a password, for a login at a provider.
	CreatedSocial Outcome = "created_social"
	// Merged is an account that became part of the identity of another row, which is the same
	// person's.
	Merged Outcome = "merged"
	// CreatedCode is a new identity without a password, for a login by a code that Kratos
	// sends to the user's address.
	CreatedCode Outcome = "created_code"
	// CreatedBridge is a new identity that its user can log in to only at Auth0, as an OIDC
	// provider of Kratos.
	CreatedBridge Outcome = "created_bridge"
	// Updated is an existing identity of the user that has changed.
	Updated Outcome = "updated"
	// Skipped is a row or an identity that was left alone.
	Skipped Outcome = "skipped"
	// Failed is a row that should have become an identity and did not, or an identity
	// that could not be changed.
	Failed Outcome = "failed"
	// Finished is an identity that finish ended the pending state of: the user sees wrong
	// credentials, and can recover the account.
	Finished Outcome = "finished"
	// Restored is an identity that finish made pending again.
	Restored Outcome = "restored"
	// Deleted is an identity that undo deleted.
	Deleted Outcome = "deleted"
)

// Result is what became of one row of an import.
type Result struct {
	// Line is where the row begins: the physical line, or the element of an array; from 1.
	Line int `json:"line"`
	// UserID is the Auth0 user; empty if the row does not have it.
	UserID  string  `json:"user_id"`
	Outcome Outcome `json:"outcome"`
	// IdentityID is the Kratos identity that the row became or was, or the one that it is
	// in conflict with.
	IdentityID string `json:"identity_id,omitempty"`
	// Reason is one of the words listed in docs/import.md.
	Reason string `json:"reason,omitempty"`
	// Detail says more about the reason, or about what was left out. It may quote what
	// Kratos said about the user's data: it is for the operator, not for a log.
	Detail string `json:"detail,omitempty"`
	// Accounts are the other rows that are merged into this one. Each has a result too.
	Accounts []Account `json:"-"`
}

// Account is a row that is merged into another one.
type Account struct {
	Line   int
	UserID string
}

// OfAccounts returns the results of the rows that are merged into the row of r.
func (r Result) OfAccounts() []Result {
	var all []Result
	for _, account := range r.Accounts {
		result := Result{Line: account.Line, UserID: account.UserID, Outcome: r.Outcome, IdentityID: r.IdentityID, Reason: r.Reason}
		if r.Outcome.Created() {
			result.Outcome, result.Reason = Merged, ""
		}
		result.Detail = fmt.Sprintf("an account of the same person as line %d", r.Line)
		all = append(all, result)
	}
	return all
}

// Created reports whether the outcome is a new identity.
func (o Outcome) Created() bool {
	return o == CreatedHash || o == CreatedPending || o == CreatedSocial || o == CreatedCode || o == CreatedBridge
}
