// Package kratos reads identities through Kratos' admin API: which identity an
// identifier belongs to, whether it is waiting for its password, and which Auth0
// user it was imported from.
package kratos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	client "github.com/ory/kratos-client-go"

	"ferry/outcome"
	"ferry/secret"
	"ferry/strictjson"
)

const (
	maxAnswerBytes = 8 << 20
	password       = "password" // the credential type
)

// Error is why an identity could not be told. It holds no identifier.
type Error struct {
	// Outcome is Unavailable, Misconfigured or Garbled.
	Outcome outcome.Outcome
	// Status is Kratos' HTTP status, 0 where there was no answer.
	Status int
	// Reason is a word for logs.
	Reason string
}

// Error names the outcome and what decided it.
func (e *Error) Error() string {
	return fmt.Sprintf("kratos: %s (%s, status %d)", e.Outcome, e.Reason, e.Status)
}

// Options are what a Client is made of.
type Options struct {
	// AdminURL is Kratos' admin API, such as http://127.0.0.1:4434.
	AdminURL string
	// Token is sent as bearer token where it is not empty.
	Token secret.String
	// Timeout bounds one look-up, all its requests together.
	Timeout time.Duration
	// Transport carries the requests.
	Transport http.RoundTripper
}

// Client asks one Kratos. It is safe for concurrent use.
type Client struct {
	api     client.IdentityAPI
	http    *http.Client
	admin   *url.URL
	token   secret.String
	timeout time.Duration
}

// New makes a Client. It sends nothing.
func New(opts Options) (*Client, error) {
	if opts.AdminURL == "" || opts.Transport == nil || opts.Timeout <= 0 {
		return nil, errors.New("kratos: admin URL, transport and timeout are required")
	}
	admin, err := url.Parse(strings.TrimRight(opts.AdminURL, "/"))
	if err != nil {
		return nil, errors.New("kratos: the admin URL is none")
	}
	cfg := client.NewConfiguration()
	cfg.Servers = client.ServerConfigurations{{URL: strings.TrimRight(opts.AdminURL, "/")}}
	cfg.UserAgent = "ferry"
	cfg.HTTPClient = &http.Client{
		Transport:     reader{opts.Transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if !opts.Token.Empty() {
		cfg.DefaultHeader["Authorization"] = "Bearer " + opts.Token.Reveal()
	}
	return &Client{api: client.NewAPIClient(cfg).IdentityAPI, http: cfg.HTTPClient, admin: admin, token: opts.Token, timeout: opts.Timeout}, nil
}

// Find returns the one identity whose password credential lists the identifier, in
// the form that NormalizeIdentifier gives, as it is now. None and several are an
// *Error, as everything is that leaves doubt.
func (c *Client) Find(ctx context.Context, identifier string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var list []identityJSON
	err := c.read(ctx, &list, func(ctx context.Context) error {
		_, _, err := c.api.ListIdentities(ctx).CredentialsIdentifier(identifier).IncludeCredential([]string{password}).Execute() //nolint:bodyclose // reader has read it
		return err
	})
	if err != nil {
		return Identity{}, err
	}
	list = slices.DeleteFunc(list, func(i identityJSON) bool { return !i.lists(identifier) })
	switch len(list) {
	case 1:
		return c.identity(ctx, list[0].ID, identifier)
	case 0:
		return Identity{}, &Error{Outcome: outcome.Unavailable, Status: http.StatusOK, Reason: "no_identity"}
	default:
		return Identity{}, &Error{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "several_identities"}
	}
}

// identity reads one by its id: a list may be older than the identity.
func (c *Client) identity(ctx context.Context, id, identifier string) (Identity, error) {
	if id == "" {
		return Identity{}, &Error{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "identity_id"}
	}
	var found identityJSON
	err := c.read(ctx, &found, func(ctx context.Context) error {
		_, _, err := c.api.GetIdentity(ctx, id).IncludeCredential([]string{password}).Execute() //nolint:bodyclose // reader has read it
		return err
	})
	if err != nil {
		return Identity{}, err
	}
	if found.ID != id || !found.lists(identifier) {
		return Identity{}, &Error{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "identity_changed"}
	}
	return found.identity(identifier)
}

// read makes one call of the generated client and decodes its answer. The client
// makes the request; what it makes of the answer is not used, because it takes the
// last of two equal keys.
func (c *Client) read(ctx context.Context, into any, call func(context.Context) error) error {
	var got answer
	err := call(context.WithValue(ctx, answerKey{}, &got))
	return got.decode(err, into)
}

// decode reads the answer strictly; err is why there is none.
func (a answer) decode(err error, into any) error {
	switch {
	case a.status == 0:
		return &Error{Outcome: outcome.Unavailable, Reason: transportReason(err)}
	case a.status != http.StatusOK:
		return refusal(a.status)
	}
	if strictjson.Unmarshal(a.body, into, opaque()...) != nil {
		return &Error{Outcome: outcome.Garbled, Status: a.status, Reason: "answer_malformed"}
	}
	return nil
}

func refusal(status int) *Error {
	e := &Error{Outcome: outcome.Garbled, Status: status, Reason: "unknown_answer"}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Outcome, e.Reason = outcome.Misconfigured, "ferry_refused"
	case status == http.StatusNotFound, status >= 300 && status < 400:
		// The identity was deleted meanwhile, or this is not Kratos' admin API.
		e.Outcome, e.Reason = outcome.Unavailable, "not_there"
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		e.Outcome, e.Reason = outcome.Unavailable, "server_fault"
	}
	return e
}

// transportReason is a word for the fault: the error's own text holds the URL, and
// that the identifier.
func transportReason(err error) string {
	var urlErr *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "caller_gone"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &urlErr) && urlErr.Timeout():
		return "timeout"
	}
	return "unreachable"
}

// answer is an HTTP answer, read whole; its status is 0 while there is none.
type answer struct {
	status   int
	body     []byte
	location string // of a redirect
}

// answerKey finds, in a request's context, the *answer to fill.
type answerKey struct{}

// reader reads answers whole, up to a bound, and keeps them from the generated
// client, which is left with an empty body.
type reader struct{ next http.RoundTripper }

func (r reader) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, err
	}
	if got, ok := req.Context().Value(answerKey{}).(*answer); ok {
		*got = answer{resp.StatusCode, body, resp.Header.Get("Location")}
	}
	resp.Body, resp.ContentLength = http.NoBody, 0
	return resp, nil
}
