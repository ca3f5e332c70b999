package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"ferry/transport"
)

// join copies both ways until one side closes.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, c := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(c[0], c[1])
			_ = a.Close()
			_ = b.Close()
		})
	}
	both.Wait()
}

// httpProxy is a proxy that tunnels for clients with its password.
func httpProxy(t *testing.T) *url.URL {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != "Basic a2ltOmNhbmFyeQ==" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		target, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection Established\r\n\r\n")
		join(conn, target)
	}))
	t.Cleanup(srv.Close)
	at, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("kim", "canary")
	return at
}

// socksProxy implements the part of SOCKS5 (RFC 1928) that reaches an IPv4 address.
func socksProxy(t *testing.T) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				hello, ask := make([]byte, 2), make([]byte, 10)
				if _, err := io.ReadFull(conn, hello); err != nil {
					return
				}
				_, _ = io.CopyN(io.Discard, conn, int64(hello[1]))
				_, _ = conn.Write([]byte{5, 0})
				if _, err := io.ReadFull(conn, ask); err != nil {
					return
				}
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ask[4:8])), binary.BigEndian.Uint16(ask[8:]))
				target, err := new(net.Dialer).DialContext(t.Context(), "tcp", to.String())
				if err != nil {
					return
				}
				_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
				join(conn, target)
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); running.Wait() })
	return &url.URL{Scheme: "socks5", Host: listener.Addr().String()}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	for name, via := range map[string]*url.URL{"CONNECT": httpProxy(t), "SOCKS5": socksProxy(t)} {
		for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" "+proto, func(t *testing.T) {
				srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, r.Proto)
				}))
				srv.EnableHTTP2 = proto == "HTTP/2.0"
				srv.StartTLS()
				defer srv.Close()
				roots := x509.NewCertPool()
				roots.AddCert(srv.Certificate())
				wire := transport.New(transport.Options{
					TLS:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
					Proxy: func(*http.Request) (*url.URL, error) { return via, nil },
				})
				for range 3 {
					if got, err := post(t.Context(), wire, srv.URL, ""); err != nil || got != proto {
						t.Errorf("%q, %v", got, err)
					}
				}
				wire.CloseIdleConnections()
			})
		}
	}
}

// TestProxyThatRefuses: the error says that nothing was sent.
func TestProxyThatRefuses(t *testing.T) {
	t.Parallel()
	via := *httpProxy(t)
	via.User = url.UserPassword("kim", "wrong")
	wire := transport.New(transport.Options{Proxy: func(*http.Request) (*url.URL, error) { return &via, nil }})
	var unsent *transport.DialError
	if _, err := post(t.Context(), wire, "https://127.0.0.1:9", "question"); !errors.As(err, &unsent) {
		t.Errorf("%v", err)
	}
}

// TestSurplusOfAProxy: a connection on which a proxy sends more than its own answer is not used.
func TestSurplusOfAProxy(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}))
	t.Cleanup(srv.Close)
	via, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	wire := transport.New(transport.Options{Proxy: func(*http.Request) (*url.URL, error) { return via, nil }})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var unsent *transport.DialError
	if got, err := post(ctx, wire, "http://127.0.0.1:9", "question"); !errors.Is(err, transport.ErrSurplus) || !errors.As(err, &unsent) {
		t.Errorf("%q, %v", got, err)
	}
}
