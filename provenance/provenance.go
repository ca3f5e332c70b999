// Package provenance owns the layout of metadata_admin.auth0, where an identity
// records the Auth0 users it was made from and what ferry did to it:
//
//	user_id, user_ids, connection                 the binding
//	app_metadata, user_metadata                   Auth0's metadata, each replaced whole
//	import, ferry, migrated_at, finished, rebinds ferry's notes
//	deactivated                                   the last deactivation by ferry
//	identifiers_sha256                            of the identifiers that ferry gave the password and code
//
// The note of the import has run, at and as; of a hash password_set_at and
// password_sha256, and replaced_at once a newer one replaced it; rearmed_at, when the
// identity became pending again; merged, the users whose accounts were merged into it;
// logins, those at providers that ferry gave it; and security_keys, if it gave it some.
//
// Its functions are pure: they change none of their arguments. Only Rebound changes a
// binding.
package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"time"
)

// Key is ferry's own key in metadata_admin.
const Key = "auth0"

const (
	keyUserID       = "user_id"
	keyUserIDs      = "user_ids"
	keyConnection   = "connection"
	keyAppMetadata  = "app_metadata"
	keyUserMetadata = "user_metadata"
	keyImport       = "import"
	keyFerry        = "ferry"
	keyMigratedAt   = "migrated_at"
	keyFinished     = "finished"
	keyRebinds      = "rebinds"
	keyDeactivated  = "deactivated"
	keyIdentifiers  = "identifiers_sha256"
)

// The keys of the note of an import that are not in every note.
const (
	keyMerged       = "merged"
	keyLogins       = "logins"
	keySecurityKeys = "security_keys"
	keyHashDigest   = "password_sha256"
	keyHashSetAt    = "password_set_at"
	keyHashReplaced = "replaced_at"
	keyRearmed      = "rearmed_at"
)

// Opaque returns the names of the parts that hold data of users and operators.
func Opaque() []string { return []string{keyAppMetadata, keyUserMetadata} }

// Pointers returns JSON pointers to the values that a patch of the identity replaces as a
// whole.
func Pointers() []string {
	var out []string
	for _, key := range []string{keyAppMetadata, keyUserMetadata, keyImport, keyFerry, keyMigratedAt, keyDeactivated, keyIdentifiers} {
		out = append(out, "/metadata_admin/"+Key+"/"+key)
	}
	return out
}

// Content is what is written beside the binding. Zero values are not written.
type Content struct {
	AppMetadata, UserMetadata map[string]any
	// Ferry is the version of the ferry that synced the profile after a login.
	Ferry string
	// MigratedAt is when the migration hook verified the password.
	MigratedAt time.Time
	Import     *Import
	// Deactivated notes that ferry deactivates or activates the identity; nil: it does
	// not.
	Deactivated *Deactivation
	// IdentifiersSHA256 is the IdentifiersDigest of what the user logs in with. The
	// identity's own differ once they were changed at Kratos.
	IdentifiersSHA256 string
}

func (c Content) values() map[string]any {
	out := map[string]any{}
	if c.AppMetadata != nil {
		out[keyAppMetadata] = c.AppMetadata
	}
	if c.UserMetadata != nil {
		out[keyUserMetadata] = c.UserMetadata
	}
	if c.Ferry != "" {
		out[keyFerry] = c.Ferry
	}
	if !c.MigratedAt.IsZero() {
		out[keyMigratedAt] = c.MigratedAt.UTC().Format(time.RFC3339)
	}
	if c.Import != nil {
		out[keyImport] = c.Import.value()
	}
	if c.Deactivated != nil {
		out[keyDeactivated] = c.Deactivated.value()
	}
	if c.IdentifiersSHA256 != "" {
		out[keyIdentifiers] = c.IdentifiersSHA256
	}
	return out
}

func isEmpty(value any) bool {
	object, ok := value.(map[string]any)
	return ok && len(object) == 0
}

// New returns a copy of metadata_admin with the record of a new identity.
func New(admin map[string]any, b Binding, c Content) map[string]any {
	auth0 := c.values()
	maps.DeleteFunc(auth0, func(_ string, value any) bool { return isEmpty(value) })
	auth0[keyUserID], auth0[keyUserIDs] = b.Primary(), list(b.Subjects)
	if b.Connection != "" {
		auth0[keyConnection] = b.Connection
	}
	return with(admin, auth0)
}

