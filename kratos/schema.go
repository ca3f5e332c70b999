package kratos

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// PublicError is the error of reading an identity schema if the admin API answers but the
// public API, which has the schemas, cannot be used. It wraps the *Error.
type PublicError struct {
	// URL is the base URL of that public API, without credentials and query.
	URL string
	// Configured reports whether URL is Options.PublicURL. Otherwise the admin API
	// redirected to it: it is serve.public.base_url of Kratos.
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

// Schema returns an identity schema: from the public API if its URL is configured, else
// from where the admin API redirects to. The token is sent to the admin API only. The
// error is a *PublicError if the admin API answers and the public one does not.
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

// Schemas returns the ids of Kratos' identity schemas. Its errors are those of Schema.
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

// Version returns Kratos' own version, for reports. A build from source says master, so it
// does not tell the features.
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

// BaseURL returns serve.public.base_url of Kratos, without a slash at the end: where its admin
// API redirects to what only the public API has. It is empty if the admin API does not
// redirect, as behind a gateway in front of both.
func (c *Client) BaseURL(ctx context.Context) (string, error) {
	ctx, cancel := c.one.bound(ctx)
	defer cancel()
	at := c.admin.JoinPath("schemas")
	for range maxRedirects {
		got, err := c.one.send(ctx, http.MethodGet, at, nil)
		location := got.header.Get("Location")
		if location == "" {
			return "", err
		}
		next, err := at.Parse(location)
		switch {
		case err != nil:
			return "", invalidResponse("location")
		case next.Host != c.admin.Host:
			return baseOf(next), nil
		}
		at = next
	}
	return "", nil
}

// readPublic reads a document that only the public API has.
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

// baseOf returns the base URL of the public API, given the URL of a schema.
func baseOf(u *url.URL) string {
	path, _, _ := strings.Cut(u.EscapedPath(), "/schemas")
	return bounded(u.Scheme + "://" + u.Host + path)
}

const maxRedirects = 3

// follow reads the document at a URL, following redirects, and returns the last URL that it
// requested. If the admin API redirects to another host, the same path on the admin's own
// host is tried first: a gateway in front of both APIs has it. Only the admin API may lead to
// another host: whoever answers there does not decide where ferry sends requests.
func (c *Client) follow(ctx context.Context, from *url.URL, into any) (at *url.URL, err error) {
	ctx, cancel := c.one.bound(ctx)
	defer cancel()
	var got answer
	asked := map[string]bool{}
	next := from
	for range 1 + maxRedirects {
		at = next
		asked[at.String()] = true
		got, err = c.one.send(ctx, http.MethodGet, at, nil)
		location := got.header.Get("Location")
		if location == "" {
			break
		}
		var malformed error
		if next, malformed = at.Parse(location); malformed != nil || next.User != nil {
			break
		}
		if at.Host != c.admin.Host && !staysThere(at, next) {
			break
		}
		if same := c.onAdminHost(next); at.Host == c.admin.Host && next.Host != c.admin.Host && !asked[same.String()] {
			if there, err := c.one.send(ctx, http.MethodGet, same, nil); err == nil && there.decode(into) == nil {
				return same, nil
			}
		}
	}
	if err != nil {
		return at, err
	}
	return at, got.decode(into)
}

// staysThere reports whether a redirect leads to the same host, or to its https.
func staysThere(at, next *url.URL) bool {
	return sameOrigin(at, next) || at.Scheme == "http" && next.Scheme == "https" && strings.EqualFold(at.Hostname(), next.Hostname())
}

// sameOrigin reports whether two URLs lead to the same server, in the same protocol.
func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// onAdminHost returns the same URL on the host of the admin API.
func (c *Client) onAdminHost(u *url.URL) *url.URL {
	same := *u
	same.Scheme, same.Host, same.User = c.admin.Scheme, c.admin.Host, nil
	return &same
}

// rawJSON keeps a JSON value unchanged.
type rawJSON []byte

// UnmarshalJSON copies the text.
func (r *rawJSON) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}
