package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// The reasons for which ferry deactivates an identity.
const (
	// WhyBlocked: the user is blocked at Auth0.
	WhyBlocked = "blocked"
	// WhyDeleted: Auth0 no longer has the user.
	WhyDeleted = "deleted"
)

// Deactivation is the note that ferry deactivated an identity. Only such an identity may be
// activated again: an operator may have deactivated the others.
type Deactivation struct {
	At  time.Time `json:"at"`
	Why string    `json:"why"`
	// Until is when ferry activated the identity again; zero: not yet.
	Until time.Time `json:"until,omitzero"`
}

func (d Deactivation) value() map[string]any {
	out := map[string]any{"at": d.At.UTC().Format(time.RFC3339), "why": d.Why}
	if !d.Until.IsZero() {
		out["until"] = d.Until.UTC().Format(time.RFC3339)
	}
	return out
}

// DeactivationOf returns the note of the last deactivation; false if there is none.
func DeactivationOf(admin map[string]any) (Deactivation, bool) {
	var d Deactivation
	if !decode(read(admin)[keyDeactivated], &d) || d.At.IsZero() {
		return Deactivation{}, false
	}
	return d, true
}

// IdentifiersDigest returns a digest of the identifiers of the password and the code, in any
// order.
func IdentifiersDigest(identifiers []string) string {
	sorted := slices.Compact(slices.Sorted(slices.Values(identifiers)))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	return hex.EncodeToString(sum[:])
}

// Identifiers returns the noted IdentifiersDigest; empty: none is noted.
func Identifiers(admin map[string]any) string {
	digest, _ := read(admin)[keyIdentifiers].(string)
	return digest
}

// Rehashed returns a copy of metadata_admin that notes another imported hash: its digest,
// and when the password was set, if known.
func Rehashed(admin map[string]any, digest string, setAt, at time.Time) map[string]any {
	return withImport(admin, func(note map[string]any) {
		note[keyHashDigest], note[keyHashReplaced] = digest, at.UTC().Format(time.RFC3339)
		delete(note, keyHashSetAt)
		if !setAt.IsZero() {
			note[keyHashSetAt] = setAt.UTC().Format(time.RFC3339Nano)
		}
	})
}

// Rearmed returns a copy of metadata_admin that notes that the identity is pending again
// instead of having the imported hash. as is the outcome that the import notes for pending
// identities.
func Rearmed(admin map[string]any, as string, at time.Time) map[string]any {
	return withImport(admin, func(note map[string]any) {
		delete(note, keyHashDigest)
		delete(note, keyHashSetAt)
		note["as"], note[keyRearmed] = as, at.UTC().Format(time.RFC3339)
	})
}

// GaveLogins returns a copy of metadata_admin that notes further logins at providers: see
// [Import].
func GaveLogins(admin map[string]any, more map[string]string) map[string]any {
	if len(more) == 0 {
		return admin
	}
	return withImport(admin, func(note map[string]any) {
		all, _ := note[keyLogins].(map[string]any)
		all = maps.Clone(all)
		if all == nil {
			all = map[string]any{}
		}
		maps.Copy(all, logins(more))
		note[keyLogins] = all
	})
}

func logins(all map[string]string) map[string]any {
	out := map[string]any{}
	for login, userID := range all {
		out[login] = userID
	}
	return out
}

func withImport(admin map[string]any, change func(note map[string]any)) map[string]any {
	auth0, note := map[string]any{}, map[string]any{}
	maps.Copy(auth0, read(admin))
	if was, ok := auth0[keyImport].(map[string]any); ok {
		maps.Copy(note, was)
	}
	change(note)
	auth0[keyImport] = note
	return with(admin, auth0)
}
