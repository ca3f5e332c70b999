// Package kratos speaks to Kratos' admin API. For a login: which identity an
// identifier belongs to, whether it is waiting for its password, and which Auth0
// user it was imported from. For runs over many: it creates identities in batches
// and reads all that there are.
package kratos

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	client "github.com/ory/kratos-client-go"

	"ferry/outcome"
	"ferry/secret"
)

const (
	maxAnswerBytes = 8 << 20
	// maxListBytes bounds what is answered about many identities at once.
	maxListBytes = 64 << 20
	password     = "password" // the credential type

	defaultBatchTimeout = 110 * time.Second
	defaultRetryPause   = time.Second
)

// Options are what a Client is made of.
type Options struct {
	// AdminURL is Kratos' admin API, such as http://127.0.0.1:4434.
	AdminURL string
	// PublicURL is Kratos' public API as ferry reaches it, such as
	// http://127.0.0.1:4433. Identity schemas are read there. Empty: they are read where
	// the admin API redirects to, which is serve.public.base_url of Kratos.
	PublicURL string
	// Token is sent to the admin API as bearer token where it is not empty.
	Token secret.String
	// Timeout bounds one look-up, all its requests together.
	Timeout time.Duration
	// BatchTimeout bounds what is about many identities at once: a batch, a page of
	// Walk, an Exist. 0 is 110 s: Kratos' admin API itself gives up after 120 s.
	BatchTimeout time.Duration
	// RetryPause is how long Walk waits before it asks for a page again, twice as long
	// each further time. 0 is a second.
	RetryPause time.Duration
	// Transport sends the requests. It must not take one request's answer for
	// another's; that of package transport does not.
	Transport http.RoundTripper
}

// Client asks one Kratos. It is safe for concurrent use.
type Client struct {
	api          client.IdentityAPI
	http         *http.Client
	admin        *url.URL
	public       *url.URL // nil: where the admin API redirects to
	token        secret.String
	timeout      time.Duration
	batchTimeout time.Duration
	retryPause   time.Duration
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
	var public *url.URL
	if opts.PublicURL != "" {
		if public, err = url.Parse(strings.TrimRight(opts.PublicURL, "/")); err != nil {
			return nil, errors.New("kratos: the public URL is not a valid URL")
		}
	}
	cfg := client.NewConfiguration()
	cfg.Servers = client.ServerConfigurations{{URL: strings.TrimRight(opts.AdminURL, "/")}}
	cfg.UserAgent = userAgent
	cfg.HTTPClient = &http.Client{
		Transport:     reader{opts.Transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if !opts.Token.Empty() {
		cfg.DefaultHeader["Authorization"] = "Bearer " + opts.Token.Reveal()
	}
	c := &Client{
		api: client.NewAPIClient(cfg).IdentityAPI, http: cfg.HTTPClient, admin: admin, public: public, token: opts.Token,
		timeout: opts.Timeout, batchTimeout: opts.BatchTimeout, retryPause: opts.RetryPause,
	}
	if c.batchTimeout <= 0 {
		c.batchTimeout = defaultBatchTimeout
	}
	if c.retryPause <= 0 {
		c.retryPause = defaultRetryPause
	}
	return c, nil
}

const userAgent = "ferry"

// Find returns the one identity whose password credential lists the identifier, in
// the form that NormalizeIdentifier gives, as it is now. None and several are an
// *Error, as everything is that leaves doubt.
func (c *Client) Find(ctx context.Context, identifier string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// What others may have in metadata_admin is no reason to turn this person away.
	var list []coreJSON
	err := c.read(ctx, &list, func(ctx context.Context) error {
		_, _, err := c.api.ListIdentities(ctx).CredentialsIdentifier(identifier).IncludeCredential([]string{password}).Execute() //nolint:bodyclose // reader has read it
		return err
	}, "metadata_admin")
	if err != nil {
		return Identity{}, err
	}
	list = slices.DeleteFunc(list, func(i coreJSON) bool { return !i.lists(identifier) })
	switch len(list) {
	case 1:
		return c.identity(ctx, list[0].ID, identifier)
	case 0:
		return Identity{}, &Error{Outcome: outcome.Unavailable, Status: http.StatusOK, Reason: "no_identity"}
	default:
		return Identity{}, garbled("several_identities")
	}
}

// identity reads one by its id: a list may be older than the identity.
func (c *Client) identity(ctx context.Context, id, identifier string) (Identity, error) {
	if id == "" {
		return Identity{}, garbled("identity_id")
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
		return Identity{}, garbled("identity_changed")
	}
	return found.identity(identifier)
}