// Update returns a copy of metadata_admin with the content. It keeps the binding.
func Update(admin map[string]any, c Content) (map[string]any, error) {
	if was := admin[Key]; was != nil && read(admin) == nil {
		return nil, errors.New("metadata_admin.auth0 is not an object")
	}
	auth0 := map[string]any{}
	maps.Copy(auth0, read(admin))
	for key, value := range c.values() {
		if _, exists := auth0[key]; exists || !isEmpty(value) {
			auth0[key] = value
		}
	}
	if len(auth0) == 0 {
		return admin, nil
	}
	return with(admin, auth0), nil
}

// Metadata returns Auth0's metadata as recorded; nil where none is.
func Metadata(admin map[string]any) (app, user map[string]any) {
	app, _ = read(admin)[keyAppMetadata].(map[string]any)
	user, _ = read(admin)[keyUserMetadata].(map[string]any)
	return app, user
}

// MigratedAt returns when the migration hook verified the identity's password, as the
// after-login hook noted it. It reports false without a note: the password was not
// verified, or no after-login hook told ferry of the login.
func MigratedAt(admin map[string]any) (time.Time, bool) {
	text, _ := read(admin)[keyMigratedAt].(string)
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

// Import is the note of an import.
type Import struct {
	Run string    `json:"run"`
	At  time.Time `json:"at"`
	// As is the outcome: created_hash, created_pending, created_social, created_code or
	// created_bridge.
	As string `json:"as"`
	// PasswordSetAt is when the imported hash was set, if the export tells.
	PasswordSetAt time.Time `json:"password_set_at"`
	// PasswordSHA256 is the Digest of the imported hash. The identity's own differs once
	// the user has chosen a password. Empty: no hash, or earlier releases imported it.
	PasswordSHA256 string `json:"password_sha256"`
	// Merged are the Auth0 users whose accounts the import merged into the identity, besides
	// the primary one.
	Merged []string `json:"merged"`
	// Logins are the logins at providers that ferry gave the identity, provider:subject, each
	// with the Auth0 user id of its account.
	Logins map[string]string `json:"logins"`
	// Keys says that the import gave the identity security keys as a second factor.
	Keys bool `json:"security_keys"`
}

// Digest returns the SHA-256 of a password's hash in hexadecimal digits, for the notes.
func Digest(hash string) string {
	sum := sha256.Sum256([]byte(hash))
	return hex.EncodeToString(sum[:])
}

func (i Import) value() map[string]any {
	out := map[string]any{"run": i.Run, "at": i.At.UTC().Format(time.RFC3339), "as": i.As}
	if !i.PasswordSetAt.IsZero() {
		out[keyHashSetAt] = i.PasswordSetAt.UTC().Format(time.RFC3339Nano)
	}
	if i.PasswordSHA256 != "" {
		out[keyHashDigest] = i.PasswordSHA256
	}
	if len(i.Merged) > 0 {
		out[keyMerged] = list(i.Merged)
	}
	if len(i.Logins) > 0 {
		out[keyLogins] = logins(i.Logins)
	}
	if i.Keys {
		out[keySecurityKeys] = true
	}
	return out
}

// ImportOf returns the note of the import; it is zero if there is none.
func ImportOf(admin map[string]any) Import {
	var i Import
	if !decode(read(admin)[keyImport], &i) {
		return Import{}
	}
	return i
}

// Finish is the note that `ferry finish` ended the pending state of an identity.
type Finish struct {
	At time.Time `json:"at"`
	// PasswordSHA256 is the Digest of the hash that finish set. The identity's own differs
	// once the user has chosen a password.
	PasswordSHA256 string `json:"password_sha256"`
}

// FinishOf returns the note of finish; false if there is none.
func FinishOf(admin map[string]any) (Finish, bool) {
	var f Finish
	if !decode(read(admin)[keyFinished], &f) || f.PasswordSHA256 == "" {
		return Finish{}, false
	}
	return f, true
}

// Finished returns a copy of metadata_admin with the note, or without it if f is nil.
func Finished(admin map[string]any, f *Finish) map[string]any {
	auth0 := maps.Clone(read(admin))
	delete(auth0, keyFinished)
	if f != nil {
		auth0[keyFinished] = *f
	}
	return with(admin, auth0)
}

func read(admin map[string]any) map[string]any {
	auth0, _ := admin[Key].(map[string]any)
	return auth0
}

func with(admin, auth0 map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, admin)
	out[Key] = auth0
	return out
}

func decode(value, into any) bool {
	text, err := json.Marshal(value)
	return err == nil && json.Unmarshal(text, into) == nil
}

func list(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}
