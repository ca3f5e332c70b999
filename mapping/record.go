package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// keyAuth0 is ferry's own key in metadata_admin.
const keyAuth0 = "auth0"

// ErrMark is a mark that would change what an import recorded.
var ErrMark = errors.New("a mark may not be user_id, user_ids, connection, app_metadata or user_metadata")

// adminMetadata is the next metadata_admin, and the pointers of the values in it that
// are replaced as a whole.
func adminMetadata(current map[string]any, p Profile, mapped, marks map[string]any) (next map[string]any, replaceWhole []string, err error) {
	was, isObject := current[keyAuth0].(map[string]any)
	if !isObject && current[keyAuth0] != nil {
		return nil, nil, errors.New("metadata_admin.auth0 is no object")
	}
	auth0 := maps.Clone(was)
	if auth0 == nil {
		auth0 = map[string]any{}
	}
	own, err := ownKeys(p, marks)
	if err != nil {
		return nil, nil, err
	}
	for name, value := range own {
		if _, exists := auth0[name]; exists || !empty(value) {
			auth0[name] = value
			replaceWhole = append(replaceWhole, pointer("metadata_admin", keyAuth0, name))
		}
	}
	mapped = maps.Clone(mapped)
	delete(mapped, keyAuth0)
	next = overlay(current, mapped)
	if len(auth0) > 0 {
		next = with(next, []string{keyAuth0}, auth0)
	}
	return next, replaceWhole, nil
}

// OverMetadata is a profile of a source that tells both kinds of metadata leaf by leaf, and
// each as a text, as CSV does: what the identity's metadata_admin has of them besides stays
// as it is, and so does a value that is the same text.
func (p Profile) OverMetadata(admin map[string]any) Profile {
	auth0, _ := admin[keyAuth0].(map[string]any)
	if was, isObject := auth0[keyAppMetadata].(map[string]any); isObject && p.AppMetadata != nil {
		p.AppMetadata = overLeaves(was, p.AppMetadata)
	}
	if was, isObject := auth0[keyUserMetadata].(map[string]any); isObject && p.UserMetadata != nil {
		p.UserMetadata = overLeaves(was, p.UserMetadata)
	}
	return p
}

// overLeaves is overlay, but for values that are the same text.
func overLeaves(under, over map[string]any) map[string]any {
	out := maps.Clone(under)
	for name, value := range over {
		below, isObject := out[name].(map[string]any)
		above, staysObject := value.(map[string]any)
		switch {
		case isObject && staysObject:
			out[name] = overLeaves(below, above)
		case !sameText(out[name], value):
			out[name] = value
		}
	}
	return out
}

func sameText(value, text any) bool {
	raw, err := json.Marshal(value)
	return err == nil && text == string(raw)
}

// ownKeys are the keys of metadata_admin.auth0 that a merge writes. The map is the
// caller's to change.
func ownKeys(p Profile, marks map[string]any) (map[string]any, error) {
	own := map[string]any{}
	if len(marks) > 0 {
		plain, err := plainJSON(marks)
		if err != nil {
			return nil, errors.New("the marks are no JSON")
		}
		own, _ = plain.(map[string]any)
	}
	for _, name := range [...]string{keyUserID, keyUserIDs, keyConnection, keyAppMetadata, keyUserMetadata} {
		if _, ok := own[name]; ok {
			return nil, ErrMark
		}
	}
	if p.AppMetadata != nil {
		own[keyAppMetadata] = p.AppMetadata
	}
	if p.UserMetadata != nil {
		own[keyUserMetadata] = p.UserMetadata
	}
	return own, nil
}

// Record is the metadata_admin of an identity that an import makes of the profile:
// the mapper's own, and below auth0 the binding, the connection that holds the
// password, both kinds of metadata and the marks.
func Record(p Profile, mapped Identity, marks map[string]any) (map[string]any, error) {
	auth0, err := ownKeys(p, marks)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	maps.DeleteFunc(auth0, func(_ string, value any) bool { return empty(value) })
	ids := make([]any, len(p.UserIDs))
	for i, id := range p.UserIDs {
		ids[i] = id
	}
	auth0[keyUserID], auth0[keyUserIDs] = p.UserID, ids
	if p.Connection != "" {
		auth0[keyConnection] = p.Connection
	}
	admin := make(map[string]any, len(mapped.MetadataAdmin)+1)
	maps.Copy(admin, mapped.MetadataAdmin)
	admin[keyAuth0] = auth0
	return admin, nil
}
