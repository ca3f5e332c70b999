package hydra

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ferry/secret"
	"ferry/strictjson"
)

// Method is how a client authenticates at the token endpoint (OpenID Connect Core, 9).
type Method string

// The methods.
const (
	None          Method = "none"
	SecretPost    Method = "client_secret_post"
	SecretBasic   Method = "client_secret_basic"
	PrivateKeyJWT Method = "private_key_jwt"
)

// assertionType is the type of the assertion of private_key_jwt (RFC 7523, 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Credentials are those of an OAuth 2.0 client.
type Credentials struct {
	ClientID string
	// Secret is that of client_secret_post and client_secret_basic.
	Secret secret.String
	// Assertion is that of private_key_jwt. It can be used once.
	Assertion secret.String
	// Method is how they are presented.
	Method Method
}

// apply adds the credentials to the form and the header of a token request. HTTP Basic has both
// halves form-encoded (RFC 6749, 2.3.1).
func (c Credentials) apply(form url.Values, header http.Header) {
	switch c.Method {
	case SecretBasic:
		req := http.Request{Header: header}
		req.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.Secret.Reveal()))
		return
	case SecretPost:
		form.Set("client_secret", c.Secret.Reveal())
	case PrivateKeyJWT:
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", c.Assertion.Reveal())
	case None:
	}
	form.Set("client_id", c.ClientID)
}

// Probe finds out whether the credentials hold, by a refresh token that does not exist: Hydra
// checks the client first. It changes nothing, except that an assertion is used up.
//
// If they do not hold, or there is no such client, the error is an *Error of kind Refused. It is
// one of kind Misconfigured if the client may not use refresh tokens.
func (c *Client) Probe(ctx context.Context, credentials Credentials) error {
	const operation = "probe client"
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshTokenPrefix + rand.Text() + "." + rand.Text()}}
	_, err := c.tokenRequest(ctx, operation, credentials, form)
	var fault *Error
	switch {
	case err == nil:
		return &Error{Operation: operation, Kind: Garbled, Status: http.StatusOK, Reason: "tokens_for_nothing"}
	case errors.As(err, &fault) && fault.Reason == codeInvalidGrant:
		return nil
	}
	return err
}

// Revoke revokes a refresh token with its whole chain: the tokens that replaced it, and their
// access tokens. The error is nil also where Hydra does not know the token, or it was replaced so
// long ago that the grace period is over: then nothing is revoked.
func (c *Client) Revoke(ctx context.Context, credentials Credentials, token secret.String) error {
	_, err := c.asClient(ctx, "revoke token", "revoke", credentials, url.Values{"token": {token.Reveal()}})
	return err
}

// tokenRequest makes a request to the token endpoint. Its answer has status 200.
func (c *Client) tokenRequest(ctx context.Context, operation string, credentials Credentials, form url.Values) (answer, error) {
	got, err := c.asClient(ctx, operation, "token", credentials, form)
	if err == nil && !got.isJSON {
		return answer{}, &Error{Operation: operation, Kind: Garbled, Status: got.status, Reason: "not_json"}
	}
	return got, err
}

// asClient makes a request of a client to an endpoint. Its answer has status 200.
func (c *Client) asClient(ctx context.Context, operation, endpoint string, credentials Credentials, form url.Values) (answer, error) {
	header := http.Header{}
	credentials.apply(form, header)
	req, err := c.toPublic(ctx, http.MethodPost, c.public.JoinPath("oauth2", endpoint), form)
	if err == nil && header.Get("Authorization") != "" {
		req.Header.Set("Authorization", header.Get("Authorization"))
	}
	got, err := c.send(operation, req, err)
	switch {
	case err != nil:
		return answer{}, err
	case got.status != http.StatusOK:
		return answer{}, refusal(operation, got)
	}
	return got, nil
}

// AcceptsAssertion reports whether an assertion of private_key_jwt is for Hydra's token endpoint.
// It does not verify it: that would use it up.
func (c *Client) AcceptsAssertion(ctx context.Context, assertion secret.String) (bool, error) {
	const operation = "read discovery"
	req, err := c.toPublic(ctx, http.MethodGet, c.public.JoinPath(".well-known", "openid-configuration"), nil)
	got, err := c.send(operation, req, err)
	switch {
	case err != nil:
		return false, err
	case got.status != http.StatusOK:
		return false, refusal(operation, got)
	}
	var said struct {
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	if !got.isJSON || strictjson.Unmarshal(got.body, &said) != nil || said.Issuer == "" {
		return false, &Error{Operation: operation, Kind: Garbled, Status: got.status, Reason: "malformed"}
	}
	return slices.ContainsFunc(audienceOf(assertion), func(one string) bool {
		return one == said.TokenEndpoint || one == strings.TrimRight(said.Issuer, "/")+"/oauth2/token"
	}), nil
}

// audienceOf returns the audience of a JWT without verifying it; none if it is not one.
func audienceOf(token secret.String) []string {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var one struct {
		Audience string `json:"aud"`
	}
	if strictjson.Unmarshal(payload, &one) == nil {
		return []string{one.Audience}
	}
	var many struct {
		Audience []string `json:"aud"`
	}
	if strictjson.Unmarshal(payload, &many) != nil {
		return nil
	}
	return many.Audience
}
