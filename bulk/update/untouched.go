package update

import (
	"slices"
	"time"

	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// clockSkew is how far the clocks of Kratos and ferry may differ.
const clockSkew = 10 * time.Minute

// creation is how long Kratos may take to create an identity.
const creation = 2 * time.Second

// PasswordKept says why ferry must not replace the identity's password; empty: it is still
// the hash that ferry imported, byte for byte. Kratos writes another hash when the user sets
// a password there, and where its hasher is not of the imported kind, at a login.
func PasswordKept(record kratos.Record) string {
	note := provenance.ImportOf(record.MetadataAdmin)
	_, migrated := provenance.MigratedAt(record.MetadataAdmin)
	switch {
	case record.Pending:
		return "the identity is pending"
	case migrated:
		return "the user has logged in since, and the migration hook verified the password"
	case note.As != string(results.CreatedHash) || !record.HasPassword:
		return "no import gave the identity a hash"
	case note.PasswordSHA256 == "":
		return "an earlier release imported the hash and did not note its digest"
	case !record.HasHash(note.PasswordSHA256):
		return "the password in Kratos is not the one that was imported: the user set it there, or Kratos hashed it again at a login"
	}
	return ""
}

// IdentifiersKept says why ferry must not change the identity's identifiers; empty: they
// are those that ferry gave it.
func IdentifiersKept(record kratos.Record) string {
	noted := provenance.Identifiers(record.MetadataAdmin)
	switch {
	case noted != "" && noted == provenance.IdentifiersDigest(record.LoginIdentifiers()):
		return ""
	case noted != "":
		return "they were changed at Kratos since"
	case record.Pending && len(record.Social) == 0, record.UpdatedAt.Sub(record.CreatedAt) <= creation:
		return "" // the user cannot have changed them
	}
	return "an earlier release imported the identity and did not note them: the user may have changed them at Kratos"
}

// Deactivated returns the note that ferry deactivated the inactive identity; false: someone else
// did, and it must stay inactive. An identity whose state is as it was created was imported as that
// of a blocked user.
func Deactivated(record kratos.Record) (provenance.Deactivation, bool) {
	note, noted := provenance.DeactivationOf(record.MetadataAdmin)
	switch {
	case record.Active:
		return note, false
	case noted && note.Until.IsZero():
		return note, !record.StateChangedAt.After(note.At.Add(clockSkew))
	case noted || provenance.ImportOf(record.MetadataAdmin).As == "" || record.StateChangedAt.IsZero():
		return note, false
	}
	return provenance.Deactivation{At: record.CreatedAt, Why: provenance.WhyBlocked}, !record.StateChangedAt.After(record.CreatedAt)
}

// Merged returns the Auth0 users whose accounts an import merged into the identity, besides
// the primary one. Others in the binding were linked at Auth0.
func Merged(record kratos.Record) []string {
	if len(record.Binding.Subjects) < 2 {
		return nil
	}
	merged := provenance.ImportOf(record.MetadataAdmin).Merged
	return slices.DeleteFunc(merged, func(id string) bool { return !record.Binding.Has(id) })
}

// Stale says why the identity's password is no longer that at Auth0; empty: it is, as far as
// ferry knows.
func Stale(record kratos.Record, profile mapping.Profile) string {
	value, told := profile.Claims["last_password_reset"]
	if !told || value == nil || !record.HasPassword {
		return ""
	}
	reset, ok := mapping.Time(value)
	if !ok {
		return "last_password_reset cannot be read"
	}
	origin := provenance.ImportOf(record.MetadataAdmin)
	at, migrated := provenance.MigratedAt(record.MetadataAdmin)
	switch {
	case migrated && reset.After(at):
		return "the password was reset at Auth0 after it had migrated"
	case migrated || origin.As != string(results.CreatedHash):
		return ""
	case origin.PasswordSetAt.IsZero() || reset.After(origin.PasswordSetAt):
		return "the password was reset at Auth0 after the hash was exported"
	}
	return ""
}
