package importer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	hydra "github.com/ory/hydra-client-go/v2"

	"ferry/clients"
)

const (
	// fieldMetadata is the client's metadata, of which ferry writes two keys: clients.MetadataAuth0
	// and markKey.
	fieldMetadata = "metadata"
	fieldScope    = "scope"
	fieldID       = "client_id"
	// markKey marks the clients that ferry made. It has the digest of each field as ferry wrote
	// it, so that a later run knows what someone changed at Hydra.
	markKey    = "ferry"
	markFields = "fields"
)

// fields are the fields of a client, as JSON has them.
type fields map[string]any

// wanted returns the fields of a client that ferry writes.
func wanted(plan clients.Plan) (fields, error) {
	return fieldsOf(plan.Client)
}

func fieldsOf(client any) (fields, error) {
	text, err := json.Marshal(client)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	var f fields
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return f, nil
}

// text returns a field that is a text.
func (f fields) text(name string) string {
	text, _ := f[name].(string)
	return text
}

// metadata returns a key of the metadata.
func (f fields) metadata(key string) any {
	object, _ := f[fieldMetadata].(map[string]any)
	return object[key]
}

// managed returns the value of a field that ferry writes, in the form in which two clients are
// compared: without what is empty, and lists sorted. nil: it is not set.
func (f fields) managed(name string) any {
	switch name {
	case fieldMetadata:
		return plain(f.metadata(clients.MetadataAuth0))
	case fieldScope:
		scopes := []any{}
		for _, scope := range strings.Fields(f.text(name)) {
			scopes = append(scopes, scope)
		}
		return plain(scopes)
	}
	return plain(f[name])
}

// plain returns a value without what is empty, and with its lists sorted.
func plain(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	case []any:
		var all []any
		for _, element := range v {
			if element = plain(element); element != nil {
				all = append(all, element)
			}
		}
		slices.SortFunc(all, func(a, b any) int { return strings.Compare(digest(a), digest(b)) })
		if len(all) > 0 {
			return all
		}
		return nil
	case map[string]any:
		object := map[string]any{}
		for name, part := range v {
			if part = plain(part); part != nil {
				object[name] = part
			}
		}
		if len(object) > 0 {
			return object
		}
		return nil
	}
	return value
}

// digest identifies a plain value; that of nil is empty.
func digest(value any) string {
	if value == nil {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "" // a value that came from JSON has a text
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// differ returns the names of the fields that ferry writes in which another client is different.
func (f fields) differ(other fields) []string {
	var names []string
	for _, name := range clients.Managed() {
		if digest(f.managed(name)) != digest(other.managed(name)) {
			names = append(names, name)
		}
	}
	return names
}

// marks returns the digests of the fields as ferry wrote them last; nil: ferry did not make the
// client.
func (f fields) marks() map[string]any {
	mark, _ := f.metadata(markKey).(map[string]any)
	digests, _ := mark[markFields].(map[string]any)
	return digests
}

// merged is the result of a comparison of three: what Auth0 has, what ferry wrote last, and what
// Hydra has.
type merged struct {
	ours bool
	// result are the fields that the client should have.
	result fields
	// marks are the digests to record with them.
	marks map[string]any
	// changed are those of them that it does not have yet.
	changed []string
	// kept are the fields that someone set at Hydra, and that stay.
	kept []string
	// conflicts are the fields that have changed at both.
	conflicts []string
}

// merge compares field by field.
func merge(want, got fields, overwrite bool) merged {
	base := got.marks()
	m := merged{ours: base != nil, result: maps.Clone(want)}
	for _, name := range clients.Managed() {
		at, from := digest(got.managed(name)), digest(want.managed(name))
		last, _ := base[name].(string)
		switch {
		case at == from:
		case overwrite || base != nil && at == last:
			m.changed = append(m.changed, name)
		case from == last && base != nil:
			m.kept = append(m.kept, name)
			m.take(name, got)
		default:
			m.conflicts = append(m.conflicts, name)
		}
	}
	m.marks = marksOf(want)
	m.kept = append(m.kept, got.unmanaged()...)
	return m
}

// take keeps a field as it is at Hydra.
func (m merged) take(name string, got fields) {
	if value, ok := got[name]; ok {
		m.result[name] = value
	} else {
		delete(m.result, name)
	}
}

// marksOf returns the digests of fields.
func marksOf(f fields) map[string]any {
	digests := map[string]any{}
	for _, name := range clients.Managed() {
		if d := digest(f.managed(name)); d != "" {
			digests[name] = d
		}
	}
	return digests
}

// readOnly are the fields that Hydra writes itself, and the secret.
func readOnly() []string {
	return []string{fieldID, "client_secret", "client_secret_expires_at", "created_at", "updated_at", "registration_access_token", "registration_client_uri"}
}

// unmanaged are the fields that ferry does not write and that are not as Hydra sets them by
// default.
func (f fields) unmanaged() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		value := plain(f[name])
		if value == nil || slices.Contains(readOnly(), name) || slices.Contains(clients.Managed(), name) ||
			name == "subject_type" && value == "public" || name == "userinfo_signed_response_alg" && value == "none" {
			continue
		}
		names = append(names, name)
	}
	metadata, _ := f[fieldMetadata].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if key != clients.MetadataAuth0 && key != markKey {
			names = append(names, fieldMetadata+"."+key)
		}
	}
	return names
}

// with returns the client to send: these fields, the other fields of the client that is there,
// the digests as the mark, and the secret. With an empty secret, Hydra keeps the one that it
// has.
func (f fields) with(got fields, marks map[string]any, secret string) (hydra.OAuth2Client, error) {
	all, metadata := got.writable(), map[string]any{}
	if object, ok := got[fieldMetadata].(map[string]any); ok {
		maps.Copy(metadata, object)
	}
	for _, name := range clients.Managed() {
		delete(all, name)
		if value, ok := f[name]; ok {
			all[name] = value
		}
	}
	metadata[clients.MetadataAuth0] = f.metadata(clients.MetadataAuth0)
	metadata[markKey] = map[string]any{markFields: marks}
	all[fieldID], all[fieldMetadata] = f[fieldID], metadata
	if secret != "" {
		all["client_secret"] = secret
	}
	return all.client()
}

// writable are the fields without those that Hydra writes itself.
func (f fields) writable() fields {
	all := fields{}
	maps.Copy(all, f)
	for _, name := range readOnly() {
		delete(all, name)
	}
	return all
}

// client returns the fields in the type of the generated client. Those that the type does not
// know are its additional properties.
func (f fields) client() (client hydra.OAuth2Client, err error) {
	text, err := json.Marshal(f)
	if err == nil {
		err = json.Unmarshal(text, &client)
	}
	if err != nil {
		return client, fmt.Errorf("client: %w", err)
	}
	return client, nil
}
