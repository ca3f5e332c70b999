package upstream

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"ferry/outcome"
	"ferry/secret"
	"ferry/strictjson"
	"ferry/tracing"
)

const (
	grantRefreshToken = "refresh_token"
	// realmRefresh is the connection in the log and the metrics of the circuit breaker for
	// refresh tokens: no connection is asked about them.
	realmRefresh = "refresh_token"
	scopeOpenID  = "openid"
	// ReasonNoOpenID is the reason of tokens without the scope by which Auth0 names their user.
	ReasonNoOpenID = "no_openid"
)

// RefreshToken is a refresh token of an application of the tenant. Redeem sends it once.
type RefreshToken struct {
	Token secret.String
	// ClientID is the application that got it, and Auth how that application authenticates.
	ClientID string
	Auth     ClientAuth
	// ClientIP is the address of the person. The zero value is not sent.
	ClientIP netip.Addr
	// From is the address that the request comes from, if it is known. It is not sent.
	From netip.Addr
}

// Redeemed is Auth0's answer to a refresh token. Nothing in it is verified: see Identify.
type Redeemed struct {
	text secret.String
	said refreshResponse
}

// refreshResponse is RFC 6749, 5.1, for the refresh grant. The texts are secret.
type refreshResponse struct {
	AccessToken  secret.String      `json:"access_token"`
	IDToken      secret.String      `json:"id_token"`
	RefreshToken secret.String      `json:"refresh_token"`
	Scope        string             `json:"scope"`
	Error        strictjson.NotNull `json:"error,case:ignore"`
}

// ReadRedeemed reads what Text returned.
func ReadRedeemed(text secret.String) (Redeemed, error) {
	r := Redeemed{text: text}
	if strictjson.Unmarshal([]byte(text.Reveal()), &r.said) != nil || bool(r.said.Error) {
		return Redeemed{}, errors.New("auth0: stored answer to a refresh token cannot be read")
	}
	return r, nil
}

// Text returns the answer as it came, with the tokens.
func (r Redeemed) Text() secret.String { return r.text }

// Successor returns the refresh token that replaces the redeemed one; empty if that stays valid.
func (r Redeemed) Successor() secret.String { return r.said.RefreshToken }

// Session is what a redeemed refresh token stood for.
type Session struct {
	// Profile is the user's, from a verified ID token or from /userinfo.
	Profile Profile
	// Scope are the scopes that Auth0 granted. ScopeKnown is false if it did not name them.
	Scope      []string
	ScopeKnown bool
	// Audience are the APIs that the access token is for, without /userinfo; none for an
	// opaque access token.
	Audience []string
	// AMR are the authentication methods that Auth0's ID token names; none if it names none.
	AMR []string
}

// Redeem sends a refresh token to Auth0. Every error is a *LoginError, with the outcome Denied,
// Blocked or MFARequired if Auth0 refuses the token for good. The token is sent at most once,
// and not if the Guard refuses; Unsent tells from the reason of an error whether it was.
func (c *Client) Redeem(ctx context.Context, token RefreshToken) (Redeemed, error) {
	var redeemed Redeemed
	asked := Credentials{Realm: realmRefresh, Username: token.Token.Reveal(), ClientIP: token.ClientIP, From: token.From}
	_, err := c.opts.Guard.run(asked, func() (Profile, error) {
		var err error
		redeemed, err = c.redeem(ctx, asked, token)
		return Profile{}, err
	})
	if err != nil {
		return Redeemed{}, err
	}
	return redeemed, nil
}

func (c *Client) redeem(ctx context.Context, asked Credentials, token RefreshToken) (Redeemed, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	ctx, span := tracing.Start(ctx, "auth0 refresh")
	defer span.End()
	redeemed, loginErr := c.refresh(ctx, asked, token)
	if loginErr != nil {
		tracing.Ended(span, loginErr.Outcome.String(), loginErr.Reason)
		return Redeemed{}, loginErr
	}
	return redeemed, nil
}

func (c *Client) refresh(ctx context.Context, asked Credentials, token RefreshToken) (Redeemed, *LoginError) {
	answer, loginErr := c.postAs(ctx, token, "/oauth/token", url.Values{"grant_type": {grantRefreshToken}, "refresh_token": {token.Token.Reveal()}})
	if loginErr != nil {
		return Redeemed{}, loginErr
	}
	if answer.status != http.StatusOK {
		loginErr = classifyBy(RefreshContract(), answer)
	}
	c.opts.Guard.heard(asked, answer.header, loginErr)
	if loginErr != nil {
		return Redeemed{}, loginErr
	}
	redeemed, err := ReadRedeemed(secret.New(string(answer.body)))
	switch {
	case !answer.isJSON || err != nil:
		return Redeemed{}, &LoginError{Outcome: outcome.InvalidResponse, Status: answer.status, Reason: "malformed"}
	case redeemed.said.AccessToken.Empty() && redeemed.said.RefreshToken.Empty():
		return Redeemed{}, &LoginError{Outcome: outcome.InvalidResponse, Status: answer.status, Reason: "no_access_token"}
	}
	return redeemed, nil
}

// postAs posts a form as the application of a token.
func (c *Client) postAs(ctx context.Context, token RefreshToken, path string, form url.Values) (reply, *LoginError) {
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if token.ClientIP.IsValid() {
		header.Set("Auth0-Forwarded-For", token.ClientIP.String())
	}
	if token.Auth.sign == nil || token.Auth.sign(form, header) != nil {
		return reply{}, &LoginError{Outcome: outcome.Misconfigured, Reason: ReasonClientAssertion}
	}
	return c.post(ctx, path, form.Encode(), header)
}

