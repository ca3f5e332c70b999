// Package kind says how the user of an identity can log in to Kratos. It looks at the
// identity only: it does not know what Auth0 says of the user.
package kind

import (
	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/provenance"
)

// Kind is how the user of an identity can log in.
type Kind string

// The kinds. Each identity has one.
const (
	// Inactive is a deactivated identity, whatever else it is.
	Inactive Kind = "inactive"
	// Pending waits for the migration hook to verify its password.
	Pending Kind = "pending"
	// Migrated has a password that the hook verified.
	Migrated Kind = "migrated"
	// Hash has the password hash that was imported.
	Hash Kind = "imported_hash"
	// Unnoted was imported as pending and has a password. Either the hook verified it, or
	// the user set it at Kratos: only the note of the after-login hook tells which, and there
	// is none.
	Unnoted Kind = "migrated_unnoted"
	// Own has a password that was set at Kratos: by recovery, in the settings, or by registration.
	// It also has one that Kratos hashed again at a login with the imported hash.
	Own Kind = "own_password"
	// Social has no password, but an account at a provider.
	Social Kind = "social_only"
	// Bridge has no login but that at Auth0, as an OIDC provider of Kratos.
	Bridge Kind = "bridge_only"
	// Code has neither, but can log in by a code that Kratos sends.
	Code Kind = "code_only"
	// Finished was pending until finish ended that. The user has to recover the account.
	Finished Kind = "finished"
	// None has no way to log in.
	None Kind = "no_login_method"
)

// All returns the kinds in the order to print them.
func All() []Kind {
	return []Kind{Migrated, Unnoted, Hash, Own, Social, Code, Bridge, Pending, Finished, Inactive, None}
}

// Of returns the kind of an identity.
func Of(record kratos.Record) Kind {
	_, noted := provenance.MigratedAt(record.MetadataAdmin)
	origin := provenance.ImportOf(record.MetadataAdmin)
	_, finished := provenance.FinishOf(record.MetadataAdmin)
	switch {
	case !record.Active:
		return Inactive
	case record.Pending:
		return Pending
	case record.Finished():
		return Finished
	case record.HasPassword && noted:
		return Migrated
	case record.HasPassword && origin.As == string(results.CreatedPending) && !finished:
		return Unnoted
	case record.HasPassword && origin.As == string(results.CreatedHash) && (origin.PasswordSHA256 == "" || record.HasHash(origin.PasswordSHA256)):
		return Hash
	case record.HasPassword:
		return Own
	case record.BridgeOnly() && len(record.Codes) == 0:
		return Bridge
	case record.BridgeOnly():
		return Code
	case len(record.Social) > 0, len(record.SAML) > 0:
		return Social
	case len(record.Codes) > 0:
		return Code
	}
	return None
}
