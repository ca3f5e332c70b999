package reconcile

import (
	"slices"

	"ferry/bulk/kind"
	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
)

// Found is something that a reconciliation found about a user or an identity.
type Found string

// What is found.
const (
	// Missing is a user without an identity.
	Missing Found = "missing"
	// Extra is an identity of a user who is not in the file.
	Extra Found = "extra"
	// Different is an identity whose profile Auth0 knows better by now.
	Different Found = "different"
	// Duplicate is a further identity of a user who has one.
	Duplicate Found = "duplicate"
	// Stale is a user whose password was reset, or who was blocked, at Auth0 since.
	Stale Found = "stale"
	// Stranded is a pending identity whose password Auth0 takes with other names only, those
	// of a linked account: no login crosses.
	Stranded Found = "stranded"
	// Unmapped is a user of whom no identity can be made, or none is to be.
	Unmapped Found = "unmapped"
)

// Finding is one of them.
type Finding struct {
	// Line is the user's in the file, 0 where he is not there.
	Line       int    `json:"line,omitempty"`
	UserID     string `json:"user_id,omitempty"`
	IdentityID string `json:"identity_id,omitempty"`
	Finding    Found  `json:"finding"`
	// Reason says why the user is unmapped, in the words of an import's results.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Fixed says that the reconciliation fixed it.
	Fixed bool `json:"fixed"`
}

func (f *Finding) unmapped(why results.Cause) {
	f.Finding, f.Reason, f.Detail = Unmapped, why.Reason, why.Detail
}

// Result is the state of the migration, user by user of the file.
type Result struct {
	// Users are those of the file; Identities all that Kratos has, and Native those of
	// them that record no Auth0 user.
	Users      int `json:"users"`
	Identities int `json:"identities"`
	Native     int `json:"native"`
	// Kinds says how the users can log in to Kratos, each counted once.
	Kinds map[kind.Kind]int `json:"kinds"`
	// Findings and Fixed count what was found and how many of them were fixed.
	Findings map[Found]int `json:"findings"`
	Fixed    map[Found]int `json:"fixed"`
	// Blocked are inactive identities of users who are blocked at Auth0 too.
	Blocked int `json:"blocked"`
	// Refused are pending ones of users who are blocked at Auth0: the hook asks there,
	// and refuses them.
	Refused int `json:"refused"`
	// Stranded are pending ones that cannot cross: see the finding.
	Stranded int `json:"stranded"`
	// Unverified are those without a verified address, where Kratos requires one, by kind.
	Unverified map[kind.Kind]int `json:"unverified"`
}

// NeedVerified is how many have no verified address, where Kratos requires one.
func (r Result) NeedVerified() (all int) {
	for _, n := range r.Unverified {
		all += n
	}
	return all
}

// Open is how many findings were not fixed.
func (r Result) Open() int {
	open := 0
	for found, n := range r.Findings {
		open += n - r.Fixed[found]
	}
	return open
}

// Able is how many of the users can log in to Kratos now.
func (r Result) Able() int {
	return r.Kinds[kind.Migrated] + r.Kinds[kind.Hash] + r.Kinds[kind.Own] + r.Kinds[kind.Social] + r.Kinds[kind.Pending] - r.Refused - r.Stranded - r.NeedVerified()
}

// hindrance is why somebody cannot log in though the kind of the identity says so.
type hindrance byte

const (
	noHindrance hindrance = iota
	isRefused
	isStranded
	isUnverified
)

// hinder counts somebody, or with -1 no longer counts him.
func (r *Result) hinder(how kind.Kind, by hindrance, n int) {
	switch by {
	case noHindrance:
	case isRefused:
		r.Refused += n
	case isStranded:
		r.Stranded += n
	case isUnverified:
		r.Unverified[how] += n
	}
}

// against says what keeps somebody from logging in.
func (r *reconciler) against(record kratos.Record, profile mapping.Profile, how kind.Kind) hindrance {
	verified := slices.ContainsFunc(record.Addresses, func(a kratos.Address) bool { return a.Verified })
	switch how {
	case kind.Inactive, kind.None, kind.Finished:
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
