package mapping

import (
	"encoding/json"
	"strings"

	"ferry/secret"
	"ferry/wire"
)

// OwnHash is the password hash in a row of Auth0's users_import format. At most one of the
// fields should be set: Auth0 refuses rows with both.
type OwnHash struct {
	// Text is password_hash.
	Text secret.String
	// Custom is custom_password_hash, as JSON.
	Custom secret.String
}

// Empty reports whether the row has no hash.
func (h OwnHash) Empty() bool { return h.Text.Empty() && h.Custom.Empty() }

// subject returns the user id of a row: Auth0 puts the provider in front of the user_id of a
// row that it imports.
func (h OwnHash) subject(userID string) string {
	if h.Empty() || strings.Contains(userID, "|") {
		return userID
	}
	return wire.DatabaseProvider + "|" + userID
}

func ownHash(fields map[string]any) OwnHash {
	return OwnHash{Text: hashText(fields[keyPasswordHash]), Custom: hashText(fields[keyCustomHash])}
}

// hashText returns a text as it is, which may hold JSON in CSV files, and any other value as
// JSON.
func hashText(value any) secret.String {
	if value == nil {
		return secret.String{}
	}
	if text, ok := value.(string); ok {
		return secret.New(text)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return secret.New("not JSON") // a hash that no one can use
	}
	return secret.New(string(text))
}
