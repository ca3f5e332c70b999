package bulk

import (
	"context"
	"strings"

	"ferry/kratos"
	"ferry/mapping"
)

// Kind is how the person of an identity can log in.
type Kind string

// The kinds. Each identity is of one.
const (
	// KindInactive is an identity that was deactivated, whatever else it is.
	KindInactive Kind = "inactive"
	// KindPending waits for the migration hook to verify its password.
	KindPending Kind = "pending"
	// KindMigrated has a password that the hook verified.
	KindMigrated Kind = "migrated"
	// KindHash has the password hash that was imported.
	KindHash Kind = "imported_hash"
	// KindOwn has a password that was set at Kratos: by recovery, in the settings, or at
	// a registration there. Where no after-login hook tells ferry of logins, it is also
	// the kind of those whose password crossed.
	KindOwn Kind = "own_password"
	// KindSocial has no password, but an account at a provider.
	KindSocial Kind = "social_only"
	// KindFinished was pending until Finish ended that. The person has to recover the
	// account.
	KindFinished Kind = "finished"
	// KindNone has neither.
	KindNone Kind = "no_login_method"
)

// Kinds are all of them, in the order in which people want to read them.
func Kinds() []Kind {
	return []Kind{KindMigrated, KindHash, KindOwn, KindSocial, KindPending, KindFinished, KindInactive, KindNone}
}

// kindOf says how the person can log in. Only the after-login hook's note tells a
// password that crossed from one that was set at Kratos: a pending import may have been
// recovered without ever crossing.
func kindOf(record kratos.Record) Kind {
	_, noted := record.MigratedAt()
	switch {
	case !record.Active:
		return KindInactive
	case record.Pending:
		return KindPending
	case record.Finished():
		return KindFinished
	case record.HasPassword && noted:
		return KindMigrated
	case record.HasPassword && record.ImportedAs() == string(CreatedHash):
		return KindHash
	case record.HasPassword:
		return KindOwn
	case len(record.Social) > 0:
		return KindSocial
	}
	return KindNone
}

// walkFault is why a walk ended: that it was interrupted, where it was.
func walkFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// IsSubject tells an Auth0 user id by its form: provider|id, without blanks.
func IsSubject(text string) bool {
	return mapping.IsUserID(text) && !strings.ContainsAny(text, " \t\r\n")
}
