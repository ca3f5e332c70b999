package bulk

import "fmt"

// The words that say why a row became what it became. docs/import.md lists them.
const (
	reasonUnreadable    = "unreadable"
	reasonDuplicateUser = "duplicate_user"
	reasonTwice         = "identifier_twice"
	reasonInvalid       = "invalid"
	reasonNoIdentifier  = "no_identifier"
	reasonNoLogin       = "no_login_method"
	reasonMFA           = "mfa"
	reasonNoHash        = "no_hash"
	reasonStaleHash     = "stale_hash"
	reasonUnusableHash  = "unusable_hash"
	reasonExists        = "exists"
	reasonUnchanged     = "unchanged"
	reasonPending       = "pending"
	reasonKratos        = "kratos"
	reasonUnverified    = "unverified"
	reasonLinkedEmail   = "linked_email"
	reasonPassword      = "password_changed_meanwhile"
	// reasonOther means that another user's identity has the identifier.
	reasonOther = "identifier belongs to another user"
)

// cause says why a row became what it became: one of the words, and more about it.
type cause struct{ Word, Detail string }

// because is a cause without more about it.
func because(word string) cause { return cause{Word: word} }

// also is the cause with one more detail.
func (c cause) also(detail string) cause {
	switch {
	case detail == "":
	case c.Detail == "":
		c.Detail = detail
	default:
		c.Detail += "; " + detail
	}
	return c
}

// String is the word and the detail.
func (c cause) String() string {
	if c.Detail == "" {
		return c.Word
	}
	return c.Word + ": " + c.Detail
}

// refused is the cause of a row that Kratos refused.
func refused(status int, said string) cause {
	text := fmt.Sprintf("it refuses the identity with %d", status)
	if said != "" {
		text += ": " + said
	}
	return cause{reasonKratos, text}
}

// collisionCause is the cause of a row whose user id or identifier another row gets.
func collisionCause(c collision) cause {
	word := reasonTwice
	if c.user {
		word = reasonDuplicateUser
	}
	return cause{word, fmt.Sprintf("line %d has it too", c.against)}
}
