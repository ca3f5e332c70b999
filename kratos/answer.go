package kratos

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	client "github.com/ory/kratos-client-go"

	"ferry/secret"
	"ferry/strictjson"
	"ferry/transport"
)

const userAgent = "ferry"

// api sends requests to Kratos, with bounds on their time and on the size of the answers.
type api struct {
	client.IdentityAPI

	http    *http.Client
	timeout time.Duration // of a request, with its repetitions
	admin   *url.URL
	token   secret.String
}

// newAPI makes an api. timeout bounds one request, limit the body of its answer.
func newAPI(opts Options, admin *url.URL, timeout time.Duration, limit int64) api {
	a := api{timeout: timeout + opts.RateLimitWait, admin: admin, token: opts.Token}
	var sender http.RoundTripper = reader{next: opts.Transport, limit: limit}
	if opts.RateLimitWait > 0 {
		sender = retrier{next: sender, attempt: timeout, wait: opts.RateLimitWait, pause: opts.RetryPause, now: time.Now, sleep: sleep}
	}
	a.http = &http.Client{
		Transport:     deadline{next: sender, timeout: a.timeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	cfg := client.NewConfiguration()
	cfg.Servers = client.ServerConfigurations{{URL: admin.String()}}
	cfg.UserAgent = userAgent
	cfg.HTTPClient = a.http
	if !opts.Token.Empty() {
		cfg.DefaultHeader["Authorization"] = "Bearer " + opts.Token.Reveal()
	}
	a.IdentityAPI = client.NewAPIClient(cfg).IdentityAPI
	return a
}

// bound limits the time of several requests together.
func (a api) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.timeout)
}

// send makes a request without the generated client: one that it cannot make, or one of each
// login, which it would decode as well. The results are those of ask. The token goes to the
// admin API only.
func (a api) send(ctx context.Context, method string, to *url.URL, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, noAnswer(err)
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if sameOrigin(to, a.admin) && !a.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+a.token.Reveal())
	}
	return receive(a.http.Do(req)) //nolint:bodyclose // receive closes it
}

// ask makes one call of the generated client and returns the answer undecoded: the client
// would take the last of two equal keys. The error is an *Error if there was no answer to
// rely on, or its status is not 200; in the latter case the answer is returned too.
func ask[T any](call interface {
	Execute() (T, *http.Response, error)
},
) (answer, error) {
	_, resp, err := call.Execute() //nolint:bodyclose // receive closes it
	return receive(resp, err)
}

// answer is an HTTP answer with its whole body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func receive(resp *http.Response, err error) (answer, error) {
	if resp == nil {
		return answer{}, noAnswer(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := transport.ReadAll(resp.Body, resp.ContentLength)
	if err != nil {
		return answer{}, noAnswer(err)
	}
	if resp.StatusCode != http.StatusOK {
		err = refusal(resp.StatusCode, body)
	}
	return answer{resp.StatusCode, resp.Header, body}, err
}

// decode reads the body strictly.
func (a answer) decode(into any) error {
	if strictjson.Unmarshal(a.body, into, opaque()...) != nil {
		return invalidResponse("answer_malformed")
	}
	return nil
}

// deadline bounds the time of a request whose answer is read before RoundTrip returns. The
// timeout of an http.Client would take a goroutine for each request.
type deadline struct {
	next    http.RoundTripper
	timeout time.Duration
}

// RoundTrip implements http.RoundTripper.
func (d deadline) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), d.timeout)
	defer cancel()
	return d.next.RoundTrip(req.WithContext(ctx))
}

// reader reads answers to their end, up to a limit, before anything of them is used: only
// then is it known that the connection brought nothing else.
type reader struct {
	next  http.RoundTripper
	limit int64
}

// RoundTrip implements http.RoundTripper.
func (r reader) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	unread := resp.Body
	defer func() { _ = unread.Close() }()
	if resp.StatusCode < http.StatusOK {
		return nil, transport.ErrSwitched // its body would never end
	}
	body, err := transport.ReadAll(http.MaxBytesReader(nil, unread, r.limit), resp.ContentLength)
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Type") // without it, the generated client spends no time on decoding
	return resp, nil
}
