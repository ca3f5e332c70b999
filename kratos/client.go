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

// Options configure a Client. AdminURL, Timeout and Transport are required.
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
	admin      *url.URL
	public     *url.URL // nil: where the admin API redirects to
	one, many  api      // for calls about one identity and about many
	retryPause time.Duration
}

// New makes a Client. It sends nothing.
func New(opts Options) (*Client, error) {
	if opts.AdminURL == "" || opts.Transport == nil || opts.Timeout <= 0 {
		return nil, errors.New("kratos: admin URL, transport and timeout are required")
	}
	admin, err := url.Parse(strings.TrimRight(opts.AdminURL, "/"))
	if err != nil {
		return nil, errors.New("kratos: invalid admin URL")
	}
	var public *url.URL
	if opts.PublicURL != "" {
		if public, err = url.Parse(strings.TrimRight(opts.PublicURL, "/")); err != nil {
			return nil, errors.New("kratos: invalid public URL")
		}
	}
	if opts.BatchTimeout <= 0 {
		opts.BatchTimeout = defaultBatchTimeout
	}
	if opts.RetryPause <= 0 {
		opts.RetryPause = defaultRetryPause
	}
	return &Client{
		admin: admin, public: public, retryPause: opts.RetryPause,
		one:  newAPI(opts, admin, opts.Timeout, maxAnswerBytes),
		many: newAPI(opts, admin, opts.BatchTimeout, maxListBytes),
	}, nil
}
