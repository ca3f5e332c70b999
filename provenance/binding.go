package provenance

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

// Binding is the Auth0 users that an identity was made from.
type Binding struct {
	// Subjects are the Auth0 user ids, byte for byte, each once, the primary user first.
	// Without any, the identity is unbound.
	Subjects []string
	// Connection is the Auth0 connection that holds the password; empty: not recorded.
	Connection string
}

// Has reports whether the identity is bound to this Auth0 user.
func (b Binding) Has(subject string) bool {
	return subject != "" && slices.Contains(b.Subjects, subject)
}

// Primary returns the Auth0 user that the identity was created from, or "". The other
// users are linked to it.
func (b Binding) Primary() string {
	if len(b.Subjects) == 0 {
		return ""
	}
	return b.Subjects[0]
}

// Admin is the part of metadata_admin that decides logins, for a strict decoder: any other
// form of it is an error. Pointers tell absent from empty.
type Admin struct {
	Auth0 *struct {
		UserID     *string   `json:"user_id"`
		UserIDs    *[]string `json:"user_ids"`
		Connection string    `json:"connection"`
	} `json:"auth0"`
}

// subjectForm is an Auth0 user id: the provider, then the id at that provider.
var subjectForm = regexp.MustCompile(`^[a-z0-9-]+\|.`)

// Binding returns the recorded binding. The identity's external id counts only where
// neither user_id nor user_ids is recorded, and only in the form of an Auth0 user id.
func (a *Admin) Binding(externalID string) Binding {
	var b Binding
	recorded := false
	if a != nil && a.Auth0 != nil {
		b.Connection = a.Auth0.Connection
		if a.Auth0.UserID != nil {
			recorded = true
			b.add(*a.Auth0.UserID)
		}
		if a.Auth0.UserIDs != nil {
			recorded = true
			b.add(*a.Auth0.UserIDs...)
		}
	}
	if !recorded && subjectForm.MatchString(externalID) {
		b.add(externalID)
	}
	return b
}

func (b *Binding) add(subjects ...string) {
	for _, subject := range subjects {
		if subject != "" && !slices.Contains(b.Subjects, subject) {
			b.Subjects = append(b.Subjects, subject)
		}
	}
}

// HasBinding reports whether metadata_admin records an Auth0 user. A binding by external
// id does not count.
func HasBinding(admin map[string]any) bool {
	return read(admin)[keyUserID] != nil || read(admin)[keyUserIDs] != nil
}

// Rebind is a change of the binding, and its entry in the audit list.
type Rebind struct {
	From       []string
	To         string
	Reason, By string
	At         time.Time
	// Connection replaces FromConnection; empty: the connection stays.
	FromConnection, Connection string
}

// Rebound returns a copy of metadata_admin with the new binding and the audit entry.
func Rebound(admin map[string]any, r Rebind) map[string]any {
	entry := map[string]any{"from": list(r.From), "to": r.To, "reason": r.Reason, "by": r.By, "at": r.At.Format(time.RFC3339)}
	auth0 := map[string]any{}
	maps.Copy(auth0, read(admin))
	if r.Connection != "" {
		auth0[keyConnection], entry["from_connection"] = r.Connection, r.FromConnection
	}
	earlier, _ := auth0[keyRebinds].([]any)
	auth0[keyUserID], auth0[keyUserIDs] = r.To, list([]string{r.To})
	auth0[keyRebinds] = append(slices.Clone(earlier), entry)
	return with(admin, auth0)
}

// Rebinds returns how often the binding was changed.
func Rebinds(admin map[string]any) int {
	entries, _ := read(admin)[keyRebinds].([]any)
	return len(entries)
}
