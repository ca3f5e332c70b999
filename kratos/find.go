package kratos

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ferry/identifier"
	"ferry/outcome"
	"ferry/strictjson"
)

// Find returns the one identity whose password credential lists the identifier, in
// the form that [identifier.Normalize] gives. It sends one request. If there is no such
// identity, or more than one, or any doubt about it, the error is an *Error.
//
// Kratos' list contains all that a login needs: 1.3.1 and 26.2 read the credentials and
// metadata_admin of a listed identity from the same database, in the same request. The
// request asks for strong consistency, because a database may have replicas.
func (c *Client) Find(ctx context.Context, identifier string) (Identity, error) {
	to := c.admin.JoinPath("admin", "identities")
	to.RawQuery = url.Values{"credentials_identifier": {identifier}, "include_credential": {password}, "consistency": {"strong"}}.Encode()
	got, err := c.one.send(ctx, http.MethodGet, to, nil)
	if err != nil {
		return Identity{}, err
	}
	items, err := got.items()
	if err != nil {
		return Identity{}, err
	}
	var listing [][]byte
	for _, item := range items {
		// Unreadable metadata_admin of another identity must not fail this login.
		var core coreJSON
		if strictjson.Unmarshal(item, &core, append(opaque(), "metadata_admin")...) != nil {
			return Identity{}, invalidResponse("answer_malformed")
		}
		if core.lists(identifier) {
			listing = append(listing, item)
		}
	}
	switch len(listing) {
	case 1:
		return readIdentity(listing[0], "", identifier)
	case 0:
		return Identity{}, &Error{Outcome: outcome.Unavailable, Status: http.StatusOK, Reason: "no_identity"}
	default:
		return Identity{}, invalidResponse("several_identities")
	}
}

// Get returns the identity with this id. identifier is what Kratos found it by, in the
// form that [identifier.Normalize] gives; a Kratos that normalises in another way may list
// another form of it, see Identity.Identifier and Identity.Lists.
func (c *Client) Get(ctx context.Context, id, identifier string) (Identity, error) {
	text, err := c.readText(ctx, id)
	if err != nil {
		return Identity{}, err
	}
	return readIdentity(text, id, identifier)
}

// readIdentity reads one identity by the rules of a login. An empty id matches any.
func readIdentity(text []byte, id, identifier string) (Identity, error) {
	var found identityJSON
	if strictjson.Unmarshal(text, &found, opaque()...) != nil {
		return Identity{}, invalidResponse("answer_malformed")
	}
	record, err := found.record(recordJSON{})
	switch credential := found.Credentials.Password; {
	case err != nil:
		return Identity{}, err
	case id != "" && !strings.EqualFold(found.ID, id):
		return Identity{}, invalidResponse("identity_changed")
	case credential != nil && credential.Config.null:
		return Identity{}, invalidResponse("no_credential_config")
	}
	identity := record.Identity
	identity.Lists, identity.Binding = found.lists(identifier), found.MetadataAdmin.Binding(found.ExternalID)
	identity.Identifier = storedForm(record.Identifiers, identifier)
	identity.Trait = traitOf(found.Traits.value, identity.Identifier)
	identity.Listed, identity.AllTraits = record.Identifiers, found.Traits.value
	return identity, nil
}

// storedForm returns the form in which a password credential lists an identifier: the
// same text, or the only similar one, or the only one there is, because Kratos found the
// credential by it. Otherwise it returns what was asked for.
func storedForm(listed []string, asked string) string {
	if slices.Contains(listed, asked) {
		return asked
	}
	similar := slices.DeleteFunc(slices.Clone(listed), func(one string) bool { return !identifier.Similar(one, asked) })
	switch {
	case len(similar) == 1:
		return similar[0]
	case len(listed) == 1:
		return listed[0]
	}
	return asked
}
