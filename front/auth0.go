package front

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"ferry/proxy"
	"ferry/transport"
)

const (
	// auth0Time bounds a request that passes on to Auth0, with its answer.
	auth0Time = 8 * time.Second
	// maxAuth0 bounds the requests that wait for Auth0. Further ones are told to try again, so
	// that a slow Auth0 takes no more than these.
	maxAuth0 = 256
	// maxAuth0Bytes bounds an answer of Auth0.
	maxAuth0Bytes = 1 << 20
)

var errTooLong = errors.New("the answer is too long")

// enterAuth0 begins a request that needs Auth0. The refusal says why it may not.
func (f *Front) enterAuth0(r *http.Request) (leave func(), is result, no *refusal) {
	if f.opts.Auth0 != nil && strings.EqualFold(r.Host, f.opts.Auth0.Host) {
		if f.strange.first(r.Host) {
			f.opts.Log.Error("token front: FERRY_AUTH0_DOMAIN, or FERRY_AUTH0_BASE_URL, is the host for which the token front answers: it must be the tenant's own domain")
		}
		return nil, resultAuth0Self, unavailable("The authorization server is not configured.")
	}
	select {
	case f.auth0 <- struct{}{}:
		return func() { <-f.auth0 }, "", nil
	default:
		return nil, resultBusy, unavailable("There are too many requests.")
	}
}

// toAuth0 sends a request to Auth0 and passes on its answer: status, type and body. An answer that
// decides nothing is an outage.
func (f *Front) toAuth0(w http.ResponseWriter, r *http.Request, at route, who caller, method, path, body string, header http.Header) {
	leave, is, no := f.enterAuth0(r)
	if no != nil {
		f.refuse(w, at, who, is, no)
		return
	}
	defer leave()
	answer, err := f.askAuth0(r.Context(), method, path, body, header)
	if err != nil {
		f.opts.Log.Warn("token front: Auth0 did not answer", zap.Stringer("route", at), zap.Error(err))
		f.refuse(w, at, who, resultAuth0Unreachable, unavailable("The token could not be checked."))
		return
	}
	if answer.decidesNothing() {
		f.refuse(w, at, who, resultAuth0Unreachable, unavailable("The token could not be checked."))
		return
	}
	f.metrics.answered(at, resultAuth0)
	if who.cors {
		setOrigin(w.Header(), who.origin)
	}
	for _, name := range []string{"Content-Type", "WWW-Authenticate", "Retry-After", "Cache-Control", "Pragma"} {
		if value := answer.header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body)
}

// auth0Answer is an answer of Auth0.
type auth0Answer struct {
	status int
	header http.Header
	body   []byte
}

// decidesNothing reports whether an answer says nothing about the token.
func (a auth0Answer) decidesNothing() bool {
	return a.status < http.StatusOK || a.status >= 300 && a.status < 400 || a.status == http.StatusNotFound || a.status >= http.StatusInternalServerError
}

// askAuth0 sends a request to Auth0, once, and reads the answer.
func (f *Front) askAuth0(ctx context.Context, method, path, body string, header http.Header) (auth0Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, auth0Time)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.opts.Auth0.JoinPath(path).String(), strings.NewReader(body))
	if err != nil {
		return auth0Answer{}, err
	}
	req.GetBody = nil // without it no transport of net/http can send the body twice
	req.Header = header
	req.Header.Set("User-Agent", "ferry")
	resp, err := f.opts.Auth0Transport.RoundTrip(req)
	if err != nil {
		return auth0Answer{}, proxy.WithoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := transport.ReadAll(io.LimitReader(resp.Body, maxAuth0Bytes+1), resp.ContentLength)
	if err == nil && len(text) > maxAuth0Bytes {
		err = errTooLong
	}
	return auth0Answer{resp.StatusCode, resp.Header, text}, err
}

// authorizationForm is the form of a client that authenticates as it did here.
func authorizationForm(r *http.Request, sent *form, names ...string) (body string, header http.Header) {
	header = http.Header{"Content-Type": {formType}, "Accept": {"application/json"}}
	if value := r.Header.Get(headerAuthorization); value != "" {
		header.Set(headerAuthorization, value)
	}
	values := url.Values{}
	for _, name := range names {
		if value := sent.values.Get(name); value != "" {
			values.Set(name, value)
		}
	}
	return values.Encode(), header
}
