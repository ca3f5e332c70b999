package results

import "fmt"

// The reasons for an outcome. docs/import.md lists those of an import.
const (
	ReasonUnreadable = "unreadable"
	// ReasonNotAtAuth0 means that the user was not among those fetched from Auth0.
	ReasonNotAtAuth0    = "not_at_auth0"
	ReasonDuplicateUser = "duplicate_user"
	ReasonTwice         = "identifier_twice"
	ReasonInvalid       = "invalid"
	ReasonNoIdentifier  = "no_identifier"
	ReasonNoLogin       = "no_login_method"
	ReasonMFA           = "mfa"
	ReasonNoHash        = "no_hash"
	ReasonStaleHash     = "stale_hash"
	ReasonUnusableHash  = "unusable_hash"
	ReasonExists        = "exists"
	ReasonUnchanged     = "unchanged"
	ReasonPending       = "pending"
	ReasonKratos        = "kratos"
	ReasonUnverified    = "unverified"
	ReasonLinkedEmail   = "linked_email"
	ReasonPassword      = "password_changed_meanwhile"
	// ReasonPasswordKept means that a newer hash was not written over the password.
	ReasonPasswordKept = "password_kept"
	// ReasonOther means that another user's identity has the identifier.
	ReasonOther = "identifier_taken"
)

// Cause is the reason for an outcome with more about it.
type Cause struct{ Reason, Detail string }

// Because returns a cause. The detail may be empty.
func Because(reason, detail string) Cause { return Cause{reason, detail} }

// Refused returns the cause of a row or an identity that Kratos refused.
func Refused(status int, said string) Cause {
	text := fmt.Sprintf("it refuses the identity with %d", status)
	if said != "" {
		text += ": " + said
	}
	return Cause{ReasonKratos, text}
}

// Also returns the cause with another detail.
func (c Cause) Also(detail string) Cause {
	switch {
	case detail == "":
	case c.Detail == "":
		c.Detail = detail
	default:
		c.Detail += "; " + detail
	}
	return c
}

// String returns the reason and the detail.
func (c Cause) String() string {
	if c.Detail == "" {
		return c.Reason
	}
	return c.Reason + ": " + c.Detail
}
