package kratos

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

const (
	// maxOwners is more than an identifier can have: one for each kind of credential.
	maxOwners = 20
	// existAtOnce keeps the URL of a request below 5 KB.
	existAtOnce = 100
)

// Owners returns every identity that Kratos finds by an identifier, whatever the kind
// of credential: password, code, passkey, or a social login in the form
// provider:subject. Each is as it is now. None is no error; nor is an identity that
// ferry did not make (see Record.Foreign), or that has no password.
func (c *Client) Owners(ctx context.Context, identifier string) ([]Record, error) {
	if identifier == "" {
		return nil, nil // Kratos would list everybody
	}
	ctx, cancel := c.bound(ctx, c.timeout)
	defer cancel()
	list, err := c.list(ctx, func(ctx context.Context) error {
		_, _, err := c.api.ListIdentities(ctx).CredentialsIdentifier(identifier).Execute() //nolint:bodyclose // reader has read it
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(list) > maxOwners {
		return nil, invalidResponse("too_many_owners")
	}
	var owners []Record
	for _, id := range list {
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

// Exist tells which of the identities are there: their ids are true. Kratos 1.3.1 says
// of identities that it created them, and undoes that where one of their batch
// conflicts.
func (c *Client) Exist(ctx context.Context, ids []string) (map[string]bool, error) {
	ctx, cancel := c.bound(ctx, c.batchTimeout)
	defer cancel()
	there := make(map[string]bool, len(ids))
	for some := range slices.Chunk(ids, existAtOnce) {
		found, err := c.list(ctx, func(ctx context.Context) error {
			_, _, err := c.api.ListIdentities(ctx).Ids(some).PageSize(existAtOnce).Execute() //nolint:bodyclose // reader has read it
			return err
		})
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

// list makes a call for a list of identities, of which it reads the ids.
func (c *Client) list(ctx context.Context, call func(context.Context) error) ([]string, error) {
	got := answer{limit: maxListBytes}
	err := call(context.WithValue(ctx, answerKey{}, &got))
	if err := got.fault(err); err != nil {
		return nil, err
	}
	items, err := elements(got.body)
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
