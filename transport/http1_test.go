package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/test/faultyhttp"
	"ferry/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post sends one request and reads the whole answer.
func post(ctx context.Context, via http.RoundTripper, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := via.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// echo answers with the body of the request.
func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

// TestAnswersBelongToTheirRequests: if answers are sent twice, no request gets the
// answer to another, and no request is sent again.
func TestAnswersBelongToTheirRequests(t *testing.T) {
	t.Parallel()
	const requests = 10_000
	var received, number atomic.Int64
	srv := faultyhttp.Run(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received.Add(1)
		echo(w, r)
	}), func(*http.Request) faultyhttp.Fault {
		return []faultyhttp.Fault{faultyhttp.None, faultyhttp.Twice, faultyhttp.None, faultyhttp.TwiceLater, faultyhttp.Lost}[number.Add(1)%5]
	})
	wire := transport.New(transport.Options{MaxRequests: 16})
	var answered, surplus, lost atomic.Int64
	var all sync.WaitGroup
	for first := range 8 {
		all.Go(func() {
			for i := first; i < requests; i += 8 {
				sent := fmt.Sprint("question ", i)
				got, err := post(t.Context(), wire, srv.URL, sent)
				switch {
				case errors.Is(err, transport.ErrSurplus):
					surplus.Add(1)
				case err != nil:
					lost.Add(1)
				case got != sent:
					t.Errorf("asked %q, got %q", sent, got)
				default:
					answered.Add(1)
				}
			}
		})
	}
	all.Wait()
	// A repeated answer that comes too late finds its connection closed.
	if received.Load() != requests || lost.Load() != requests/5 || surplus.Load() < requests/5 || answered.Load()+surplus.Load() != requests*4/5 {
		t.Errorf("received %d, answered %d, surplus %d, lost %d", received.Load(), answered.Load(), surplus.Load(), lost.Load())
	}
}

// TestAnswerBeforeTheRequest: bytes that arrive before the request are not taken for
// its answer.
func TestAnswerBeforeTheRequest(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	greeted := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		close(greeted)
		_, _ = io.Copy(io.Discard, conn)
	}()
	wire := transport.New(transport.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		<-greeted
		return conn, err
	}})
	got, err := post(t.Context(), wire, "http://"+listener.Addr().String(), "question")
	if !errors.Is(err, transport.ErrSurplus) {
		t.Errorf("%q, %v", got, err)
	}
	_ = listener.Close()
	<-ended
}

// TestNothingOutlivesItsContext: an endless header or body ends with the context.
func TestNothingOutlivesItsContext(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faultyhttp.Fault{
		"body": faultyhttp.EndlessBody, "header": faultyhttp.EndlessHeader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := faultyhttp.Run(t, http.HandlerFunc(echo), func(*http.Request) faultyhttp.Fault { return fault })
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := post(ctx, transport.New(transport.Options{}), srv.URL, "question"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestInformationalAnswersAreFew: a limited number of informational answers may come
// before the final one.
func TestInformationalAnswersAreFew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault faultyhttp.Fault
		want  error
	}{"switch": {faultyhttp.Switch, transport.ErrSwitched}, "endless": {faultyhttp.EndlessInformational, nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := faultyhttp.Run(t, http.HandlerFunc(echo), func(*http.Request) faultyhttp.Fault { return c.fault })
			_, err := post(t.Context(), transport.New(transport.Options{}), srv.URL, "question")
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		echo(w, r)
	}))
	t.Cleanup(srv.Close)
	if got, err := post(t.Context(), transport.New(transport.Options{}), srv.URL, "question"); err != nil || got != "question" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestOneRequestForEachConnection counts the connections to a server that would keep
// them open.
func TestOneRequestForEachConnection(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	wire := transport.New(transport.Options{})
	for i := range 20 {
		if got, err := post(t.Context(), wire, srv.URL, fmt.Sprint(i)); err != nil || got != fmt.Sprint(i) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if opened.Load() != 20 {
		t.Errorf("%d connections for 20 requests", opened.Load())
	}
}

// TestMaxRequests: no more requests than allowed are in flight, and a waiting caller
// can give up.
func TestMaxRequests(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		echo(w, r)
		now.Add(-1)
	}))
	t.Cleanup(srv.Close)
	wire := transport.New(transport.Options{MaxRequests: 1})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := post(t.Context(), wire, srv.URL, "question"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d requests at once", most.Load())
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := wire.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel() // while the body above is open
	var unsent *transport.DialError
	if _, err := post(gone, wire, srv.URL, "question"); !errors.As(err, &unsent) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	_ = resp.Body.Close()
}

// TestHeadersThatCannotBeSent: a line break in a token cannot add a header.
func TestHeadersThatCannotBeSent(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer canary\r\nX-More: 1")
	if resp, err := transport.New(transport.Options{}).RoundTrip(req); err == nil {
		_ = resp.Body.Close()
		t.Error("it was sent")
	} else if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error quotes the header: %v", err)
	}
}
