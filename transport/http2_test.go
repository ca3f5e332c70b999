package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"ferry/transport"
)

// authority returns a certificate for 127.0.0.1 and a config that trusts it.
func authority(t *testing.T) (tls.Certificate, *tls.Config) {
	t.Helper()
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv.TLS.Certificates[0], &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// stream is a complete request that a rawServer received.
type stream struct {
	*http2.Framer

	id     uint32
	nth    int64 // counted over all connections, from 1
	asked  string
	header *bytes.Buffer
	hpack  *hpack.Encoder
}

// answer sends an answer on a stream, whether or not a request came on it.
func (s stream) answer(id uint32, status, body string) {
	s.header.Reset()
	_ = s.hpack.WriteField(hpack.HeaderField{Name: ":status", Value: status})
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.header.Bytes(), EndHeaders: true})
	_ = s.WriteData(id, true, []byte(body))
}

// rawServer speaks HTTP/2 frame by frame and counts what it receives.
type rawServer struct {
	url         string
	trust       *tls.Config
	connections atomic.Int64
	headers     atomic.Int64 // requests begun
	requests    atomic.Int64 // complete requests
}

// runRaw starts a rawServer that calls script for each request.
func runRaw(t *testing.T, script func(stream)) *rawServer {
	t.Helper()
	certificate, trust := authority(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{url: "https://" + listener.Addr().String(), trust: trust}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				s.serve(conn, script)
			})
		}
	})
	t.Cleanup(func() { stop(); _ = listener.Close(); running.Wait() })
	return s
}

func (s *rawServer) serve(conn net.Conn, script func(stream)) {
	defer func() { _ = conn.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	s.connections.Add(1)
	st := stream{Framer: http2.NewFramer(conn, conn), header: &bytes.Buffer{}}
	st.hpack = hpack.NewEncoder(st.header)
	_ = st.WriteSettings()
	for {
		frame, err := st.ReadFrame()
		if err != nil {
			return
		}
		ended := false
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = st.WriteSettingsAck()
			}
		case *http2.PingFrame:
			_ = st.WritePing(true, f.Data)
		case *http2.HeadersFrame:
			s.headers.Add(1)
			ended = f.StreamEnded()
		case *http2.DataFrame:
			ended = f.StreamEnded()
			st.asked += string(f.Data())
			if n := len(f.Data()); n > 0 {
				_ = st.WriteWindowUpdate(0, uint32(n))
			}
		}
		if ended {
			st.id, st.nth = frame.Header().StreamID, s.requests.Add(1)
			script(st)
			st.asked = ""
		}
	}
}

func (s *rawServer) transport(t *testing.T) *transport.Transport {
	t.Helper()
	wire := transport.New(transport.Options{TLS: s.trust})
	t.Cleanup(wire.CloseIdleConnections)
	return wire
}

// TestNoRequestIsSentTwice: whatever an HTTP/2 server reports about a request, even
// that it did not process it, the request is sent once.
func TestNoRequestIsSentTwice(t *testing.T) {
	t.Parallel()
	reset := func(code http2.ErrCode) func(stream) {
		return func(s stream) { _ = s.WriteRSTStream(s.id, code) }
	}
	for name, script := range map[string]func(stream){
		"goaway below our stream": func(s stream) { _ = s.WriteGoAway(s.id-1, http2.ErrCodeNo, nil) },
		"goaway with an error":    func(s stream) { _ = s.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil) },
		"refused stream":          reset(http2.ErrCodeRefusedStream),
		"protocol error":          reset(http2.ErrCodeProtocol),
		"internal error":          reset(http2.ErrCodeInternal),
		"cancelled":               reset(http2.ErrCodeCancel),
		"switching protocols":     func(s stream) { s.answer(s.id, "101", "") },
		"malformed frame":         func(s stream) { _ = s.WriteRawFrame(http2.FrameHeaders, 0, 0, nil) },
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPatch} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				srv := runRaw(t, script)
				req, err := http.NewRequestWithContext(t.Context(), method, srv.url, bytes.NewReader([]byte("question")))
				if err != nil {
					t.Fatal(err)
				}
				if method == http.MethodGet {
					req.Body, req.ContentLength, req.GetBody = http.NoBody, 0, nil
				}
				wire := srv.transport(t)
				resp, err := (&http.Client{Transport: wire}).Do(req)
				if err == nil {
					_ = resp.Body.Close()
					t.Errorf("answered with %d", resp.StatusCode)
				}
				if srv.headers.Load() != 1 || srv.requests.Load() != 1 {
					t.Errorf("received %d times, %d whole", srv.headers.Load(), srv.requests.Load())
				}
			})
		}
	}
}

