package mapping

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// FieldName returns the Management API's name of a user's field from the title that other
// exports use: "Email Verified" is email_verified, and "Id" of the User Import/Export
// Extension is user_id. It returns other titles unchanged, and false.
func FieldName(title string) (name string, known bool) {
	name = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(title)))
	switch {
	case name == "id":
		return keyUserID, true
	case slices.Contains(userFields(), name):
		return name, true
	}
	return title, false
}

// Fields returns the names of the fields of a user that Auth0 exports.
func Fields() []string { return userFields() }

// userFields returns the fields that Auth0 exports, and the two names that exports use for
// the connection of the first identity.
func userFields() []string {
	return []string{
		keyUserID, claimEmail, claimEmailTrue, userUsername, claimPhone, userPhoneTrue, claimName, "given_name", "family_name",
		claimNickname, claimPicture, claimLocale, keyConnection, keyProvider, keyIdentities, keyBlocked, keyUserMetadata, keyAppMetadata,
		"created_at", claimUpdated, "last_login", "last_ip", "logins_count", "last_password_reset", "multifactor", "multifactor_last_modified",
	}
}

// FieldNames replaces titles by the names of fields. No two fields get the same name, and
// a title such as "User ID" takes precedence over "Id".
func FieldNames(titles []string) []string {
	names := slices.Clone(titles)
	for _, isID := range []bool{false, true} {
		for i, title := range names {
			name, _ := FieldName(title)
			if strings.EqualFold(strings.TrimSpace(title), "id") == isID && !slices.Contains(names, name) {
				names[i] = name
			}
		}
	}
	return names
}

// renameFields replaces the titles in a user object by the names of fields.
func renameFields(fields map[string]any) {
	titles := slices.Sorted(maps.Keys(fields))
	for i, name := range FieldNames(titles) {
		if title := titles[i]; name != title {
			fields[name] = fields[title]
			delete(fields, title)
		}
	}
}

// whereID says where a user object without a user_id may have it: in a field with another name,
// or nowhere. It shows only keys that are names, and so no user's data.
func whereID(fields map[string]any) string {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if value, _ := fields[key].(string); IsUserID(value) && isConnection(key) {
			return "rename " + key + ", or name it: --column user_id=" + key
		}
	}
	return "Auth0 chose an id that the row does not have, so use an export of the users"
}

// IsUserID reports whether a text is an Auth0 user id: provider|id.
func IsUserID(text string) bool {
	provider, id, found := strings.Cut(text, "|")
	return found && isProvider(provider) && id != "" && strings.TrimSpace(id) == id && !strings.ContainsFunc(id, unicode.IsControl)
}

// isProvider reports whether a name has the form of a provider's, such as auth0 or
// google-oauth2.
func isProvider(name string) bool {
	for i := range len(name) {
		c := name[i]
		if letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'; !letter && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return name != ""
}

// isConnection reports whether a name has the form of a connection's: letters, digits and
// dashes.
func isConnection(name string) bool {
	other := func(r rune) bool {
		return r > unicode.MaxASCII || r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	return name != "" && !strings.ContainsFunc(name, other)
}

// primaryConnection returns the connection of the user's first identity, for exports
// without a list of identities. Auth0's documentation and Ory's export script rename
// identities[0].connection to provider, so a provider that is not that of the user id is a
// connection.
func (p *Profile) primaryConnection(fields map[string]any) string {
	for _, key := range []string{exportConnection, keyConnection, titleConnection} {
		if name, _ := fields[key].(string); name != "" {
			return name
		}
	}
	name, _ := fields[keyProvider].(string)
	if name == providerOf(p.UserID) || isDatabase(name) || !isConnection(name) {
		return ""
	}
	return name
}

// readBooleans converts the fields that must be booleans: other tools export them as texts.
func readBooleans(fields map[string]any) error {
	for _, key := range [...]string{claimEmailTrue, userPhoneTrue, keyBlocked} {
		switch value := fields[key].(type) {
		case nil, bool:
		case string:
			switch {
			case value == "":
				delete(fields, key)
			case strings.EqualFold(value, "true"), strings.EqualFold(value, "false"):
				fields[key] = strings.EqualFold(value, "true")
			default:
				return errors.New(key + " is neither true nor false")
			}
		default:
			return errors.New(key + " is neither true nor false")
		}
	}
	return nil
}
