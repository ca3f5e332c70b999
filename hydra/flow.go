package hydra

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ferry/secret"
	"ferry/strictjson"
)

// Flow is an authorization code flow that Begin has begun. It can be completed once.
type Flow struct {
	client          OAuth2Client
	redirectURI     string
	state, verifier string
	challenge       string // the login challenge
	cookies         []*http.Cookie
}

// Begin does step 1: Hydra checks client, redirect URI and scope. It stores nothing. The error
// is an *Error of kind Misconfigured if the client cannot have refresh tokens.
func (c *Client) Begin(ctx context.Context, client OAuth2Client) (*Flow, error) {
	const operation = "begin flow"
	if lack := client.Lacks(); lack != "" {
		return nil, &Error{Operation: operation, Kind: Misconfigured, Reason: "client_lacks_" + lack}
	}
	f := &Flow{client: client, redirectURI: client.RedirectURI(), state: rand.Text(), verifier: rand.Text() + rand.Text()}
	scope := []string{ScopeOffline}
	if slices.Contains(client.Scope, ScopeOpenID) {
		scope = append(scope, ScopeOpenID)
	}
	hash := sha256.Sum256([]byte(f.verifier))
	query := url.Values{
		"client_id": {client.ID}, "response_type": {"code"}, "scope": {strings.Join(scope, " ")}, "redirect_uri": {f.redirectURI},
		"state": {f.state}, "code_challenge": {base64.RawURLEncoding.EncodeToString(hash[:])}, "code_challenge_method": {"S256"},
	}
	var err error
	f.challenge, err = c.advance(ctx, operation, f, query, "login_challenge")
	if err != nil {
		return nil, err
	}
	return f, nil
}

// advance makes a request to the authorization endpoint and returns a parameter of the redirect.
func (c *Client) advance(ctx context.Context, operation string, f *Flow, query url.Values, want string) (string, error) {
	to := c.public.JoinPath("oauth2", "auth")
	to.RawQuery = query.Encode()
	req, err := c.toPublic(ctx, http.MethodGet, to, nil)
	if err == nil {
		for _, cookie := range f.cookies {
			req.AddCookie(cookie) // its name and value
		}
	}
	got, err := c.send(operation, req, err)
	if err != nil {
		return "", err
	}
	f.keep((&http.Response{Header: got.header}).Cookies())
	location, err := url.Parse(got.header.Get("Location"))
	if err != nil || got.status < 300 || got.status >= 400 {
		return "", refusal(operation, got)
	}
	said := location.Query()
	if value := said.Get(want); value != "" && said.Get("error") == "" {
		if want == "code" && said.Get("state") != f.state {
			return "", &Error{Operation: operation, Kind: Garbled, Status: got.status, Reason: "other_state"}
		}
		return value, nil
	}
	return "", redirected(operation, got.status, said.Get("error"))
}

// redirected is the error of a redirect that has an error code, or not what was wanted.
func redirected(operation string, status int, code string) *Error {
	e := &Error{Operation: operation, Kind: Misconfigured, Status: status, Reason: known(code)}
	switch e.Reason {
	case codeError, "server_error", "temporarily_unavailable":
		e.Kind = Unavailable
	case codeInvalidClient:
		e.Kind = Refused
	case "":
		e.Kind, e.Reason = Garbled, "unknown_redirect"
	}
	return e
}

// keep keeps the cookies of an answer; a new one replaces that of its name.
func (f *Flow) keep(cookies []*http.Cookie) {
	for _, cookie := range cookies {
		f.cookies = slices.DeleteFunc(f.cookies, func(old *http.Cookie) bool { return old.Name == cookie.Name })
		if cookie.MaxAge >= 0 && cookie.Value != "" {
			f.cookies = append(f.cookies, cookie)
		}
	}
}

// Grant is what the subject of a flow has consented to.
type Grant struct {
	// Subject is the Kratos identity.
	Subject string
	// Scope and Audience are granted as far as the client may have them: a refresh of tokens
	// with others fails at Hydra. offline_access is always granted.
	Scope, Audience []string
	// AMR are the authentication methods of the login; empty: none is claimed.
	AMR []string
	// Claims go into ID tokens and /userinfo. Hydra does not let them replace its own.
	Claims map[string]any
}

// Tokens are the tokens of a new session.
type Tokens struct {
	AccessToken, RefreshToken secret.String
	// IDToken is empty if openid was not granted.
	IDToken secret.String
	// ExpiresIn is the lifetime of the access token in seconds.
	ExpiresIn int64
	Scope     string
}

// loginAcceptance and consentAcceptance are what Hydra expects from a login and a consent page.
// Hydra 2.3 refuses unknown keys. Nothing is remembered: that would consent to a later flow in a
// browser.
type (
	loginAcceptance struct {
		Subject string   `json:"subject"`
		AMR     []string `json:"amr,omitempty"`
	}
	consentAcceptance struct {
		Scope    []string `json:"grant_scope"`
		Audience []string `json:"grant_access_token_audience,omitempty"`
		Session  struct {
			IDToken map[string]any `json:"id_token,omitempty"`
		} `json:"session"`
	}
)

