package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ferry/outcome"
	"ferry/strictjson"
	"ferry/transport"
)

const (
	// grantPassword is RFC 6749, 4.3; grantPasswordRealm is Auth0's extension of it.
	grantPassword      = "password"
	grantPasswordRealm = "http://auth0.com/oauth/grant-type/password-realm" //nolint:gosec // G101: the name of a grant

	maxAnswerBytes = 1 << 20
	dialTries      = 3
	dialPause      = 100 * time.Millisecond
)

// tokenResponse is RFC 6749, 5.1, as far as ferry needs it. Error is there because an answer with
// status 200 may have one, and it is recognized in any case: another reader of the answer could
// take "Error" for it.
type tokenResponse struct {
	AccessToken string             `json:"access_token"`
	IDToken     string             `json:"id_token"`
	Error       strictjson.NotNull `json:"error,case:ignore"`
}

// reply is an HTTP answer with its complete body.
type reply struct {
	status int
	header http.Header
	isJSON bool
	body   []byte
}

// grant sends the password and reads the answer.
func (c *Client) grant(ctx context.Context, credentials Credentials) (tokenResponse, *LoginError) {
	answer, loginErr := c.send(ctx, credentials)
	if loginErr != nil {
		return tokenResponse{}, loginErr
	}
	if answer.status != http.StatusOK {
		loginErr = classify(answer)
	}
	c.opts.Guard.heard(credentials, answer.header, loginErr)
	if loginErr != nil {
		return tokenResponse{}, loginErr
	}
	var tokens tokenResponse
	invalid := func(reason string) (tokenResponse, *LoginError) {
		return tokenResponse{}, &LoginError{Outcome: outcome.InvalidResponse, Status: answer.status, Reason: reason}
	}
	switch {
	case !answer.isJSON:
		return invalid("not_json")
	case strictjson.Unmarshal(answer.body, &tokens) != nil:
		return invalid("malformed")
	case bool(tokens.Error):
		return invalid("error_with_200")
	case tokens.AccessToken == "":
		return invalid("no_access_token")
	}
	return tokens, nil
}

// send posts the grant.
func (c *Client) send(ctx context.Context, credentials Credentials) (reply, *LoginError) {
	form, header, err := c.request(credentials)
	if err != nil {
		return reply{}, &LoginError{Outcome: outcome.Misconfigured, Reason: ReasonClientAssertion}
	}
	return c.post(ctx, "/oauth/token", form, header)
}

// post posts a form to the path. It retries only as long as there was no connection
// to Auth0, so nothing of the request can have been sent.
func (c *Client) post(ctx context.Context, path, form string, header http.Header) (reply, *LoginError) {
	for try := 1; ; try++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.opts.BaseURL+path, strings.NewReader(form))
		if err != nil {
			return reply{}, &LoginError{Outcome: outcome.Misconfigured, Reason: ReasonBadBaseURL}
		}
		req.Header = header
		answer, err := c.http.roundTrip(req)
		if err == nil {
			return answer, nil
		}
		var unsent *transport.DialError
		if !errors.As(err, &unsent) || try == dialTries || isPermanent(err) || !pause(ctx, dialPause) {
			return reply{}, noAnswer(answer, err)
		}
	}
}

// request is the body and the header of the grant (contract, 1.1).
func (c *Client) request(credentials Credentials) (string, http.Header, error) {
	form := url.Values{
		"grant_type": {grantPassword},
		"username":   {credentials.Username},
		"password":   {credentials.Password.Reveal()},
		"scope":      {c.opts.Scope},
	}
	if credentials.Realm != "" {
		form.Set("grant_type", grantPasswordRealm)
		form.Set("realm", credentials.Realm)
	}
	if c.opts.Audience != "" {
		form.Set("audience", c.opts.Audience)
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if credentials.ClientIP.IsValid() {
		header.Set("Auth0-Forwarded-For", credentials.ClientIP.String())
	}
	err := c.opts.ClientAuth.sign(form, header)
	return form.Encode(), header, err
}

var errTooLarge = errors.New("answer too large")

// httpClient is how every request to Auth0 goes out: redirects are not followed.
type httpClient struct{ *http.Client }

func newHTTP(transport http.RoundTripper) httpClient {
	return httpClient{&http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// roundTrip sends one request to Auth0 and reads the answer whole, up to a bound.
// Where the body cannot be read, the status comes with the error.
func (c httpClient) roundTrip(req *http.Request) (reply, error) {
	req.GetBody = nil // without it no transport of net/http can send the body twice
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "ferry")
	resp, err := c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusOK {
		return reply{status: resp.StatusCode}, transport.ErrSwitched // its body would never end
	}
	body, err := transport.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1), resp.ContentLength)
	if err == nil && len(body) > maxAnswerBytes {
		err = errTooLarge
	}
	if err != nil {
		return reply{status: resp.StatusCode}, err
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isJSON := err == nil && media == "application/json"
	return reply{status: resp.StatusCode, header: resp.Header, isJSON: isJSON, body: body}, nil
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isPermanent reports whether the certificate is not trusted, so that a retry cannot help.
func isPermanent(err error) bool {
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &certificate) || errors.As(err, &unknown) || errors.As(err, &host)
}

// noAnswer is the error of a request without an answer that could be read and trusted.
func noAnswer(answer reply, err error) *LoginError {
	loginErr := &LoginError{Outcome: outcome.Unavailable, Status: answer.status, Reason: transportReason(err)}
	if errors.Is(err, transport.ErrSurplus) || errors.Is(err, transport.ErrSwitched) {
		loginErr.Outcome = outcome.InvalidResponse
	}
	return loginErr
}

// transportReason is one word for a transport error. The error's own text may quote the
// other side, which may echo the request.
func transportReason(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var record tls.RecordHeaderError
	var netErr net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return reasonCallerGone
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return ReasonTimeout
	case errors.Is(err, errTooLarge):
		return "answer_too_large"
	case errors.Is(err, transport.ErrSurplus):
		return "surplus_answer"
	case errors.Is(err, transport.ErrSwitched):
		return "protocol_switch"
	case errors.As(err, &dns):
		return ReasonDNS
	case isPermanent(err), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return ReasonTLS
	case errors.As(err, &op) && op.Op == "dial":
		return ReasonDial
	}
	return "connection_broken"
}
