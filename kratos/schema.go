package kratos

import (
	"context"
	"net/http"
	"net/url"
)

// Schema returns an identity schema as Kratos serves it. Its admin API redirects to
// the public one, 1.3.1 after a detour through itself; the token goes only to the
// admin API.
func (c *Client) Schema(ctx context.Context, schemaID string) ([]byte, error) {
	var schema rawJSON
	if err := c.follow(ctx, c.admin.JoinPath("schemas", schemaID), &schema); err != nil {
		return nil, err
	}
	return schema, nil
}

// Version is what Kratos calls itself, for reports: a build from its sources says
// master, whatever it can do.
func (c *Client) Version(ctx context.Context) (string, error) {
	var about struct {
		Version string `json:"version"`
	}
	if err := c.follow(ctx, c.admin.JoinPath("admin", "version"), &about); err != nil {
		return "", err
	}
	if about.Version == "" {
		return "", garbled("no_version")
	}
	return bounded(about.Version), nil
}

const maxRedirects = 3

// follow reads what stands at an address, or where it redirects to.
func (c *Client) follow(ctx context.Context, from *url.URL, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	next := from
	var got answer
	var err error
	for range 1 + maxRedirects {
		if got, err = c.send(ctx, http.MethodGet, next, nil, maxAnswerBytes); got.location == "" {
			break
		}
		if next, err = next.Parse(got.location); err != nil {
			break
		}
	}
	return got.decode(err, into)
}

// rawJSON takes a value as it stands.
type rawJSON []byte

// UnmarshalJSON copies the text.
func (r *rawJSON) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}

// Schemas are the ids of the identity schemas that Kratos has.
func (c *Client) Schemas(ctx context.Context) ([]string, error) {
	var all []struct {
		ID string `json:"id"`
	}
	if err := c.follow(ctx, c.admin.JoinPath("schemas"), &all); err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, one := range all {
		ids[i] = one.ID
	}
	return ids, nil
}
