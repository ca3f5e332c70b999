// Package proxy has what ferry's reverse proxies share: the headers that tell the server behind
// them who the client is, the client's address, the reading of a body within bounds, and a limit
// for each network. It knows nothing of the server behind.
package proxy

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"ferry/clientip"
)

// StatusClientClosed is the status that nginx logs for a client that went away; no one receives
// it.
const StatusClientClosed = 499

const (
	// bodyTime is how long a request may take to arrive, and longBodyTime one that is longer
	// than the caller reads. Kratos itself gives up after 15 seconds.
	bodyTime     = 15 * time.Second
	longBodyTime = 30 * time.Second
)

// forwardedFor is the header to which proxies append.
const forwardedFor = "X-Forwarded-For"

// Options configure a reverse proxy. ModifyResponse and TrustedProxies may be zero, the rest is
// required.
type Options struct {
	// Target is the server behind.
	Target *url.URL
	// Transport sends the requests. It must never return the answer to one request for another.
	Transport http.RoundTripper
	// TrustedProxies is the number of proxies in front that append to X-Forwarded-For. 0: this
	// proxy is the outermost, and writes the header itself.
	TrustedProxies int
	// ModifyResponse and ErrorHandler are those of httputil.ReverseProxy.
	ModifyResponse func(*http.Response) error
	ErrorHandler   func(http.ResponseWriter, *http.Request, error)
	// Log takes what net/http reports.
	Log *log.Logger
}

// New makes a reverse proxy. It passes on the host, the query and the headers as they came,
// because servers compare some and know their outside address by their configuration.
func New(opts Options) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(opts.Target)
			p.Out.Host, p.Out.URL.RawQuery = p.In.Host, p.In.URL.RawQuery
			forward(p, opts.TrustedProxies)
		},
		Transport:      opts.Transport,
		FlushInterval:  -1,
		ModifyResponse: opts.ModifyResponse,
		ErrorHandler:   opts.ErrorHandler,
		ErrorLog:       opts.Log,
	}
}

// forward sets the headers that tell the server behind who the client is. Behind a trusted proxy
// they pass as they came. The outermost proxy writes X-Forwarded-For itself and drops what a
// client can forge: some servers prefer the other headers to it.
func forward(p *httputil.ProxyRequest, trustedProxies int) {
	names := []string{"Forwarded", forwardedFor, "X-Forwarded-Host", "X-Forwarded-Proto", "True-Client-Ip", "Cf-Connecting-Ip", "X-Real-Ip"}
	for _, name := range names {
		delete(p.Out.Header, name)
		if values := p.In.Header.Values(name); trustedProxies > 0 && len(values) > 0 {
			p.Out.Header[name] = values
		}
	}
	if trustedProxies > 0 {
		return
	}
	if ip := peer(p.In); ip.IsValid() {
		p.Out.Header.Set(forwardedFor, ip.String())
	}
	scheme := "http"
	if p.In.TLS != nil {
		scheme = "https"
	}
	p.Out.Header.Set("X-Forwarded-Proto", scheme)
	p.Out.Header.Set("X-Forwarded-Host", p.In.Host)
}

// peer is the address that the connection comes from.
func peer(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return clientip.Parse(host)
}

// ClientIP returns the client's address: that of the connection, or with trusted proxies the one
// that the outermost of them wrote. The zero value: it is unknown.
func ClientIP(r *http.Request, trustedProxies int) netip.Addr {
	if trustedProxies == 0 {
		return peer(r)
	}
	return clientip.From(strings.Join(r.Header.Values(forwardedFor), ","), trustedProxies)
}

// ReadBody reads the body of a request, and leaves the request as it was. whole is false if it is
// longer than most bytes; body is then its beginning. An error means that the client did not send
// it.
func ReadBody(w http.ResponseWriter, r *http.Request, most int64) (body []byte, whole bool, err error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // not every server has deadlines
	body, err = io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return nil, false, err
	}
	// A deadline that passes while the server behind works would cancel the request.
	deadline := time.Time{}
	whole = int64(len(body)) <= most
	if !whole {
		deadline = time.Now().Add(longBodyTime)
	}
	_ = control.SetReadDeadline(deadline)
	rest := r.Body
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), rest}
	return body, whole, nil
}

// WithoutURL drops the URL from an error: its query may be secret.
func WithoutURL(err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		return urlError.Err
	}
	return err
}
