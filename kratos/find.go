package kratos

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"ferry/outcome"
	"ferry/strictjson"
)

// Find returns the one identity whose password credential lists the identifier, in
// the form that NormalizeIdentifier gives. It sends one request. If there is no such
// identity, or more than one, or any doubt about it, the error is an *Error.
//
// Kratos' list contains all that a login needs: 1.3.1 and 26.2 read the credentials and
// metadata_admin of a listed identity from the same database, in the same request. The
// request asks for strong consistency, because a database may have replicas.
func (c *Client) Find(ctx context.Context, identifier string) (Identity, error) {
	items, _, err := list(c.one.ListIdentities(ctx).CredentialsIdentifier(identifier).IncludeCredential([]string{password}).Consistency("strong"))
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
// form that NormalizeIdentifier gives; a Kratos that normalises in another way may list
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
	identity.Lists, identity.Binding = found.lists(identifier), found.binding()
	identity.Identifier = storedForm(record.Identifiers, identifier)
	identity.Trait = traitOf(found.Traits.value, identity.Identifier)
	return identity, nil
}

// storedForm returns the identifier as a password credential lists it: the same text, else
// the only one that folds to the same, else the only one listed, because Kratos found the
// credential by it. Otherwise it returns the identifier unchanged.
func storedForm(listed []string, identifier string) string {
	if slices.Contains(listed, identifier) {
		return identifier
	}
	var same []string
	for _, one := range listed {
		if fold(one) == fold(identifier) {
			same = append(same, one)
		}
	}
	switch {
	case len(same) == 1:
		return same[0]
	case len(listed) == 1:
		return listed[0]
	}
	return identifier
}

// fold makes texts equal that a Kratos may store as one identifier: compatibility
// forms (NFKC) and case are one, invisible characters and the marks within a phone
// number are dropped. It only chooses among the identifiers of one identity. Whether
// the login is that identity's is never decided by it.
func fold(identifier string) string {
	text := strings.ToLower(norm.NFKC.String(identifier))
	phone := strings.HasPrefix(strings.TrimSpace(text), "+")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r), r == '\u0307': // what is left of a dotted capital I
			return -1
		case phone && strings.ContainsRune(" -./()", r):
			return -1
		}
		return r
	}, strings.TrimSpace(text))
}
