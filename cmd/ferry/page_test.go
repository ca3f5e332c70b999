package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/config"
	"ferry/test/await"
	"ferry/test/bulktest"
	"ferry/test/redistest"
)

// served is a running serve.
type served struct {
	*server

	logs *observer.ObservedLogs
	url  string // of the admin listener
}

// startServing starts serve with the settings of the environment.
func startServing(t *testing.T) *served {
	t.Helper()
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	s := &served{logs: logs}
	if s.server, err = newServer(cfg, zap.New(core)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + fmt.Sprint(logs.FilterMessage("listening").All()[0].ContextMap()["admin"])
	return s
}

// read reads the page.
func (s *served) read(t *testing.T) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	return string(text)
}

// withVersion serves the admin API of a Kratos, and its version.
func withVersion(t *testing.T, kratos http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin/version" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"version":"v26.2.0"}`)
			return
		}
		kratos.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// TestServePage: the page shows what ferry counted in Kratos. A viewer does not hold up the end
// of serve, and after a restart without Kratos the page has the numbers of before.
func TestServePage(t *testing.T) {
	fake := bulktest.NewKratos(t)
	for i := range 3 {
		fake.Add(bulktest.Migrated(i, time.Now().Add(-time.Duration(i)*time.Hour)))
	}
	fake.Add(bulktest.Pending("auth0|p", "p@x.test"))
	fake.Add(bulktest.Pending("auth0|q", "q@x.test"))
	kratos := withVersion(t, fake)
	usable(t)
	t.Setenv("FERRY_KRATOS_ADMIN_URL", kratos.URL)
	t.Setenv("FERRY_ADMIN_LISTEN", "127.0.0.1:0")
	t.Setenv("FERRY_DATA_DIR", t.TempDir())
	t.Setenv("FERRY_COUNT_EVERY", "1m")
	const migrated, waiting = `<dt>Migrated</dt><dd class="value">3</dd>`, `<dt>Waiting</dt><dd class="value">2</dd>`

	first := startServing(t)
	if !await.True(func() bool { return strings.Contains(first.read(t), migrated) }) {
		t.Fatalf("the page does not have the count:\n%s", first.read(t))
	}
	text := first.read(t)
	for _, want := range []string{waiting, "The history is kept in FERRY_DATA_DIR.", "every 1 minute", "Admin API of version v26.2.0", "shown to anyone on this machine, without a key, and to no one else"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page:\n%s", want, text)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, first.url+"/page/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	events, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	first.Stop(t.Context())
	if late := first.logs.FilterMessageSnippet("in time"); late.Len() > 0 {
		t.Errorf("logged %v", late.All())
	}

	kratos.Close()
	second := startServing(t)
	defer second.Stop(t.Context())
	if text := second.read(t); !strings.Contains(text, migrated) || !strings.Contains(text, waiting) || !strings.Contains(text, "from the history") || !strings.Contains(text, "does not answer") {
		t.Errorf("after a restart:\n%s", text)
	}
}

// TestServePageRedis: with Redis the history and the records of commands are there, and the page
// says whether it answers.
func TestServePageRedis(t *testing.T) {
	redis := redistest.Run(t, redistest.Options{})
	usable(t)
	t.Setenv("FERRY_ADMIN_LISTEN", "127.0.0.1:0")
	t.Setenv("FERRY_STATE_URL", redis.URL())
	t.Setenv("FERRY_STATE_KEY", strings.Repeat("s", 32))
	s := startServing(t)
	defer s.Stop(t.Context())
	text := s.read(t)
	for _, want := range []string{"The history is kept in Redis, for all ferries.", `<dt>Redis</dt><dd><span class="mark good">answers</span>`, "This ferry does not count the users."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page:\n%s", want, text)
		}
	}
	if strings.Contains(text, "ferry keeps no record") {
		t.Error("the page does not know of the records in Redis")
	}
}
