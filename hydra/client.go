package hydra

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ferry/hydra/redirect"
	"ferry/strictjson"
)

// OAuth2Client is what a token endpoint needs to know of a client that is registered at Hydra.
type OAuth2Client struct {
	ID string
	// Method is how it authenticates at the token endpoint.
	Method Method
	// RedirectURIs are all that are registered, whether Hydra accepts them or not.
	RedirectURIs []string
	// GrantTypes, ResponseTypes, Scope and Audience are those that it may use.
	GrantTypes, ResponseTypes, Scope, Audience []string
	// CORSOrigins are the origins of pages that may read answers to it, and LogoutURIs the
	// addresses to which it may send people after they logged out.
	CORSOrigins, LogoutURIs []string
}

// clientJSON is Hydra's OAuth2 client.
type clientJSON struct {
	ID            string   `json:"client_id"`
	Method        string   `json:"token_endpoint_auth_method"`
	RedirectURIs  []string `json:"redirect_uris"`
	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`
	Scope         string   `json:"scope"`
	Audience      []string `json:"audience"`
	CORSOrigins   []string `json:"allowed_cors_origins"`
	LogoutURIs    []string `json:"post_logout_redirect_uris"`
}

// OAuth2Client reads a client. If there is no such client, the error is an *Error of kind
// Refused.
func (c *Client) OAuth2Client(ctx context.Context, id string) (OAuth2Client, error) {
	const operation = "read client"
	unknown := &Error{Operation: operation, Kind: Refused, Status: http.StatusNotFound, Reason: "unknown_client"}
	if id == "" {
		return OAuth2Client{}, unknown
	}
	req, err := c.toAdmin(ctx, http.MethodGet, c.admin.JoinPath("admin", "clients", url.PathEscape(id)), "")
	got, err := c.send(operation, req, err)
	switch {
	case err != nil:
		return OAuth2Client{}, err
	case got.status == http.StatusNotFound && got.isJSON:
		return OAuth2Client{}, unknown
	case got.status != http.StatusOK:
		return OAuth2Client{}, refusal(operation, got)
	}
	var found clientJSON
	// A client may keep whatever it likes in metadata, and its keys are opaque here.
	if !got.isJSON || strictjson.Unmarshal(got.body, &found, "metadata", "jwks") != nil {
		return OAuth2Client{}, &Error{Operation: operation, Kind: Garbled, Status: got.status, Reason: "malformed"}
	}
	if found.ID != id { // a database that does not compare the case
		return OAuth2Client{}, unknown
	}
	if found.Method == "" {
		found.Method = string(SecretBasic) // OpenID Connect Registration, 2
	}
	return OAuth2Client{
		ID: found.ID, Method: Method(found.Method), RedirectURIs: found.RedirectURIs, GrantTypes: found.GrantTypes,
		ResponseTypes: found.ResponseTypes, Scope: strings.Fields(found.Scope), Audience: found.Audience,
		CORSOrigins: found.CORSOrigins, LogoutURIs: found.LogoutURIs,
	}, nil
}

// RedirectURI returns a registered redirect URI that Hydra accepts; empty if there is none.
func (o OAuth2Client) RedirectURI() string {
	i := slices.IndexFunc(o.RedirectURIs, redirect.Usable)
	if i < 0 {
		return ""
	}
	return o.RedirectURIs[i]
}

// Lacks returns what the client needs for refresh tokens and does not have, as one word for
// logs; empty: nothing.
func (o OAuth2Client) Lacks() string {
	switch {
	case !slices.Contains(o.GrantTypes, "authorization_code"):
		return "grant_authorization_code"
	case !slices.Contains(o.GrantTypes, "refresh_token"):
		return "grant_refresh_token"
	case !slices.Contains(o.ResponseTypes, "code"):
		return "response_type_code"
	case !slices.Contains(o.Scope, ScopeOffline):
		return "scope_offline_access"
	case o.RedirectURI() == "":
		return "redirect_uri"
	}
	return ""
}

// ScopeOffline asks for a refresh token, and ScopeOpenID for an ID token.
const (
	ScopeOffline = "offline_access"
	ScopeOpenID  = "openid"
)
