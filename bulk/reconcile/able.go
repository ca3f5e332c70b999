package reconcile

import (
	"slices"

	"ferry/bulk/kind"
	"ferry/bulk/update"
	"ferry/kratos"
)

// NeedVerified returns the number of identities that lack the verified address that Kratos
// requires.
func (r Result) NeedVerified() int { return sum(r.Unverified) }

// Able returns the number of users who can log in to Kratos now, with the name and the
// password that they have at Auth0, or with a password that they set at Kratos.
func (r Result) Able() (all int) {
	for _, how := range ableKinds() {
		all += r.able(how)
	}
	return all
}

// ableKinds returns the kinds of identities whose users can log in.
func ableKinds() []kind.Kind {
	return []kind.Kind{kind.Migrated, kind.Unnoted, kind.Hash, kind.Own, kind.Social, kind.Code, kind.Bridge, kind.Pending}
}

// able returns the number of users of a kind who can log in.
func (r Result) able(how kind.Kind) int {
	n := r.Kinds[how] - r.Unverified[how] - r.Misnamed[how] - r.Outdated[how]
	if how == kind.Pending {
		n -= r.Refused + r.Stranded + r.Factors
	}
	if how == kind.Code {
		n -= r.NoCode
	}
	return n
}

// hindrance is why a user cannot log in although the kind of the identity allows it.
type hindrance byte

const (
	noHindrance hindrance = iota
	hinderedByBlock
	hinderedByFactor
	hinderedByLink
	hinderedByName
	hinderedByReset
	hinderedByAddress
	hinderedByCode
)

// hinder counts a hindrance.
func (r *Result) hinder(how kind.Kind, by hindrance) {
	switch by {
	case noHindrance:
	case hinderedByBlock:
		r.Refused++
	case hinderedByFactor:
		r.Factors++
	case hinderedByLink:
		r.Stranded++
	case hinderedByName:
		r.Misnamed[how]++
	case hinderedByReset:
		r.Outdated[how]++
	case hinderedByAddress:
		r.Unverified[how]++
	case hinderedByCode:
		r.NoCode++
	}
}

// against returns what keeps a user out, the first of several things.
func (r *reconciler) against(u user, record kratos.Record, how kind.Kind) hindrance {
	verified := slices.ContainsFunc(record.Addresses, func(a kratos.Address) bool { return a.Verified })
	switch how {
	case kind.Inactive, kind.None, kind.Finished:
		return noHindrance
	case kind.Code: // the login verifies the address
		switch missing := u.expected.MissingCodes(record); {
		case record.HasBridge():
			return noHindrance
		case r.CodesOff:
			return hinderedByCode
		case len(missing) > 0 && len(missing) == len(u.expected.Codes):
			return hinderedByName
		}
		return noHindrance
	case kind.Social, kind.Bridge:
		if r.SocialNeedsVerified && !verified {
			return hinderedByAddress
		}
		return noHindrance
	case kind.Pending:
		switch {
		case u.blocked():
			return hinderedByBlock
		case r.lacksFactor(u, record):
			return hinderedByFactor
		case isStranded(u, record):
			return hinderedByLink
		}
	case kind.Migrated, kind.Unnoted, kind.Hash, kind.Own:
		if (how == kind.Migrated || how == kind.Hash) && update.Stale(record, u.profile) != "" {
			return hinderedByReset
		}
	}
	switch {
	case u.unmapped.Reason == "" && len(u.expected.Missing(record)) > 0:
		return hinderedByName
	case r.PasswordsNeedVerified && !verified:
		return hinderedByAddress
	}
	return noHindrance
}

// isStranded reports whether the identity is pending, no login of its user can match, and there
// is no bridge.
func isStranded(u user, record kratos.Record) bool {
	return record.Active && record.Pending && !record.HasBridge() && !u.blocked() && !u.profile.Crosses(record.Identifiers)
}
