package kratos

import "time"

// MigratedAt is when the migration hook verified the identity's password, as ferry's
// after-login hook noted it in metadata_admin.auth0. It reports false where nothing is
// noted: the password never crossed, or no after-login hook told ferry of the login.
func (r Record) MigratedAt() (time.Time, bool) {
	text, _ := r.auth0()["migrated_at"].(string)
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

// ImportedAs is what the import made of the identity, as it noted it: created_hash,
// created_pending or created_social. Empty: nothing is noted.
func (r Record) ImportedAs() string {
	note, _ := r.auth0()["import"].(map[string]any)
	as, _ := note["as"].(string)
	return as
}

// auth0 is metadata_admin.auth0; nil where it is not an object.
func (r Record) auth0() map[string]any {
	auth0, _ := r.MetadataAdmin["auth0"].(map[string]any)
	return auth0
}
