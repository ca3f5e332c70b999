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

	"github.com/google/uuid"
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
	timeout time.Duration
}

// New makes a Client. It sends nothing.
func New(opts Options) (*Client, error) {
	if opts.AdminURL == "" || opts.Transport == nil || opts.Timeout <= 0 {
		return nil, errors.New("kratos: admin URL, transport and timeout are required")
	}
	cfg := client.NewConfiguration()
	cfg.Servers = client.ServerConfigurations{{URL: strings.TrimRight(opts.AdminURL, "/")}}
	cfg.UserAgent = "ferry"
	cfg.HTTPClient = &http.Client{
		Transport:     bounded{opts.Transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if !opts.Token.Empty() {
		cfg.DefaultHeader["Authorization"] = "Bearer " + opts.Token.Reveal()
	}
	return &Client{api: client.NewAPIClient(cfg).IdentityAPI, timeout: opts.Timeout}, nil
}

// Find returns the one identity whose password credential lists the identifier, in
// the form that NormalizeIdentifier gives, as it is now. None and several are an
// *Error, as everything is that leaves doubt.
func (c *Client) Find(ctx context.Context, identifier string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, resp, err := c.api.ListIdentities(ctx).CredentialsIdentifier(identifier).IncludeCredential([]string{password}).Execute() //nolint:bodyclose // the client has read and closed it
	var list []identityJSON
	if err := decode(resp, err, &list); err != nil {
		return Identity{}, err
	}
	list = slices.DeleteFunc(list, func(i identityJSON) bool { return !i.lists(identifier) })
	switch len(list) {
	case 1:
		return c.get(ctx, list[0].ID, identifier)
	case 0:
		return Identity{}, &Error{Outcome: outcome.Unavailable, Status: http.StatusOK, Reason: "no_identity"}
	default:
		return Identity{}, &Error{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "several_identities"}
	}
}

// get reads one identity by its id: a list may be older than the identity.
func (c *Client) get(ctx context.Context, id, identifier string) (Identity, error) {
	if uuid.Validate(id) != nil {
		return Identity{}, &Error{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "identity_id"}
	}
	_, resp, err := c.api.GetIdentity(ctx, id).IncludeCredential([]string{password}).Execute() //nolint:bodyclose // the client has read and closed it
	var found identityJSON
	if err := decode(resp, err, &found); err != nil {
		return Identity{}, err
	}
	if found.ID != id || !found.lists(identifier) {
		return Identity{}, &Error{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "identity_changed"}
	}
	return found.identity(identifier)
}

// decode reads an answer that the client has already read whole. The client's own
// reading is not used: it takes the last of two equal keys.
func decode(resp *http.Response, err error, into any) error {
	if resp == nil {
		return &Error{Outcome: outcome.Unavailable, Reason: transportReason(err)}
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode)
	}
	var read *client.GenericOpenAPIError
	body, readErr := io.ReadAll(resp.Body)
	if readErr != nil || (err != nil && !errors.As(err, &read)) {
		return &Error{Outcome: outcome.Unavailable, Status: resp.StatusCode, Reason: "answer_cut"}
	}
	if strictjson.Unmarshal(body, into, "traits", "metadata_public", "user_metadata", "app_metadata") != nil {
		return &Error{Outcome: outcome.Garbled, Status: resp.StatusCode, Reason: "answer_malformed"}
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

// bounded cuts answers that are too large to be Kratos'.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswerBytes)
	}
	return resp, err
}
