// Package kratos speaks to Kratos' admin API. For a login: which identity an
// identifier belongs to, whether it is waiting for its password, and which Auth0
// user it was imported from. For runs over many: it creates identities in batches
// and reads all that there are.
package kratos

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	client "github.com/ory/kratos-client-go"

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
	// RateLimitWait is how long a request may wait, in all, where Kratos answers 429: for
	// as long as the answer says, then it is made again. 0: it does not wait, as at a
	// login.
	RateLimitWait time.Duration
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

	rateLimitWait time.Duration
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
		timeout: opts.Timeout, batchTimeout: opts.BatchTimeout, retryPause: opts.RetryPause, rateLimitWait: opts.RateLimitWait,
	}
	if c.batchTimeout <= 0 {
		c.batchTimeout = defaultBatchTimeout
	}
	if c.retryPause <= 0 {
		c.retryPause = defaultRetryPause
	}
	if c.rateLimitWait > 0 {
		cfg.HTTPClient.Transport = patient{next: cfg.HTTPClient.Transport, wait: c.rateLimitWait, pause: c.retryPause, now: time.Now, sleep: sleep}
	}
	return c, nil
}

const userAgent = "ferry"
