package kratos

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// PublicError is why an identity schema could not be read although the admin API
// answers: the public API, which has the schemas, cannot be used. It wraps the *Error.
type PublicError struct {
	// URL is the base of the public API that was asked, without credentials and query.
	URL string
	// Configured reports whether URL is Options.PublicURL. Otherwise the admin API
	// redirected there: it is serve.public.base_url of Kratos.
	Configured bool

	err error
}

// Error names the public API and what is wrong with it.
func (e *PublicError) Error() string {
	if e.Configured {
		return fmt.Sprintf("kratos: read identity schema from the public API at %s: %v", e.URL, e.err)
	}
	return fmt.Sprintf("kratos: read identity schema from %s, where the admin API redirects to (serve.public.base_url): %v", e.URL, e.err)
}

// Unwrap is the *Error.
func (e *PublicError) Unwrap() error { return e.err }

// Schema returns an identity schema as Kratos serves it: from the public API where its
// URL is known, else from where the admin API redirects to. The token goes only to the
// admin API. Its error is a *PublicError where the admin API answers and the public one
// does not.
func (c *Client) Schema(ctx context.Context, schemaID string) ([]byte, error) {
	if strings.ContainsRune(schemaID, '/') { // preset://email: Kratos takes the id in base64, too
		schemaID = base64.RawURLEncoding.EncodeToString([]byte(schemaID))
	}
	var schema rawJSON
	if err := c.readPublic(ctx, &schema, "schemas", url.PathEscape(schemaID)); err != nil {
		return nil, err
	}
	return schema, nil
}

// Schemas are the ids of the identity schemas that Kratos has. Its error is that of
// Schema.
func (c *Client) Schemas(ctx context.Context) ([]string, error) {
	var all []struct {
		ID string `json:"id"`
	}
	if err := c.readPublic(ctx, &all, "schemas"); err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, one := range all {
		ids[i] = one.ID
	}
	return ids, nil
}

// Version is what Kratos calls itself, for reports: a build from its sources says
// master, whatever it can do.
func (c *Client) Version(ctx context.Context) (string, error) {
	var about struct {
		Version string `json:"version"`
	}
	if _, err := c.follow(ctx, c.admin.JoinPath("admin", "version"), &about); err != nil {
		return "", err
	}
	if about.Version == "" {
		return "", invalidResponse("no_version")
	}
	return bounded(about.Version), nil
}

// readPublic reads what only the public API has.
func (c *Client) readPublic(ctx context.Context, into any, path ...string) error {
	if c.public != nil {
		if _, err := c.follow(ctx, c.public.JoinPath(path...), into); err != nil {
			return &PublicError{URL: baseOf(c.public), Configured: true, err: err}
		}
		return nil
	}
	at, err := c.follow(ctx, c.admin.JoinPath(path...), into)
	if err != nil && at.Host != c.admin.Host {
		return &PublicError{URL: baseOf(at), err: err}
	}
	return err
}

// baseOf is the base of the public API, given an address of a schema there.
func baseOf(u *url.URL) string {
	path, _, _ := strings.Cut(u.EscapedPath(), "/schemas")
	return bounded(u.Scheme + "://" + u.Host + path)
}

const maxRedirects = 3

// follow reads what is at an address, or where that redirects to. It returns the last
// address that it asked. A redirect of the admin API to another host is not needed where
// the admin's own host has the same path, as a gateway before both APIs does.
func (c *Client) follow(ctx context.Context, from *url.URL, into any) (at *url.URL, err error) {
	ctx, cancel := c.one.bound(ctx)
	defer cancel()
	var got answer
	asked := map[string]bool{}
	next := from
	for range 1 + maxRedirects {
		at = next
		asked[at.String()] = true
		if got, err = c.one.send(ctx, http.MethodGet, at, nil); err != nil {
			return at, err
		}
		location := got.header.Get("Location")
		if location == "" {
			break
		}
		if next, err = at.Parse(location); err != nil {
			break
		}
		if same := c.onAdminHost(next); at.Host == c.admin.Host && next.Host != c.admin.Host && !asked[same.String()] {
			if there, err := c.one.send(ctx, http.MethodGet, same, nil); err == nil && there.decode(into) == nil {
				return same, nil
			}
		}
	}
	return at, got.decode(into)
}

// onAdminHost is an address at the host of the admin API.
func (c *Client) onAdminHost(u *url.URL) *url.URL {
	same := *u
	same.Scheme, same.Host, same.User = c.admin.Scheme, c.admin.Host, nil
	return &same
}

// rawJSON takes a value as it stands.
type rawJSON []byte

// UnmarshalJSON copies the text.
func (r *rawJSON) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}
