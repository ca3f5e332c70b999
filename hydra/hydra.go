// Package hydra calls one Ory Hydra: it finds out whether a client's credentials hold, and
// obtains tokens for a subject without a browser.
//
// No admin API of Hydra makes tokens. The one way to a refresh token is the authorization code
// flow, in which this package is the login and the consent page, and the client:
//
//	1  GET  public /oauth2/auth                      the login challenge          Begin
//	2  PUT  admin  …/requests/login/accept           the subject                  Mint
//	3  GET  public /oauth2/auth?login_verifier=      the consent challenge
//	4  PUT  admin  …/requests/consent/accept         scope, audience and claims
//	5  GET  public /oauth2/auth?consent_verifier=    the code
//	6  POST public /oauth2/token                     the tokens
//
// Of the redirects between the steps only the query is used: they name the address that
// browsers have, which need not be the one that ferry reaches. The CSRF cookies are carried by
// hand, because they may be marked Secure while Hydra is reached over plain HTTP. No redirect
// is followed and no request is sent twice.
package hydra

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ferry/secret"
	"ferry/transport"
)

const (
	maxAnswerBytes = 1 << 20
	userAgent      = "ferry"

	// The prefixes of Hydra's refresh tokens and access tokens.
	refreshTokenPrefix = "ory_rt_"
	accessTokenPrefix  = "ory_at_"
)

// IsToken reports whether a token has the form of Hydra's: its refresh tokens and opaque access
// tokens have a prefix that those of Auth0 do not have.
func IsToken(token secret.String) bool {
	text := token.Reveal()
	return strings.HasPrefix(text, refreshTokenPrefix) || strings.HasPrefix(text, accessTokenPrefix)
}

// Options configure a Client. AdminToken is optional, the rest is required.
type Options struct {
	// AdminURL is Hydra's admin API, such as http://127.0.0.1:4445.
	AdminURL string
	// PublicURL is Hydra's public API as ferry reaches it, such as http://127.0.0.1:4444.
	PublicURL string
	// AdminToken is sent to the admin API as a bearer token.
	AdminToken secret.String
	// Timeout bounds one request.
	Timeout time.Duration
	// Transport sends the requests. It must never return the answer to one request for
	// another, or send a request twice; package transport provides one that does not.
	Transport http.RoundTripper
}

// Client calls one Hydra. It is safe for concurrent use.
type Client struct {
	admin, public *url.URL
	token         secret.String
	http          *http.Client
}

// New makes a Client. It sends nothing.
func New(opts Options) (*Client, error) {
	if opts.AdminURL == "" || opts.PublicURL == "" || opts.Transport == nil || opts.Timeout <= 0 {
		return nil, errors.New("hydra: admin URL, public URL, transport and timeout are required")
	}
	admin, err := url.Parse(strings.TrimRight(opts.AdminURL, "/"))
	if err != nil {
		return nil, errors.New("hydra: invalid admin URL")
	}
	public, err := url.Parse(strings.TrimRight(opts.PublicURL, "/"))
	if err != nil {
		return nil, errors.New("hydra: invalid public URL")
	}
	return &Client{admin: admin, public: public, token: opts.AdminToken, http: &http.Client{
		Transport:     opts.Transport,
		Timeout:       opts.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// answer is an HTTP answer with its whole body.
type answer struct {
	status int
	header http.Header
	isJSON bool
	body   []byte
}

// request makes a request to the public or the admin API.
func (c *Client) request(ctx context.Context, method string, to *url.URL, body string) (*http.Request, error) {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), content)
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // without it no transport of net/http can send the body twice
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	return req, nil
}

// toAdmin makes a request to the admin API, with a JSON body or none.
func (c *Client) toAdmin(ctx context.Context, method string, to *url.URL, body string) (*http.Request, error) {
	req, err := c.request(ctx, method, to, body)
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if !c.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	return req, nil
}

// toPublic makes a request to the public API, with a form or without a body. Its TLS ends
// before ferry, as Hydra is to assume of every request (serve.tls.allow_termination_from).
func (c *Client) toPublic(ctx context.Context, method string, to *url.URL, form url.Values) (*http.Request, error) {
	req, err := c.request(ctx, method, to, form.Encode())
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("X-Forwarded-Proto", "https")
	return req, nil
}

// send sends a request and reads the whole answer, up to a bound. The error is an *Error of the
// operation.
func (c *Client) send(operation string, req *http.Request, err error) (answer, error) {
	if err != nil {
		return answer{}, &Error{Operation: operation, Kind: Misconfigured, Reason: "bad_url"}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, noAnswer(operation, 0, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusOK {
		return answer{}, noAnswer(operation, resp.StatusCode, transport.ErrSwitched) // its body would never end
	}
	body, err := transport.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1), resp.ContentLength)
	if err == nil && len(body) > maxAnswerBytes {
		err = errTooLarge
	}
	if err != nil {
		return answer{}, noAnswer(operation, resp.StatusCode, err)
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return answer{resp.StatusCode, resp.Header, err == nil && media == "application/json", body}, nil
}
