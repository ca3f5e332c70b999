// Package upstream verifies credentials at Auth0. It sends one grant for each
// verification, classifies the answer by status, error code and text together, and
// trusts only a subject that it verified.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"

	"ferry/outcome"
	"ferry/secret"
	"ferry/tracing"
	"ferry/transport"
)

// Credentials are a username and password to verify. They are sent at most once.
type Credentials struct {
	// Username is in Auth0's form.
	Username string
	// Password is byte for byte as typed.
	Password secret.String
	// Realm is the database connection. If empty, the tenant's default directory is used.
	Realm string
	// ClientIP is the person's address. The zero value is not sent.
	ClientIP netip.Addr
	// From is the address that the login comes from, if it is known. It is not sent.
	From netip.Addr
}

// Profile is Auth0's profile of the user whose password was right. It comes from
// the verified ID token, or from /userinfo.
type Profile struct {
	// Subject is the Auth0 user id, such as auth0|5f7c…; never empty without an error.
	Subject string
	// Email and Phone may be trusted only if Auth0 verified them.
	Email         string
	EmailVerified bool
	Phone         string
	PhoneVerified bool
	// Claims is the JSON object that all this was read from: the ID token's payload,
	// or /userinfo's answer.
	Claims string
}

// LoginError is the error of a verification that ended without a verified subject. It
// holds nothing that the person typed, and no text from Auth0.
type LoginError struct {
	// Outcome is never Match.
	Outcome outcome.Outcome
	// Status is Auth0's HTTP status, 0 without an answer.
	Status int
	// Code is Auth0's error code if the contract lists it, else empty.
	Code string
	// Reason is the contract row or the fault that decided, as one word for logs.
	Reason string

	cause error // only for a Tenant's "tls"
}

// Unwrap returns the TLS error behind a Tenant's LoginError; its text may quote Auth0.
func (e *LoginError) Unwrap() error { return e.cause }

// Error names the outcome and what decided it.
func (e *LoginError) Error() string {
	return fmt.Sprintf("auth0: %s (%s, status %d)", e.Outcome, e.Reason, e.Status)
}

// Options configure a Client. Audience, IDTokenAlg and Guard are optional, the rest is required.
type Options struct {
	// Issuer is the iss that ID tokens must have: https://DOMAIN/.
	Issuer string
	// BaseURL is where to connect, without a slash at the end.
	BaseURL string
	// ClientID is that of the application made for ferry, and ClientAuth how ferry
	// shows that it is that application.
	ClientID   string
	ClientAuth ClientAuth
	// Scope of the grant, openid among it.
	Scope string
	// Audience is the API that the access token is for. It may be empty.
	Audience string
	// IDTokenAlg is the signature algorithm of ID tokens: RS256, the default, or PS256.
	IDTokenAlg string
	// Timeout bounds one verification.
	Timeout time.Duration
	// Transport sends the requests. It must not follow redirects by itself, send a
	// request twice, or take one request's answer for another's; NewTransport makes one.
	Transport http.RoundTripper
	// Now is the clock that ID tokens are checked against.
	Now func() time.Time
	// Guard decides whether Verify may ask; nil: always.
	Guard *Guard
}

// Client asks one Auth0 tenant. It is safe for concurrent use.
type Client struct {
	opts   Options
	http   httpClient
	tokens *idTokens
}

// New makes a Client. It sends nothing; Run fetches the tenant's keys.
func New(opts Options) (*Client, error) {
	switch {
	case opts.Issuer == "" || opts.BaseURL == "" || opts.ClientID == "" || opts.ClientAuth.sign == nil || opts.Scope == "":
		return nil, errors.New("upstream: issuer, base URL, client id, client authentication and scope are required")
	case opts.Transport == nil || opts.Now == nil || opts.Timeout <= 0:
		return nil, errors.New("upstream: transport, clock and timeout are required")
	}
	alg := jose.SignatureAlgorithm(opts.IDTokenAlg)
	if opts.IDTokenAlg == "" {
		alg = jose.RS256
	}
	if alg != jose.RS256 && alg != jose.PS256 {
		return nil, errors.New("upstream: ID tokens are signed with RS256 or PS256")
	}
	c := &Client{opts: opts, http: newHTTP(opts.Transport)}
	c.tokens = &idTokens{
		issuer:   opts.Issuer,
		clientID: opts.ClientID,
		algs:     []jose.SignatureAlgorithm{alg},
		now:      opts.Now,
		keys: &keySet{
			url:   opts.BaseURL + "/.well-known/jwks.json",
			get:   c.further,
			limit: rate.NewLimiter(rate.Every(keyRefetchEvery), keyRefetchBurst),
		},
	}
	return c, nil
}

// NewTransport is a transport for Auth0. Over HTTP/2 a stream, over HTTP/1.1 a connection
// carries one request, which is never sent twice. It honours the proxy variables of the
// environment.
func NewTransport() *transport.Transport {
	return transport.New(transport.Options{Proxy: http.ProxyFromEnvironment})
}

// Run keeps the tenant's signing keys fresh until ctx ends. Verify works before Run, and
// while the keys cannot be fetched.
func (c *Client) Run(ctx context.Context) { c.tokens.keys.run(ctx) }

// Verify sends the credentials to Auth0 and returns the profile of their user. Every error
// is a *LoginError. The password is sent at most once, and not if the Guard refuses.
func (c *Client) Verify(ctx context.Context, credentials Credentials) (Profile, error) {
	return c.opts.Guard.run(credentials, func() (Profile, error) { return c.verify(ctx, credentials) })
}

func (c *Client) verify(ctx context.Context, credentials Credentials) (Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	granting, span := tracing.Start(ctx, "auth0 grant")
	tokens, loginErr := c.grant(granting, credentials)
	if loginErr != nil {
		tracing.Ended(span, loginErr.Outcome.String(), loginErr.Reason)
		span.End()
		return Profile{}, loginErr
	}
	span.End()
	checking, span := tracing.Start(ctx, "check token")
	defer span.End()
	profile, err := c.subject(checking, c.tokens, tokens)
	if err != nil {
		tracing.Failed(span, err)
		return Profile{}, err
	}
	return profile, nil
}

// further makes a request other than the grant.
func (c *Client) further(req *http.Request) (reply, error) {
	c.opts.Guard.count()
	return c.http.roundTrip(req)
}

// subject returns the profile from the ID token, or from /userinfo if the ID token cannot
// be verified. If both name a subject they must agree (OpenID Connect Core, 5.3.2).
func (c *Client) subject(ctx context.Context, by *idTokens, tokens tokenResponse) (Profile, error) {
	if tokens.IDToken == "" {
		return c.userinfo(ctx, tokens.AccessToken)
	}
	profile, err := by.verify(ctx, tokens.IDToken)
	if err == nil {
		return profile, nil
	}
	var unverifiable *unverifiableError
	if !errors.As(err, &unverifiable) {
		return Profile{}, &LoginError{Outcome: outcome.InvalidResponse, Status: http.StatusOK, Reason: "id_token_" + err.Error()}
	}
	profile, err = c.userinfo(ctx, tokens.AccessToken)
	if err != nil {
		return Profile{}, err
	}
	if profile.Subject != unverifiable.subject {
		return Profile{}, &LoginError{Outcome: outcome.InvalidResponse, Status: http.StatusOK, Reason: "userinfo_other_subject"}
	}
	return profile, nil
}