// Revoke revokes a refresh token at Auth0 (RFC 7009). Auth0 does not say whether there was such a
// token. Every error is a *LoginError, with the outcome Misconfigured if Auth0 does not accept the
// application. The token is sent at most once, and not if the Guard refuses.
func (c *Client) Revoke(ctx context.Context, token RefreshToken) error {
	asked := Credentials{Realm: realmRefresh, Username: token.Token.Reveal(), ClientIP: token.ClientIP, From: token.From}
	_, err := c.opts.Guard.run(asked, func() (Profile, error) {
		ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
		defer cancel()
		ctx, span := tracing.Start(ctx, "auth0 revoke")
		defer span.End()
		answer, loginErr := c.postAs(ctx, token, "/oauth/revoke", url.Values{"token": {token.Token.Reveal()}})
		if loginErr == nil && answer.status != http.StatusOK {
			loginErr = classifyBy(slices.Concat(limitRows(), revokeRows(), clientRows(), lastRows()), answer)
		}
		if loginErr != nil {
			tracing.Ended(span, loginErr.Outcome.String(), loginErr.Reason)
			return Profile{}, loginErr
		}
		return Profile{}, nil
	})
	return err
}

// revokeRows are the answers of the revocation endpoint that the token endpoint gives another way.
func revokeRows() []Row {
	return []Row{{"client_refused", refused(), nil, textCondition{}, outcome.Misconfigured, "OLDDOC"}}
}

// Identify verifies whose session a redeemed refresh token stood for: by the ID token, which must
// be for the application with the client id, else by /userinfo. Every error is a *LoginError,
// with the outcome Denied and ReasonNoOpenID if the tokens name no user.
func (c *Client) Identify(ctx context.Context, clientID string, r Redeemed) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	ctx, span := tracing.Start(ctx, "check token")
	defer span.End()
	s := Session{Audience: audienceOf(r.said.AccessToken), Scope: strings.Fields(r.said.Scope), ScopeKnown: r.said.Scope != ""}
	if r.said.IDToken.Empty() && s.ScopeKnown && !slices.Contains(s.Scope, scopeOpenID) {
		return Session{}, &LoginError{Outcome: outcome.Denied, Status: http.StatusOK, Reason: ReasonNoOpenID}
	}
	if r.said.AccessToken.Empty() {
		return Session{}, &LoginError{Outcome: outcome.InvalidResponse, Status: http.StatusOK, Reason: "no_access_token"}
	}
	forClient := *c.tokens
	forClient.clientID, forClient.algs = clientID, []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
	var err error
	s.Profile, err = c.subject(ctx, &forClient, tokenResponse{AccessToken: r.said.AccessToken.Reveal(), IDToken: r.said.IDToken.Reveal()})
	if err != nil {
		tracing.Failed(span, err)
		return Session{}, err
	}
	var claimed struct {
		AMR []string `json:"amr"`
	}
	if strictjson.Unmarshal([]byte(s.Profile.Claims), &claimed, opaqueClaims()...) == nil {
		s.AMR = claimed.AMR
	}
	return s, nil
}

// audienceOf returns the audience of an access token that is a JWT (RFC 9068), without the
// addresses of /userinfo. The token came from Auth0 itself, for the application, and its
// signature is for the API.
func audienceOf(accessToken secret.String) []string {
	parts := strings.Split(accessToken.Reveal(), ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var said struct {
		Audience audience `json:"aud"`
	}
	if err != nil || strictjson.Unmarshal(payload, &said, opaqueClaims()...) != nil {
		return nil
	}
	return slices.DeleteFunc([]string(said.Audience), func(one string) bool { return one == "" || strings.HasSuffix(one, "/userinfo") })
}

// RefreshContract lists every answer of the token endpoint to a refresh token that is not 200, as
// Contract does for passwords. An answer that no row of a refusal fits never logs anyone out.
func RefreshContract() []Row {
	refusals := []string{"invalid_grant", "access_denied", "unauthorized"}
	denied := append([]int{http.StatusBadRequest}, refused()...)
	rows := []Row{
		{"user_blocked", denied, refusals, textCondition{Is: "user is blocked"}, outcome.Blocked, "RPT"},
		{"client_refused", []int{http.StatusUnauthorized}, []string{"access_denied"}, textCondition{Is: "Unauthorized"}, outcome.Misconfigured, "RPT"},
		{"audience", []int{http.StatusForbidden}, []string{"access_denied"}, textCondition{Begins: "Service not "}, outcome.Misconfigured, "RPT"},
		{"refresh_token_invalid", denied, []string{"invalid_grant"}, textCondition{}, outcome.Denied, "RPT, SDK"},
		{"refresh_token_invalid", refused(), []string{"access_denied"}, textCondition{Contains: "refresh token"}, outcome.Denied, "OLDDOC"},
		{"mfa", denied, []string{"mfa_required", "mfa_registration_required", "a0.mfa_registration_required", "unsupported_challenge_type"}, textCondition{}, outcome.MFARequired, "DOC, SDK"},
		{"action", refused(), []string{"access_denied"}, textCondition{}, outcome.Denied, "RPT"},
		{"rule", refused(), []string{"unauthorized"}, textCondition{}, outcome.Denied, "RPT, SDK"},
	}
	return slices.Concat(rows, limitRows(), clientRows(), lastRows())
}
