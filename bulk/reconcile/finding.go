package reconcile

import (
	"slices"

	"ferry/bulk/kind"
	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
)

// Found is what a reconciliation found about a user or an identity.
type Found string

// The findings.
const (
	// Missing is a user without an identity.
	Missing Found = "missing"
	// Extra is an identity of a user who is not in the file.
	Extra Found = "extra"
	// Different is an identity whose profile is newer at Auth0.
	Different Found = "different"
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
	// Blocked is the number of inactive identities whose users are blocked at Auth0 too.
	Blocked int `json:"blocked"`
	// Refused is the number of pending identities whose users are blocked at Auth0, which the
	// hook refuses.
	Refused int `json:"refused"`
	// Stranded is the number of pending identities that cannot cross: see the finding.
	Stranded int `json:"stranded"`
	// NoCode is the number of users who can log in by a code only, if Kratos has that
	// switched off.
	NoCode int `json:"code_off"`
	// Unverified counts, by kind, the identities without a verified address, if Kratos
	// requires one.
	Unverified map[kind.Kind]int `json:"unverified"`
}

// NeedVerified returns the number of identities that lack the verified address that Kratos
// requires.
func (r Result) NeedVerified() (all int) {
	for _, n := range r.Unverified {
		all += n
	}
	return all
}

// Open returns the number of findings that were not fixed.
func (r Result) Open() int {
	open := 0
	for found, n := range r.Findings {
		open += n - r.Fixed[found]
	}
	return open
}

// Able returns the number of users who can log in to Kratos now.
func (r Result) Able() int {
	return r.Kinds[kind.Migrated] + r.Kinds[kind.Hash] + r.Kinds[kind.Own] + r.Kinds[kind.Social] + r.Kinds[kind.Code] + r.Kinds[kind.Pending] - r.Refused - r.Stranded - r.NoCode - r.NeedVerified()
}

// hindrance is why a user cannot log in although the kind of the identity allows it.
type hindrance byte

const (
	noHindrance hindrance = iota
	isRefused
	isStranded
	isUnverified
	isCodeOff
)

// hinder adds n to the count of a hindrance.
func (r *Result) hinder(how kind.Kind, by hindrance, n int) {
	switch by {
	case noHindrance:
	case isRefused:
		r.Refused += n
	case isStranded:
		r.Stranded += n
	case isUnverified:
		r.Unverified[how] += n
	case isCodeOff:
		r.NoCode += n
	}
}

// against returns the hindrance of a user.
func (r *reconciler) against(record kratos.Record, profile mapping.Profile, how kind.Kind) hindrance {
	verified := slices.ContainsFunc(record.Addresses, func(a kratos.Address) bool { return a.Verified })
	switch how {
	case kind.Inactive, kind.None, kind.Finished:
		return noHindrance
	case kind.Code: // the login verifies the address
		if r.CodesOff {
			return isCodeOff
		}
		return noHindrance
	case kind.Social:
		if r.SocialNeedsVerified && !verified {
			return isUnverified
		}
		return noHindrance
	case kind.Pending:
		if profile.Blocked {
			return isRefused
		}
		if !profile.Crosses(record.Identifiers) {
			return isStranded
		}
	case kind.Migrated, kind.Hash, kind.Own:
	}
	if r.PasswordsNeedVerified && !verified {
		return isUnverified
	}
	return noHindrance
}
