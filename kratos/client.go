// Package kratos calls Kratos' admin API. For a login it finds the identity of an
// identifier, whether its password is pending, and the Auth0 users it was imported from.
// For bulk runs it creates identities in batches and lists all identities.
//
// It believes an answer only if it was read to its end, within bounds, and its JSON is
// unambiguous. It does not decide whether a login may succeed.
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
	// maxListBytes bounds an answer about many identities.
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
	// http://127.0.0.1:4433. Identity schemas are read there. If empty, they are read
	// from where the admin API redirects to: serve.public.base_url of Kratos.
	PublicURL string
	// Token is sent to the admin API as a bearer token. It may be empty.
	Token secret.String
	// Timeout bounds a call about one identity, all its requests together.
	Timeout time.Duration
	// BatchTimeout bounds a call about many identities: a batch, a page of Walk, an
	// Exist. 0 means 110 s: Kratos' admin API itself gives up after 120 s.
	BatchTimeout time.Duration
	// RetryPause is the delay before Walk requests a page again; it doubles with each
	// retry. 0 means one second.
	RetryPause time.Duration
	// Rest says how long Walk waits before it requests the next page, given how long the
	// last one took. Nil: it does not wait.
	Rest func(took time.Duration) time.Duration
	// RateLimitWait bounds the total time that a request waits when Kratos answers 429
	// before it is sent again. 0 means no retry, as for a login.
	RateLimitWait time.Duration
	// Transport sends the requests. It must never return the answer to one request for
	// another; package transport provides one that does not.
	Transport http.RoundTripper
}

// Client asks one Kratos. It is safe for concurrent use.
type Client struct {
	admin      *url.URL
	public     *url.URL // nil: where the admin API redirects to
	one, many  api      // for calls about one identity and about many
	retryPause time.Duration
	rest       func(time.Duration) time.Duration // nil: none
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
		admin: admin, public: public, retryPause: opts.RetryPause, rest: opts.Rest,
		one:  newAPI(opts, admin, opts.Timeout, maxAnswerBytes),
		many: newAPI(opts, admin, opts.BatchTimeout, maxListBytes),
	}, nil
}
