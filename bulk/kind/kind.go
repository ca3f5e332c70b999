// Package kind says how the user of an identity can log in to Kratos. It looks at the
// identity only: it does not know what Auth0 says of the user.
package kind

import (
	"encoding/json"
	"time"

	"ferry/bulk/results"
	"ferry/kratos"
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
	// Own has a password that was set at Kratos: by recovery, in the settings, or by
	// registration. Without the after-login hook, which tells ferry of logins, migrated
	// identities are of this kind too.
	Own Kind = "own_password"
	// Social has no password, but an account at a provider.
	Social Kind = "social_only"
	// Finished was pending until finish ended that. The user has to recover the account.
	Finished Kind = "finished"
	// None has no way to log in.
	None Kind = "no_login_method"
)

// All returns the kinds in the order to print them.
func All() []Kind {
	return []Kind{Migrated, Hash, Own, Social, Pending, Finished, Inactive, None}
}

// Of returns the kind of an identity. Only the note of the after-login hook tells a
// migrated password from one that was set at Kratos: the user of a pending identity may
// have recovered the account instead.
func Of(record kratos.Record) Kind {
	_, noted := record.MigratedAt()
	switch {
	case !record.Active:
		return Inactive
	case record.Pending:
		return Pending
	case record.Finished():
		return Finished
	case record.HasPassword && noted:
		return Migrated
	case record.HasPassword && record.ImportedAs() == string(results.CreatedHash):
		return Hash
	case record.HasPassword:
		return Own
	case len(record.Social) > 0:
		return Social
	}
	return None
}

// Primary returns the Auth0 user that an identity was created from, or "". The other
// users of the binding are linked to it.
func Primary(record kratos.Record) string {
	if len(record.Binding.Subjects) == 0 {
		return ""
	}
	return record.Binding.Subjects[0]
}

// Origin is what an import noted on an identity, below metadata_admin.auth0.import.
type Origin struct {
	Run           string          `json:"run"`
	At            time.Time       `json:"at"`
	As            results.Outcome `json:"as"`
	PasswordSetAt time.Time       `json:"password_set_at"`
}

// OriginOf reads the note of the import; it is zero if there is none.
func OriginOf(record kratos.Record) Origin {
	auth0, _ := record.MetadataAdmin["auth0"].(map[string]any)
	var o Origin
	text, err := json.Marshal(auth0["import"])
	if err != nil || json.Unmarshal(text, &o) != nil {
		return Origin{}
	}
	return o
}
