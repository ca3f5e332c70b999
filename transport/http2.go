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
	// maxDials limits the concurrent dials to one host: the first connection that speaks
	// HTTP/2 serves all waiting requests.
	maxDials = 4
	// A silent connection is pinged, and closed if it does not answer. Otherwise every
	// request until the next timeout would be lost.
	pingAfter   = 4 * time.Second
	pingTimeout = 3 * time.Second
	writeWait   = 5 * time.Second
)

// The protocols in ALPN (RFC 9113, 3.1, and RFC 7301, 6).
const (
	protoHTTP2 = "h2"
	protoHTTP1 = "http/1.1"
)

// host holds the state of one host over TLS.
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

// sendTLS sends a request on a stream of its own, or on a connection of its own if the host
// does not speak HTTP/2. A ClientConn sends a request once: a stream that is refused, reset
// or cut off by GOAWAY is an error.
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
	if t.opts.OwnConnections {
		own, err = t.dialTLS(req, protoHTTP1)
		return nil, own, err
	}
	h := t.host(at)
	if shared = h.reserve(); shared != nil {
		return shared, nil, nil
	}
	if release, err := h.acquire(ctx); err != nil {
		return nil, nil, err
	} else if release != nil {
		defer release()
		if shared = h.reserve(); shared != nil { // another request made it meanwhile
			return shared, nil, nil
		}
	}
	conn, err := t.dialTLS(req, protoHTTP2, protoHTTP1)
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

// dialTLS connects to the host of a request, and negotiates one of the protocols.
func (t *Transport) dialTLS(req *http.Request, protocols ...string) (*tls.Conn, error) {
	raw, err := t.dial(req)
	if err != nil {
		return nil, err
	}
	return t.secure(req.Context(), raw, req.URL.Hostname(), protocols...)
}

// multiplexed makes an HTTP/2 connection from conn.
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

// reserve reserves a stream on a shared connection. It returns nil if none has a free one.
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

// add shares a connection, and reserves one of its streams.
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

// acquire waits until it may dial. release is nil if dials are not limited, because every
// request needs a connection of its own.
func (h *host) acquire(ctx context.Context) (release func(), err error) {
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
