// Package transport sends HTTP requests so that every answer belongs to its question.
//
// Over HTTP/2 the stream id ties an answer to its request. Over HTTP/1.1 a connection
// carries one request and is closed after its answer; where it brings anything else,
// the answer is not believed. No request is ever sent twice.
package transport

import (
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
	// more than one answer to it. Which of them is the answer cannot be told.
	ErrSurplus = errors.New("the connection brought more than one answer")
	// ErrSwitched: 101 Switching Protocols. No request of ferry's asks for that.
	ErrSwitched = errors.New("the answer is 101 Switching Protocols")
)

var (
	errURL               = errors.New("the URL of the request has no host, or a scheme other than http and https")
	errHeader            = errors.New("a header of the request has a name or a value that cannot be sent")
	errManyInformational = errors.New("too many 1xx answers before the final one")
	errHeaderTooLarge    = errors.New("the header of the answer is too large")
)

// DialError means that no connection was made. Nothing of the request was sent.
type DialError struct{ err error }

// Error is the cause's text.
func (e *DialError) Error() string { return fmt.Sprintf("connect: %v", e.err) }

// Unwrap is the cause.
func (e *DialError) Unwrap() error { return e.err }

// Timeout reports whether the cause is one.
func (e *DialError) Timeout() bool {
	var cause interface{ Timeout() bool }
	return errors.As(e.err, &cause) && cause.Timeout()
}

// Options are what a Transport is made of. The zero value is usable.
type Options struct {
	// Proxy returns the proxy for a request, as http.Transport.Proxy does; nil: none is
	// used. Proxies are reached with http, https, socks5 and socks5h URLs, and every
	// request through them goes through a tunnel.
	Proxy func(*http.Request) (*url.URL, error)
	// TLS is the configuration of connections over TLS; nil: the system's authorities.
	TLS *tls.Config
	// Dial makes a TCP connection; nil: a net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// MaxRequests is how many requests are under way at once, their bodies included;
	// more wait. 0 is no limit.
	MaxRequests int
	// IdleTimeout is how long an HTTP/2 connection without requests is kept; 0 is 30 s.
	IdleTimeout time.Duration
}

const defaultIdleTimeout = 30 * time.Second

// Transport is an http.RoundTripper. It is safe for concurrent use.
type Transport struct {
	opts  Options
	slots chan struct{} // nil: no limit

	mu    sync.Mutex
	hosts map[string]*host // by host and port; over TLS alone
}

// New makes a Transport. It connects to nothing.
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
// outlives the request's context. The body returns ErrSurplus in place of io.EOF where
// the connection brought more than the answer: read it to its end before believing
// any of it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := check(req); err != nil {
		closeBody(req)
		return nil, err
	}
	release, err := t.enter(req.Context())
	if err != nil {
		closeBody(req)
		return nil, &DialError{err}
	}
	resp, err := t.send(req)
	if err != nil {
		release()
		return nil, err
	}
	resp.Body = &held{ReadCloser: resp.Body, release: release}
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

// check refuses requests that would not arrive as they are. Its errors quote nothing of
// them: a header may be a secret.
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

// enter takes one of the slots, in its turn.
func (t *Transport) enter(ctx context.Context) (release func(), err error) {
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

// CloseIdleConnections closes the HTTP/2 connections that carry no request.
// HTTP/1.1 connections are never idle.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.hosts {
		h.closeIdle()
	}
}

// held is the body of an answer, which holds a slot until its end, or until it is closed.
type held struct {
	io.ReadCloser

	once    sync.Once
	release func()
}

// Read implements io.Reader.
func (h *held) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	if err != nil {
		h.once.Do(h.release)
	}
	return n, err
}

// Close closes the body and gives the slot back.
func (h *held) Close() error {
	defer h.once.Do(h.release)
	return h.ReadCloser.Close()
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// address is where to connect to, with the port that the scheme stands for.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
