package mapping

import (
	"encoding/json"
	"maps"

	"ferry/provenance"
)

// Record returns the metadata_admin of a new identity: the mapper's own, the binding, the
// connection that holds the password, both kinds of metadata and the notes.
func Record(p Profile, mapped Identity, notes provenance.Content) map[string]any {
	return provenance.New(mapped.MetadataAdmin, provenance.Binding{Subjects: p.UserIDs, Connection: p.Connection}, p.content(notes))
}

func (p Profile) content(notes provenance.Content) provenance.Content {
	notes.AppMetadata, notes.UserMetadata = p.AppMetadata, p.UserMetadata
	return notes
}

// OverMetadata lays the metadata of the profile over the identity's, for a source such as
// CSV, which has single values as text. Other values of the identity stay, and so does a
// value with the same text.
func (p Profile) OverMetadata(admin map[string]any) Profile {
	app, user := provenance.Metadata(admin)
	if app != nil && p.AppMetadata != nil {
		p.AppMetadata = overLeaves(app, p.AppMetadata)
	}
	if user != nil && p.UserMetadata != nil {
		p.UserMetadata = overLeaves(user, p.UserMetadata)
	}
	return p
}

// overLeaves is overlay, but keeps values with the same text.
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
