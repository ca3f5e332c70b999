package mapping

import "ferry/strictjson"

// HasWriteBack reports whether a user object has ferry's own note, which says that Kratos has or
// had an identity of the user. The note is not part of a Profile.
func HasWriteBack(user []byte) bool {
	read, err := strictjson.Value(user, keyAppMetadata, keyUserMetadata, keyIdentities)
	if err != nil {
		return false
	}
	fields, _ := read.(map[string]any)
	metadata, _ := fields[keyAppMetadata].(map[string]any)
	return metadata[keyWriteBack] != nil
}
