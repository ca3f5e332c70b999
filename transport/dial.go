package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/proxy"
)

const handshakeTimeout = 5 * time.Second

// IsLoopback reports whether host is a loopback address or localhost.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// dial connects to the host of a request, through the proxy if there is one.
func (t *Transport) dial(req *http.Request) (net.Conn, error) {
	ctx, target := req.Context(), address(req.URL)
	if t.opts.Proxy == nil {
		return t.opts.Dial(ctx, "tcp", target)
	}
	via, err := t.opts.Proxy(req)
	switch {
	case err != nil:
		return nil, fmt.Errorf("proxy: %w", err)
	case via == nil:
		return t.opts.Dial(ctx, "tcp", target)
	case via.Scheme == "socks5", via.Scheme == "socks5h":
		return t.socks(ctx, via, target)
	}
	return t.tunnel(ctx, via, target)
}

// dialFunc is a proxy.Dialer.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dial implements proxy.Dialer, of which only DialContext is used.
func (dialFunc) Dial(string, string) (net.Conn, error) { return nil, errors.ErrUnsupported }

// DialContext implements proxy.ContextDialer.
func (f dialFunc) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return f(ctx, network, address)
}

// socks connects through a SOCKS5 proxy (RFC 1928).
func (t *Transport) socks(ctx context.Context, via *url.URL, target string) (net.Conn, error) {
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	dialer, err := proxy.SOCKS5("tcp", address(via), auth, dialFunc(t.opts.Dial))
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	withContext, ok := dialer.(proxy.ContextDialer)
	if !ok {
		return nil, errors.New("proxy: the SOCKS dialer does not support contexts")
	}
	return withContext.DialContext(ctx, "tcp", target)
}

// tunnel connects through an HTTP proxy (RFC 9110, 9.3.6).
func (t *Transport) tunnel(ctx context.Context, via *url.URL, target string) (net.Conn, error) {
	conn, err := t.opts.Dial(ctx, "tcp", address(via))
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if via.Scheme == "https" {
		if conn, err = t.secure(ctx, conn, via.Hostname()); err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := connectThrough(conn, via, target); err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return conn, nil
}

// connectThrough requests a tunnel from the proxy that conn is connected to.
func connectThrough(conn net.Conn, via *url.URL, target string) error {
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{"User-Agent": {"ferry"}}}
	if via.User != nil {
		password, _ := via.User.Password()
		ask.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)))
	}
	if err := ask.Write(conn); err != nil {
		return err
	}
	br := bufio.NewReader(&io.LimitedReader{R: conn, N: maxHeaderBytes})
	resp, err := http.ReadResponse(br, ask)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		_ = resp.Body.Close()
		return fmt.Errorf("CONNECT: status %d", resp.StatusCode)
	case br.Buffered() > 0:
		return ErrSurplus
	}
	return nil
}

// secure makes a TLS connection from conn. On an error it closes conn.
func (t *Transport) secure(ctx context.Context, conn net.Conn, name string, protocols ...string) (*tls.Conn, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.opts.TLS != nil {
		cfg = t.opts.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = name
	}
	cfg.NextProtos = protocols
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secured := tls.Client(conn, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}
