// Package outcome lists the outcomes of a login, as packages, logs, metrics and the
// documentation name them. The answer to Kratos for each is in package hook.
package outcome

// Outcome is the outcome of a call of the migration hook. The zero value is not a valid
// outcome and is answered like InvalidResponse.
type Outcome uint8

// The outcomes. Only Match lets a user log in; only Mismatch counts against the attempt
// limits.
const (
	// Match: every trust rule holds; Kratos may store this password.
	Match Outcome = iota + 1
	// Mismatch: Auth0 rejected the identifier and password.
	Mismatch
	// MFARequired: Auth0 wants a second factor, so it gave no token and no subject.
	MFARequired
	// Blocked: an administrator blocked this user at Auth0.
	Blocked
	// Denied: an Action or Rule at Auth0 refused this user.
	Denied
	// Leaked: Auth0's breached-password detection stopped the login.
	Leaked
	// Throttled: Auth0's brute-force protection blocked this user for this IP.
	Throttled
	// Locked: ferry's own attempt limit for this user is used up.
	Locked
	// SubjectMismatch: the password is right, but for an Auth0 user that this
	// identity was not imported from.
	SubjectMismatch
	// Unbound: the identity records no Auth0 user that it was imported from.
	Unbound
	// Inactive: the identity is deactivated in Kratos.
	Inactive
	// NotPending: the identity is no longer pending. Kratos calls the hook for pending
	// identities only, so it has changed since, usually by a double click.
	NotPending
	// Oversize: the password or the request is too long.
	Oversize
	// Closed: the operator has ended the migration, so Auth0 is not asked.
	Closed
	// Paused: ferry is off, or the user is not in the cohort, so Auth0 is not asked.
	Paused
	// Observed: a match that is not given, because ferry only observes.
	Observed
	// Suspicious: Auth0's bot detection wants a captcha, which a grant cannot solve.
	Suspicious
	// Limited: a limit of the whole tenant or of a whole IP address is used up.
	Limited
	// Unavailable: Auth0 or Kratos could not be reached, or did not answer.
	Unavailable
	// Misconfigured: Auth0 or Kratos refused ferry itself, or a setting is wrong.
	Misconfigured
	// InvalidResponse: an answer that fits no rule, or cannot be trusted.
	InvalidResponse
)

// All returns every outcome in the order of the answer table.
func All() []Outcome {
	all := make([]Outcome, 0, InvalidResponse)
	for o := Match; o <= InvalidResponse; o++ {
		all = append(all, o)
	}
	return all
}

// String returns the outcome's name in logs, metrics, recordings and documentation. An
// invalid Outcome has the name of InvalidResponse, garbled.
func (o Outcome) String() string {
	switch o {
	case Match:
		return "match"
	case Mismatch:
		return "mismatch"
	case MFARequired:
		return "mfa_required"
	case Blocked:
		return "blocked"
	case Denied:
		return "denied"
	case Leaked:
		return "leaked"
	case Throttled:
		return "throttled"
	case Locked:
		return "locked"
	case SubjectMismatch:
		return "subject_mismatch"
	case Unbound:
		return "unbound"
	case Inactive:
		return "inactive"
	case NotPending:
		return "not_pending"
	case Oversize:
		return "oversize"
	case Closed:
		return "closed"
	case Paused:
		return "paused"
	case Observed:
		return "observed"
	case Suspicious:
		return "suspicious"
	case Limited:
		return "limited"
	case Unavailable:
		return "unavailable"
	case Misconfigured:
		return "misconfigured"
	case InvalidResponse:
		return "garbled"
	}
	return "garbled"
}
