package transport

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// maxDials is how many connections to one host are made at once: the first that
	// speaks HTTP/2 serves all who wait.
	maxDials = 4
	// A connection on which nothing arrives is asked whether it is alive, and closed
	// where it does not answer: else every request until the next timeout would be lost.
	pingAfter   = 4 * time.Second
	pingTimeout = 3 * time.Second
	writeWait   = 5 * time.Second
)

const protoHTTP2 = "h2" // in ALPN (RFC 9113, 3.1)

// host is what is known of one host over TLS.
type host struct {
	dials chan struct{}

	mu        sync.Mutex
	conns     []*http.ClientConn
	onlyHTTP1 bool // the last connection did not speak HTTP/2
}

func (t *Transport) host(address string) *host {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[address]
	if h == nil {
		h = &host{dials: make(chan struct{}, maxDials)}
		t.hosts[address] = h
	}
	return h
}

// sendTLS sends a request on a stream of its own, or on a connection of its own where
// the host does not speak HTTP/2. A ClientConn sends a request once: what it reports as
// refused, reset or cut off by GOAWAY is an error.
func (t *Transport) sendTLS(req *http.Request) (*http.Response, error) {
	shared, own, err := t.connect(req)
	switch {
	case err != nil:
		closeBody(req)
		return nil, &DialError{err}
	case shared != nil:
		return shared.RoundTrip(req)
	}
	return exchange(own, req)
}

// connect returns an HTTP/2 connection with a stream reserved, or a new connection of
// another protocol.
func (t *Transport) connect(req *http.Request) (shared *http.ClientConn, own *tls.Conn, err error) {
	ctx, at := req.Context(), address(req.URL)
	h := t.host(at)
	if shared = h.reserve(); shared != nil {
		return shared, nil, nil
	}
	if leave, err := h.enter(ctx); err != nil {
		return nil, nil, err
	} else if leave != nil {
		defer leave()
		if shared = h.reserve(); shared != nil { // somebody else's, made meanwhile
			return shared, nil, nil
		}
	}
	raw, err := t.dial(req)
	if err != nil {
		return nil, nil, err
	}
	conn, err := t.secure(ctx, raw, req.URL.Hostname(), protoHTTP2, "http/1.1")
	if err != nil {
		return nil, nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != protoHTTP2 {
		h.note(true)
		return nil, conn, nil
	}
	h.note(false)
	if shared, err = t.multiplexed(ctx, conn, at); err != nil {
		return nil, nil, err
	}
	return shared, nil, h.add(shared)
}

// multiplexed makes an HTTP/2 connection of conn.
func (t *Transport) multiplexed(ctx context.Context, conn *tls.Conn, address string) (*http.ClientConn, error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	one := &http.Transport{
		DialTLSContext:     func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Protocols:          protocols,
		DisableCompression: true,
		IdleConnTimeout:    t.opts.IdleTimeout,
		HTTP2:              &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writeWait},
	}
	return one.NewClientConn(ctx, "https", address)
}

// reserve takes a stream on a connection that has one; nil: there is none.
func (h *host) reserve() *http.ClientConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = slices.DeleteFunc(h.conns, func(c *http.ClientConn) bool { return c.Err() != nil })
	for _, c := range h.conns {
		if c.Available() > 0 && c.Reserve() == nil {
			return c
		}
	}
	return nil
}

// add shares a connection, with one stream of it reserved.
func (h *host) add(c *http.ClientConn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := c.Reserve(); err != nil {
		_ = c.Close()
		return err
	}
	h.conns = append(h.conns, c)
	return nil
}

func (h *host) note(onlyHTTP1 bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onlyHTTP1 = onlyHTTP1
}

// enter waits for a turn to connect. leave is nil where there are no turns, because
// every request needs a connection of its own.
func (h *host) enter(ctx context.Context) (leave func(), err error) {
	h.mu.Lock()
	own := h.onlyHTTP1
	h.mu.Unlock()
	if own {
		return nil, nil
	}
	select {
	case h.dials <- struct{}{}:
		return func() { <-h.dials }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *host) closeIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		if c.InFlight() == 0 {
			_ = c.Close()
		}
	}
}
