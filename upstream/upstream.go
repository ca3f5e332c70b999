// Package upstream asks Auth0 whether a password is right and whose it is. It
// sends one grant a question, reads the answer by Auth0's status, error code and
// text together, and believes only a subject that it verified.
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
	"ferry/transport"
)

// Question is one password to verify. It is asked once, or not at all.
type Question struct {
	// Username in the form that Auth0 is to see.
	Username string
	// Password, byte for byte as it was typed.
	Password secret.String
	// Realm is the database connection; empty asks the tenant's default directory.
	Realm string
	// ClientIP is the person's address; the zero value says nothing about it.
	ClientIP netip.Addr
}

// Profile is what Auth0 says of the user whose password was right. It comes from
// the verified ID token, or from /userinfo.
type Profile struct {
	// Subject is the Auth0 user id, such as auth0|5f7c…; never empty without an error.
	Subject string
	// Email and Phone are to be believed only where Auth0 verified them.
	Email         string
	EmailVerified bool
	Phone         string
	PhoneVerified bool
	// Claims is the JSON object that all this was read from: the ID token's payload,
	// or /userinfo's answer.
	Claims string
}

// Refusal is the error of a question that ended without a verified subject. It
// holds nothing that the person typed and no text of Auth0's.
type Refusal struct {
	// Outcome is why; never Match.
	Outcome outcome.Outcome
	// Status is Auth0's HTTP status, 0 where there was no answer.
	Status int
	// Code is Auth0's error code where the contract lists it, else empty.
	Code string
	// Reason is the row or the fault that decided, a word for logs.
	Reason string

	cause error // of a Tenant's "tls" alone
}

// Unwrap is why there is no TLS, of a Tenant's refusal; its text may quote Auth0.
func (r *Refusal) Unwrap() error { return r.cause }

// Error names the outcome and what decided it.
func (r *Refusal) Error() string {
	return fmt.Sprintf("auth0: %s (%s, status %d)", r.Outcome, r.Reason, r.Status)
}

// Options are what a Client is made of.
type Options struct {
	// Issuer is the iss that ID tokens must carry: https://DOMAIN/.
	Issuer string
	// BaseURL is where to connect, without a slash at the end.
	BaseURL string
	// ClientID is that of the application made for ferry, and ClientAuth how ferry
	// shows that it is that application.
	ClientID   string
	ClientAuth ClientAuth
	// Scope of the grant, openid among it.
	Scope string
	// Audience is the API that the access token is for; empty: none.
	Audience string
	// IDTokenAlg is what ID tokens are signed with: RS256 where it is empty, or PS256.
	IDTokenAlg string
	// Timeout is the whole time that one question may take.
	Timeout time.Duration
	// Transport sends the requests. It must not follow redirects by itself, send a
	// request twice, or take one request's answer for another's; NewTransport makes one.
	Transport http.RoundTripper
	// Now is the clock that ID tokens are held against.
	Now func() time.Time
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
		alg:      alg,
		now:      opts.Now,
		keys: &keySet{
			url:   opts.BaseURL + "/.well-known/jwks.json",
			get:   c.http.roundTrip,
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

// Run keeps the tenant's signing keys fresh until ctx ends. Questions may be asked
// before, and while the keys cannot be had.
func (c *Client) Run(ctx context.Context) { c.tokens.keys.run(ctx) }

// Ask puts one question to Auth0 and returns the profile of the user whose
// password it is. Every other end is a *Refusal. The password is sent at most once.
func (c *Client) Ask(ctx context.Context, q Question) (Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	tokens, refusal := c.grant(ctx, q)
	if refusal != nil {
		return Profile{}, refusal
	}
	profile, err := c.subject(ctx, tokens)
	if err != nil {
		return Profile{}, err
	}
	return profile, nil
}

// subject finds out whose tokens these are: from the ID token, or from /userinfo
// where the ID token cannot be verified. Both must agree where both speak
// (OpenID Connect Core, 5.3.2).
func (c *Client) subject(ctx context.Context, tokens tokenResponse) (Profile, error) {
	if tokens.IDToken == "" {
		return c.userinfo(ctx, tokens.AccessToken)
	}
	profile, err := c.tokens.verify(ctx, tokens.IDToken)
	if err == nil {
		return profile, nil
	}
	var unverifiable *unverifiableError
	if !errors.As(err, &unverifiable) {
		return Profile{}, &Refusal{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "id_token_" + err.Error()}
	}
	profile, err = c.userinfo(ctx, tokens.AccessToken)
	if err != nil {
		return Profile{}, err
	}
	if profile.Subject != unverifiable.subject {
		return Profile{}, &Refusal{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "userinfo_other_subject"}
	}
	return profile, nil
}
