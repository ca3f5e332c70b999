// Package transport sends HTTP requests so that every answer belongs to its request.
//
// Over HTTP/2 the stream id ties an answer to its request. Over HTTP/1.1 a connection
// carries one request and is closed after its answer; if it brings any other bytes, the
// answer is discarded. No request is ever sent twice. The package does not follow
// redirects, retry, or interpret answers.
package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// The errors that RoundTrip and the bodies of its answers return beside those of the
// network and of the request's context.
var (
	// ErrSurplus: an HTTP/1.1 connection brought bytes before the request was sent, or
	// more than one answer to it, so it is unknown which one is the answer.
	ErrSurplus = errors.New("the connection brought more than one answer")
	// ErrSwitched: the answer is 101 Switching Protocols, which ferry never requests.
	ErrSwitched = errors.New("the answer is 101 Switching Protocols")
)

var (
	errURL               = errors.New("request URL without host, or with a scheme other than http and https")
	errHeader            = errors.New("invalid name or value of a request header")
	errManyInformational = errors.New("too many informational (1xx) answers")
	errHeaderTooLarge    = errors.New("answer header too large")
)

// DialError means that no connection was made. Nothing of the request was sent.
type DialError struct{ err error }

// Error returns the text of the cause.
func (e *DialError) Error() string { return fmt.Sprintf("connect: %v", e.err) }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.err }

// Timeout reports whether the cause is a timeout.
func (e *DialError) Timeout() bool {
	var cause interface{ Timeout() bool }
	return errors.As(e.err, &cause) && cause.Timeout()
}

// Options configure a Transport. All are optional.
type Options struct {
	// Proxy returns the proxy for a request, as http.Transport.Proxy does. If nil, no proxy
	// is used. Proxy URLs may be http, https, socks5 and socks5h; every request goes through
	// a tunnel.
	Proxy func(*http.Request) (*url.URL, error)
	// TLS is the configuration of connections over TLS. If nil, the system's certificate
	// authorities are trusted.
	TLS *tls.Config
	// Dial makes a TCP connection. If nil, a net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// MaxRequests limits the requests in flight, including the reading of their answers;
	// further requests wait. 0 means no limit.
	MaxRequests int
	// IdleTimeout is how long an HTTP/2 connection without requests is kept; 0 means 30 s.
	IdleTimeout time.Duration
	// OwnConnections gives each request a connection of its own over TLS too, so that a load
	// balancer spreads the requests.
	OwnConnections bool
}

const defaultIdleTimeout = 30 * time.Second

// Transport is an http.RoundTripper. It is safe for concurrent use.
type Transport struct {
	opts  Options
	slots chan struct{} // nil: no limit

	mu    sync.Mutex
	hosts map[string]*host // by host and port; over TLS alone
}

// New makes a Transport. It opens no connection.
func New(opts Options) *Transport {
	if opts.Dial == nil {
		opts.Dial = new(net.Dialer).DialContext
	}
	if opts.IdleTimeout <= 0 {
		opts.IdleTimeout = defaultIdleTimeout
	}
	t := &Transport{opts: opts, hosts: map[string]*host{}}
	if opts.MaxRequests > 0 {
		t.slots = make(chan struct{}, opts.MaxRequests)
	}
	return t
}

// RoundTrip implements http.RoundTripper. Neither it nor the body of its answer
// outlives the request's context. The body returns ErrSurplus instead of io.EOF if the
// connection brought more than the answer: read it to its end before trusting any of it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := check(req); err != nil {
		closeBody(req)
		return nil, err
	}
	release, err := t.acquire(req.Context())
	if err != nil {
		closeBody(req)
		return nil, &DialError{err}
	}
	resp, err := t.send(req)
	if err != nil {
		release()
		return nil, err
	}
	resp.Body = &slotBody{ReadCloser: resp.Body, release: release}
	return resp, nil
}

func (t *Transport) send(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "https" {
		return t.sendTLS(req)
	}
	conn, err := t.dial(req)
	if err != nil {
		closeBody(req)
		return nil, &DialError{err}
	}
	return exchange(conn, req)
}

// check refuses requests that could not be sent unchanged. Its errors quote nothing of the
// request, because a header may be a secret.
func check(req *http.Request) error {
	if req.URL == nil || req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return errURL
	}
	for name, values := range req.Header {
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return errHeader
		}
	}
	return nil
}

// acquire waits for one of the slots.
func (t *Transport) acquire(ctx context.Context) (release func(), err error) {
	if t.slots == nil {
		return func() {}, nil
	}
	select {
	case t.slots <- struct{}{}:
		return func() { <-t.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// CloseIdleConnections closes the HTTP/2 connections that have no request in flight. HTTP/1.1
// connections are never idle.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.hosts {
		h.closeIdle()
	}
}

// maxDeclared is the longest body for which ReadAll makes room because its length was declared.
const maxDeclared = 64 << 10

// ReadAll reads a body to its end, with room for its declared length, such as
// http.Response.ContentLength. The length is a hint: the body may have any length.
func ReadAll(body io.Reader, declared int64) ([]byte, error) {
	var all bytes.Buffer
	if declared > 0 && declared <= maxDeclared {
		all.Grow(int(declared) + bytes.MinRead)
	}
	_, err := all.ReadFrom(body)
	return all.Bytes(), err
}

// slotBody is the body of an answer. It holds a slot until it is read or closed.
type slotBody struct {
	io.ReadCloser

	once    sync.Once
	release func()
}

// Read implements io.Reader.
func (b *slotBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(b.release)
	}
	return n, err
}

// Close closes the body and releases the slot.
func (b *slotBody) Close() error {
	defer b.once.Do(b.release)
	return b.ReadCloser.Close()
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// address returns host and port of a URL, with the default port of its scheme.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	case "socks5", "socks5h":
		return "1080"
	}
	return ""
}