// TestConnectionAfterGoAway: requests that GOAWAY lets through are answered, and the
// next request uses another connection.
func TestConnectionAfterGoAway(t *testing.T) {
	t.Parallel()
	srv := runRaw(t, func(s stream) {
		_ = s.WriteGoAway(s.id, http2.ErrCodeNo, nil)
		s.answer(s.id, "200", fmt.Sprint("answer ", s.nth))
	})
	wire := srv.transport(t)
	for i := range 5 {
		if got, err := post(t.Context(), wire, srv.url, "question"); err != nil || got != fmt.Sprint("answer ", i+1) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if srv.requests.Load() != 5 || srv.connections.Load() != 5 {
		t.Errorf("%d requests on %d connections", srv.requests.Load(), srv.connections.Load())
	}
}

// TestAnswersSentTwiceOverHTTP2: a repeated answer is not taken for the answer to the
// next request.
func TestAnswersSentTwiceOverHTTP2(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		requests int
		again    uint32 // the stream of the repeated answer, relative to that of the request
	}{"on its stream": {10_000, 0}, "on a stream that is not open": {500, 20_000}, "on a stream of the server's": {500, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := runRaw(t, func(s stream) {
				s.answer(s.id, "200", s.asked)
				if s.nth%3 == 0 {
					s.answer(s.id+c.again, "200", s.asked)
				}
			})
			wire := srv.transport(t)
			answered := 0
			for i := range c.requests {
				sent := fmt.Sprint("question ", i)
				got, err := post(t.Context(), wire, srv.url, sent)
				switch {
				case err != nil: // the client closed the connection
				case got != sent:
					t.Fatalf("asked %q, got %q", sent, got)
				default:
					answered++
				}
			}
			if answered < c.requests/2 || srv.requests.Load() > int64(c.requests) {
				t.Errorf("%d of %d answered, %d received", answered, c.requests, srv.requests.Load())
			}
		})
	}
}

// TestOneConnectionForMany: with HTTP/2, concurrent requests share a few connections.
func TestOneConnectionForMany(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	var protocol sync.Map
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(r.Proto, true)
		echo(w, r)
	}))
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	wire := transport.New(transport.Options{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}})
	t.Cleanup(wire.CloseIdleConnections)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			sent := fmt.Sprint("question ", i)
			if got, err := post(t.Context(), wire, srv.URL, sent); err != nil || got != sent {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	all.Wait()
	if _, ok := protocol.Load("HTTP/2.0"); !ok || opened.Load() > 8 {
		t.Errorf("%d connections", opened.Load())
	}
}

// runHTTP1 starts a server over TLS that does not speak HTTP/2.
func runHTTP1(t *testing.T, handler http.HandlerFunc, opened *atomic.Int64) (url string, trust *tls.Config) {
	t.Helper()
	certificate, trust := authority(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: handler, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return "https://" + listener.Addr().String(), trust
}

// TestHTTP1OverTLS: with a server that does not speak HTTP/2, each request has a
// connection of its own.
func TestHTTP1OverTLS(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	url, trust := runHTTP1(t, echo, &opened)
	wire := transport.New(transport.Options{TLS: trust})
	for i := range 10 {
		if got, err := post(t.Context(), wire, url, fmt.Sprint(i)); err != nil || got != fmt.Sprint(i) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if opened.Load() != 10 {
		t.Errorf("%d connections", opened.Load())
	}
}

// TestOwnConnections: if asked for, each request has a connection of its own, although the
// server speaks HTTP/2.
func TestOwnConnections(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	wire := transport.New(transport.Options{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, OwnConnections: true})
	for range 10 {
		if got, err := post(t.Context(), wire, srv.URL, ""); err != nil || got != "HTTP/1.1" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if opened.Load() != 10 {
		t.Errorf("%d connections", opened.Load())
	}
}

// TestSurplusOverTLS: surplus bytes after an answer are detected over TLS too.
func TestSurplusOverTLS(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	url, trust := runHTTP1(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		one := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"
		_, _ = io.WriteString(conn, one+one)
		_ = conn.Close()
	}, &opened)
	wire := transport.New(transport.Options{TLS: trust})
	for range 10 {
		if got, err := post(t.Context(), wire, url, "question"); !errors.Is(err, transport.ErrSurplus) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestHTTP2EndsWithItsContext: a request ends with its context if the answer never
// comes or never ends.
func TestHTTP2EndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(stream){
		"no answer": func(stream) {},
		"no end": func(s stream) {
			s.header.Reset()
			_ = s.hpack.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: s.header.Bytes(), EndHeaders: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := runRaw(t, script)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := post(ctx, srv.transport(t), srv.url, "question"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
}
