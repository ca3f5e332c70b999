package reconcile

import (
	"ferry/bulk/kind"
	"ferry/bulk/results"
)

// Found is what a reconciliation found about a user or an identity.
type Found string

// The findings.
const (
	// Missing is a user without an identity.
	Missing Found = "missing"
	// Extra is an active identity of a user who is not in the file.
	Extra Found = "extra"
	// Different is an identity whose profile is newer at Auth0: names, metadata, addresses.
	Different Found = "different"
	// IdentifierDiffers is an identity without an identifier that the user has at Auth0.
	IdentifierDiffers Found = "identifier_differs"
	// Unblocked is an identity that ferry deactivated and whose user may log in at Auth0.
	Unblocked Found = "unblocked"
	// SecondFactor is an identity whose user has a second factor at Auth0.
	SecondFactor Found = "second_factor"
	// Linked is an identity that lacks an account that is linked at Auth0.
	Linked Found = "linked"
	// Unlinked is an identity with logins that ferry gave it, of accounts that are no longer
	// linked at Auth0.
	Unlinked Found = "unlinked"
	// Duplicate is a further identity of the same user.
	Duplicate Found = "duplicate"
	// Stale is a user whose password was reset, or who was blocked, at Auth0 since.
	Stale Found = "stale"
	// Stranded is a pending identity whose password Auth0 accepts only with the identifiers
	// of a linked account, so no login can match.
	Stranded Found = "stranded"
	// Unmapped is a user who cannot have an identity, or whom an import would skip.
	Unmapped Found = "unmapped"
)

// Finding is one finding.
type Finding struct {
	// Line is the user's line in the file, 0 if the user is not there.
	Line       int    `json:"line,omitempty"`
	UserID     string `json:"user_id,omitempty"`
	IdentityID string `json:"identity_id,omitempty"`
	Finding    Found  `json:"finding"`
	// Reason says why the user is unmapped, in the words of the results of an import.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Fixed says whether the reconciliation fixed it.
	Fixed bool `json:"fixed"`

	canFix bool   // Fix may fix it
	why    string // why it may not be fixed, or was not if Fix tried
}

// kinds returns the findings in the order to print them.
func kinds() []Found {
	return []Found{Missing, Unmapped, IdentifierDiffers, Stranded, Stale, Unblocked, SecondFactor, Linked, Unlinked, Different, Duplicate, Extra}
}

func (f *Finding) unmapped(why results.Cause) {
	f.Finding, f.Reason, f.Detail = Unmapped, why.Reason, why.Detail
}

// Result counts the users of the file and the identities in Kratos.
type Result struct {
	// Users is the number in the file, Identities the number in Kratos, and Native the number
	// of identities that record no Auth0 user.
	Users      int `json:"users"`
	Identities int `json:"identities"`
	Native     int `json:"native"`
	// Accounts is the number of users who have no identity of their own, because they are an
	// account of another user's (`ferry import --merge-verified`). Kinds counts them too.
	Accounts int `json:"accounts,omitempty"`
	// Kinds counts the users by how they can log in to Kratos.
	Kinds map[kind.Kind]int `json:"kinds"`
	// Findings counts the findings, and Fixed those that were fixed.
	Findings map[Found]int `json:"findings"`
	Fixed    map[Found]int `json:"fixed"`
	// Connections counts the users by Auth0 connection. Users who are an account of another
	// user's identity are in none.
	Connections map[string]Connection `json:"connections"`
	// Blocked is the number of inactive identities whose users are blocked at Auth0 too.
	Blocked int `json:"blocked"`
	// Refused is the number of pending identities whose users are blocked at Auth0, which the
	// hook refuses.
	Refused int `json:"refused"`
	// Stranded is the number of pending identities that cannot migrate: see the finding.
	Stranded int `json:"stranded"`
	// NoCode is the number of users who can log in by a code only, if Kratos has that
	// switched off.
	NoCode int `json:"code_off"`
	// Factors is the number of pending identities whose users have a second factor at Auth0,
	// so that the hook refuses them.
	Factors int `json:"second_factors"`
	// Unverified counts, by kind, the identities without a verified address, if Kratos
	// requires one; Misnamed those that lack an identifier of the user, and Outdated those
	// whose password was reset at Auth0 since.
	Unverified map[kind.Kind]int `json:"unverified"`
	Misnamed   map[kind.Kind]int `json:"misnamed"`
	Outdated   map[kind.Kind]int `json:"outdated"`
	// Deactivated is the number of inactive identities whose users are not blocked at Auth0,
	// and Gone that of inactive identities whose users are not in the file.
	Deactivated int `json:"deactivated"`
	Gone        int `json:"gone"`

	activeBound int // active identities that record an Auth0 user
	unreadable  int // rows of the file without a user id
}

// Open returns the number of findings that were not fixed.
func (r Result) Open() int {
	open := 0
	for found, n := range r.Findings {
		open += n - r.Fixed[found]
	}
	return open
}
