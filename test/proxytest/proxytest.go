// Package proxytest has what the tests of ferry's two reverse proxies share: a server behind the
// proxy that keeps its requests, a client that follows no redirects, and what must hold for each
// proxy if that server breaks the protocol.
package proxytest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"ferry/test/faultyhttp"
)

// Request is a request as the server behind the proxy received it.
type Request struct {
	Method, URI, Host, Proto, Body string

	Header http.Header
}

// Recorder keeps the requests to a server. The zero value is ready.
type Recorder struct {
	mu       sync.Mutex
	requests []Request
}

// Run starts a server that stops with the test. answer, which may read the body too, answers
// requests.
func (r *Recorder) Run(tb testing.TB, answer http.HandlerFunc) *url.URL {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.requests = append(r.requests, Request{req.Method, req.RequestURI, req.Host, req.Proto, string(body), req.Header.Clone()})
		r.mu.Unlock()
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		answer(w, req)
	}))
	tb.Cleanup(server.Close)
	return parse(tb, server.URL)
}

// Requests returns the requests so far.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// Answer is an answer of a proxy.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Send makes a request, with pairs of names and values of headers.
func Send(tb testing.TB, method, address, body string, header ...string) Answer {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, address, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return Do(tb, http.DefaultTransport, req)
}

// Do makes a request on a connection of its own, and reads the answer.
func Do(tb testing.TB, via http.RoundTripper, req *http.Request) Answer {
	tb.Helper()
	req.Close = true
	resp, err := via.RoundTrip(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return Answer{resp.StatusCode, resp.Header, string(body)}
}

// Counter returns the value of the counter that has these labels; 0 if there is none.
func Counter(tb testing.TB, metrics prometheus.Gatherer, name string, labels map[string]string) float64 {
	tb.Helper()
	families, err := metrics.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			matches := family.GetName() == name
			for _, label := range metric.GetLabel() {
				matches = matches && labels[label.GetName()] == label.GetValue()
			}
			if matches {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// Faulty starts a server that echoes requests, and whose answers have faults.
func Faulty(tb testing.TB, fault func(*http.Request) faultyhttp.Fault) *url.URL {
	tb.Helper()
	echo := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }
	return parse(tb, faultyhttp.Run(tb, http.HandlerFunc(echo), fault).URL)
}

// AnswersSentTwice checks a proxy in front of a server that echoes requests, and that sends its
// answers twice or loses them: every request gets its own answer or the status outage, and reaches
// the server once. The requests need bodies that differ.
func AnswersSentTwice(t *testing.T, outage, requests int, proxy func(behind *url.URL) http.Handler, request func(i int) (path, contentType, body string)) {
	t.Helper()
	const clients = 8
	faults := []faultyhttp.Fault{faultyhttp.None, faultyhttp.Twice, faultyhttp.None, faultyhttp.TwiceLater, faultyhttp.Lost}
	var received, answered atomic.Int64
	handler := proxy(Faulty(t, func(*http.Request) faultyhttp.Fault { return faults[int(received.Add(1))%len(faults)] }))
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for i := client; i < requests; i += clients {
				path, contentType, sent := request(i)
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(sent))
				req.Header.Set("Content-Type", contentType)
				switch got, whole := direct(handler, req); {
				case whole && got.Status == http.StatusOK && got.Body == sent:
					answered.Add(1)
				case whole && got.Status != outage, got.Status == http.StatusOK && !strings.HasPrefix(sent, got.Body):
					t.Errorf("sent %s, got %d %s", sent, got.Status, got.Body)
				}
			}
		})
	}
	all.Wait()
	if received.Load() != int64(requests) || answered.Load() < int64(requests)*2/5 {
		t.Errorf("%d received, %d answered", received.Load(), answered.Load())
	}
}

// direct makes a request without a network. whole is false if the handler breaks the answer off.
func direct(handler http.Handler, req *http.Request) (got Answer, whole bool) {
	// Without a server in the context, a ReverseProxy only logs it.
	req = req.WithContext(context.WithValue(req.Context(), http.ServerContextKey, new(http.Server)))
	w := httptest.NewRecorder()
	func() {
		defer func() { whole = recover() == nil }()
		handler.ServeHTTP(w, req)
	}()
	return Answer{w.Code, w.Header(), w.Body.String()}, whole
}

func parse(tb testing.TB, address string) *url.URL {
	tb.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	return parsed
}
