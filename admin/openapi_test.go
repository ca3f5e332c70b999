package admin_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/admin"
	"ferry/mode"
	"ferry/secret"
	"ferry/test/openapi"
)

var document = sync.OnceValues(func() (*openapi.Document, error) { return openapi.Read("../docs/openapi.yaml") })

// checkDocument requires that docs/openapi.yaml has an answer of one of its paths.
func checkDocument(t *testing.T, req *http.Request, resp *http.Response, text string) {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
		return // of the paths that the document has, some exist only with a setting
	}
	if err := doc.CheckAnswer(req.Method, req.URL.Path, resp.StatusCode, resp.Header.Get("Content-Type"), text); err != nil {
		t.Errorf("docs/openapi.yaml: %v", err)
	}
}

// TestRoutes: docs/openapi.yaml has the routes of the admin listener, without those of the
// page, and every answer.
func TestRoutes(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	modes, err := mode.New(mode.Options{Mode: "observe", Cohort: "@example.com", Log: zap.NewNop(), Metrics: registry, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ready := false
	upstream := admin.Upstream{Loopback: true, Hooks: "127.0.0.1:4480", Recordings: "/var/lib/ferry", Auth0: admin.Auth0{
		Breakers: map[string]string{"users": "half-open"}, WaitsUntil: time.Now().UTC().Format(time.RFC3339),
	}}
	handler, err := admin.Echo(admin.Options{
		Version: "v1", Ready: func() bool { return ready }, Metrics: registry, Upstream: func() admin.Upstream { return upstream }, Modes: modes, ModeKey: secret.New(key),
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	var routes []string
	for _, route := range handler.Routes() {
		routes = append(routes, route.Method+" "+route.Path)
	}
	slices.Sort(routes)
	if want := doc.Operations("admin"); !slices.Equal(routes, want) {
		t.Errorf("the routes are %q, docs/openapi.yaml has %q", routes, want)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	for _, now := range []bool{false, true} {
		ready = now
		for _, path := range []string{"/health/alive", "/health/ready", "/version", "/upstream", "/metrics/prometheus", admin.ModePath} {
			get(t, server.URL+path)
		}
		upstream = admin.Upstream{}
	}
}

// get sends a request with the key and checks the answer.
func get(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	checkDocument(t, req, resp, string(text))
}
