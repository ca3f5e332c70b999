package faults

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is a request that a witness saw, from its arrival to its answer.
type seen struct {
	from, to time.Duration // since the start of the history
	ok       bool          // answered 200
}

// witness is a proxy that notes the hook calls and the patches of each user.
type witness struct {
	began time.Time

	mu      sync.Mutex
	target  string
	hooks   map[string][]seen // by identifier as typed
	patches map[string][]seen // by identity
}

// newWitness starts a witness before target, host and port.
func newWitness(t *testing.T, began time.Time, target string) (w *witness, address string) {
	t.Helper()
	w = &witness{began: began, target: target, hooks: map[string][]seen{}, patches: map[string][]seen{}}
	transport := &http.Transport{DisableKeepAlives: true}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport: roundTripper{w, transport},
		Rewrite: func(r *httputil.ProxyRequest) {
			w.mu.Lock()
			defer w.mu.Unlock()
			r.Out.URL.Scheme, r.Out.URL.Host = "http", w.target
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
	t.Cleanup(server.Close)
	return w, host(t, server.URL)
}

func (w *witness) leadsTo(target string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.target = target
}

type roundTripper struct {
	witness *witness
	next    http.RoundTripper
}

// RoundTrip notes the request once its answer is there.
func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	from := time.Since(r.witness.began)
	resp, err := r.next.RoundTrip(req)
	r.witness.note(req, body, seen{from, time.Since(r.witness.began), err == nil && resp.StatusCode == http.StatusOK})
	return resp, err
}

func (w *witness) note(req *http.Request, body []byte, s seen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	identity, isIdentity := strings.CutPrefix(req.URL.Path, "/admin/identities/")
	switch {
	case req.Method == http.MethodPatch && isIdentity:
		w.patches[identity] = append(w.patches[identity], s)
	case req.URL.Path == "/hooks/password-migration":
		var call struct {
			Identifier string `json:"identifier"`
		}
		if json.Unmarshal(body, &call) == nil {
			w.hooks[call.Identifier] = append(w.hooks[call.Identifier], s)
		}
	}
}

// hookedWithin reports whether the hook was called about what a user typed between two moments,
// and whether it said "match".
func (w *witness) hookedWithin(typed string, from, to time.Duration) (called, matched bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.hooks[typed] {
		if s.from >= from && s.to <= to {
			called, matched = true, matched || s.ok
		}
	}
	return called, matched
}

func (w *witness) patchesOf(identity string) []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]seen(nil), w.patches[identity]...)
}
