package kratos

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	client "github.com/ory/kratos-client-go"

	"ferry/strictjson"
)

const (
	// maxOwners is more than possible: one owner for each kind of credential.
	maxOwners = 20
	// existAtOnce keeps the URL of a request below 5 KB.
	existAtOnce = 100
)

// Owners returns every identity that Kratos finds by an identifier, whatever the kind
// of credential: password, code, passkey, or a social login in the form
// provider:subject. Each is freshly read. Having no owner is not an error, nor is an
// identity that ferry did not make (see Record.Foreign) or that has no password.
func (c *Client) Owners(ctx context.Context, identifier string) ([]Record, error) {
	if identifier == "" {
		return nil, nil // Kratos would list all identities
	}
	ctx, cancel := c.one.bound(ctx)
	defer cancel()
	ids, err := listIDs(c.one.ListIdentities(ctx).CredentialsIdentifier(identifier))
	if err != nil {
		return nil, err
	}
	if len(ids) > maxOwners {
		return nil, invalidResponse("too_many_owners")
	}
	var owners []Record
	for _, id := range ids {
		text, err := c.readText(ctx, id)
		var fault *Error
		switch {
		case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
			continue // deleted meanwhile
		case err != nil:
			return nil, err
		}
		owner, err := anyRecord(text)
		if err != nil {
			return nil, err
		}
		if owner.ID != id {
			return nil, invalidResponse("identity_changed")
		}
		owners = append(owners, owner)
	}
	return owners, nil
}

// Knows reports whether Kratos finds an identity by an identifier, whatever the kind of
// credential. It sends one request, and asks for strong consistency.
func (c *Client) Knows(ctx context.Context, identifier string) (bool, error) {
	if identifier == "" {
		return false, nil // Kratos would list all identities
	}
	ids, err := listIDs(c.one.ListIdentities(ctx).CredentialsIdentifier(identifier).Consistency("strong").PageSize(1))
	return len(ids) > 0, err
}

// Exist returns the ids that exist, mapped to true. Kratos 1.3.1 may report identities as
// created although it rolled them back because another of their batch conflicted.
func (c *Client) Exist(ctx context.Context, ids []string) (map[string]bool, error) {
	ctx, cancel := c.many.bound(ctx)
	defer cancel()
	there := make(map[string]bool, len(ids))
	for some := range slices.Chunk(ids, existAtOnce) {
		found, err := listIDs(c.many.ListIdentities(ctx).Ids(some).PageSize(existAtOnce))
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			if !slices.Contains(some, id) {
				return nil, invalidResponse("ids_ignored")
			}
			there[id] = true
		}
	}
	return there, nil
}

// list makes a call for a list of identities and returns its elements as they stand, each to
// be decoded strictly.
func list(call client.IdentityAPIListIdentitiesRequest) ([]jsontext.Value, http.Header, error) {
	got, err := ask(call)
	if err != nil {
		return nil, nil, err
	}
	items, err := got.items()
	return items, got.header, err
}

// items returns the elements of a list.
func (a answer) items() ([]jsontext.Value, error) {
	var items []jsontext.Value
	if json.Unmarshal(a.body, &items, jsontext.AllowDuplicateNames(true)) != nil || items == nil {
		return nil, invalidResponse("answer_malformed")
	}
	return items, nil
}

// listIDs is list for the ids alone.
func listIDs(call client.IdentityAPIListIdentitiesRequest) ([]string, error) {
	items, _, err := list(call)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(items))
	for i, item := range items {
		if ids[i] = idOf(item); ids[i] == "" {
			return nil, invalidResponse("identity_id")
		}
	}
	return ids, nil
}

// idOf returns the id of an identity; empty if it has none.
func idOf(identity []byte) string {
	var only struct {
		ID string `json:"id"`
	}
	if strictjson.Unmarshal(identity, &only, append(opaque(), "metadata_admin")...) != nil {
		return ""
	}
	return only.ID
}