// Mint does steps 2 to 6. The tokens belong to no one until they are given away: after any error
// a new flow can be begun. Credentials have the method that the client has at Hydra.
func (c *Client) Mint(ctx context.Context, f *Flow, grant Grant, credentials Credentials) (Tokens, error) {
	verifier, err := c.accept(ctx, "login", f.challenge, loginAcceptance{Subject: grant.Subject, AMR: grant.AMR})
	if err != nil {
		return Tokens{}, err
	}
	challenge, err := c.advance(ctx, "return from login", f, verifier, "consent_challenge")
	if err != nil {
		return Tokens{}, err
	}
	consent := consentAcceptance{Scope: f.client.Grantable(grant.Scope), Audience: within(grant.Audience, f.client.Audience)}
	consent.Session.IDToken = grant.Claims
	verifier, err = c.accept(ctx, "consent", challenge, consent)
	if err != nil {
		return Tokens{}, err
	}
	code, err := c.advance(ctx, "return from consent", f, verifier, "code")
	if err != nil {
		return Tokens{}, err
	}
	return c.exchange(ctx, f, code, credentials)
}

// Grantable returns those of the scopes that the client may have, and offline_access.
func (o OAuth2Client) Grantable(scope []string) []string {
	all := within(scope, o.Scope)
	if !slices.Contains(all, ScopeOffline) {
		all = append(all, ScopeOffline)
	}
	return all
}

// within returns the wanted ones that are allowed, each once.
func within(wanted, allowed []string) []string {
	var both []string
	for _, one := range wanted {
		if slices.Contains(allowed, one) && !slices.Contains(both, one) {
			both = append(both, one)
		}
	}
	return both
}

// accept accepts a login or consent request, and returns the query of the way back.
func (c *Client) accept(ctx context.Context, what, challenge string, body any) (url.Values, error) {
	operation := "accept " + what
	text, err := json.Marshal(body)
	if err != nil {
		return nil, &Error{Operation: operation, Kind: Misconfigured, Reason: "claims"}
	}
	to := c.admin.JoinPath("admin", "oauth2", "auth", "requests", what, "accept")
	to.RawQuery = url.Values{what + "_challenge": {challenge}}.Encode()
	req, err := c.toAdmin(ctx, http.MethodPut, to, string(text))
	got, err := c.send(operation, req, err)
	switch {
	case err != nil:
		return nil, err
	case got.status != http.StatusOK:
		return nil, refusal(operation, got)
	}
	var said struct {
		RedirectTo string `json:"redirect_to"`
	}
	malformed := &Error{Operation: operation, Kind: Garbled, Status: got.status, Reason: "malformed"}
	if !got.isJSON || strictjson.Unmarshal(got.body, &said) != nil {
		return nil, malformed
	}
	back, err := url.Parse(said.RedirectTo)
	if err != nil || back.Query().Get(what+"_verifier") == "" {
		return nil, malformed
	}
	return back.Query(), nil
}

// maxLifetime is the longest lifetime of an access token that is read, in seconds: a whole number in
// every JSON reader.
const maxLifetime = 1 << 53

// exchange does step 6. A code is never used twice: Hydra would revoke the tokens of the first
// use.
func (c *Client) exchange(ctx context.Context, f *Flow, code string, credentials Credentials) (Tokens, error) {
	const operation = "exchange code"
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {f.redirectURI}, "code_verifier": {f.verifier}}
	got, err := c.tokenRequest(ctx, operation, credentials, form)
	if err != nil {
		return Tokens{}, err
	}
	var said struct {
		AccessToken  string             `json:"access_token"`
		RefreshToken string             `json:"refresh_token"`
		IDToken      string             `json:"id_token"`
		ExpiresIn    float64            `json:"expires_in"`
		Scope        string             `json:"scope"`
		Error        strictjson.NotNull `json:"error,case:ignore"`
	}
	garbled := func(reason string) (Tokens, error) {
		return Tokens{}, &Error{Operation: operation, Kind: Garbled, Status: got.status, Reason: reason}
	}
	switch {
	case strictjson.Unmarshal(got.body, &said) != nil:
		return garbled("malformed")
	case bool(said.Error):
		return garbled("error_with_200")
	case said.AccessToken == "":
		return garbled("no_access_token")
	case !strings.HasPrefix(said.RefreshToken, refreshTokenPrefix):
		return garbled("no_refresh_token")
	case said.ExpiresIn < 0 || said.ExpiresIn > maxLifetime || said.ExpiresIn != math.Trunc(said.ExpiresIn):
		return garbled("expires_in")
	}
	return Tokens{
		AccessToken: secret.New(said.AccessToken), RefreshToken: secret.New(said.RefreshToken), IDToken: secret.New(said.IDToken),
		ExpiresIn: int64(said.ExpiresIn), Scope: said.Scope,
	}, nil
}
