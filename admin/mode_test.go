package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/admin"
	"ferry/audit"
	"ferry/mode"
	"ferry/secret"
)

const key = "admin-key-0123456789-0123456789-01234567"

// start starts an admin listener with a mode. Without a key nobody may change it.
func start(t *testing.T, modeKey string) (url string, modes *mode.Switch, logs *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	registry := prometheus.NewRegistry()
	modes, err := mode.New(mode.Options{Mode: "on", Cohort: "all", Log: zap.New(core), Metrics: registry, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	opts := admin.Options{
		Version: "v1", Ready: func() bool { return true }, Metrics: registry, Upstream: func() admin.Upstream { return admin.Upstream{} }, Modes: modes,
	}
	if modeKey != "" {
		opts.ModeKey = secret.New(modeKey)
	}
	handler, err := admin.Echo(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL, modes, logs
}

// send sends a request to /mode.
func send(t *testing.T, url, method, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url+admin.ModePath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	checkDocument(t, req, resp, string(text))
	return resp, string(text)
}

// TestMode: an operator with the key reads and changes the mode.
func TestMode(t *testing.T) {
	t.Parallel()
	url, modes, logs := start(t, key)
	resp, text := send(t, url, http.MethodPut, `{"mode":"off","by":"kim"}`, "Authorization", "Bearer "+key)
	var status mode.Status
	if err := json.Unmarshal([]byte(text), &status); err != nil || resp.StatusCode != http.StatusOK || status.Mode != "off" || status.AtRestart.Mode != "on" || modes.Mode() != mode.Off {
		t.Fatalf("%s: %s, %v", resp.Status, text, err)
	}
	resp, again := send(t, url, http.MethodGet, "", "Authorization", "Bearer "+key)
	if resp.StatusCode != http.StatusOK || again != text || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %s", resp.Status, again)
	}
	changed := logs.FilterMessage("mode changed").All()
	if len(changed) != 1 || changed[0].ContextMap()["who"] != "kim" || !strings.HasPrefix(changed[0].ContextMap()["from"].(string), "127.0.0.1:") {
		t.Errorf("logged %v", changed)
	}
}

// TestModeRefuses: without the key no one learns or changes anything, and what is not a change
// changes nothing. Without a key there is no such path.
func TestModeRefuses(t *testing.T) {
	t.Parallel()
	url, modes, _ := start(t, key)
	for name, c := range map[string]struct {
		method, body string
		header       []string
		status       int
	}{
		"no key":            {http.MethodPut, `{"mode":"off"}`, nil, 401},
		"no key, read":      {http.MethodGet, "", nil, 401},
		"a wrong key":       {http.MethodPut, `{"mode":"off"}`, []string{"Authorization", "Bearer " + key + "x"}, 401},
		"the start of it":   {http.MethodPut, `{"mode":"off"}`, []string{"Authorization", "Bearer " + key[:39]}, 401},
		"an empty key":      {http.MethodPut, `{"mode":"off"}`, []string{"Authorization", "Bearer "}, 401},
		"another scheme":    {http.MethodPut, `{"mode":"off"}`, []string{"Authorization", "Token " + key}, 401},
		"a form":            {http.MethodPut, `mode=off`, []string{"Authorization", "Bearer " + key, "Content-Type", "application/x-www-form-urlencoded"}, 415},
		"no JSON":           {http.MethodPut, `off`, []string{"Authorization", "Bearer " + key}, 400},
		"two values":        {http.MethodPut, `{"mode":"off"}{"mode":"off"}`, []string{"Authorization", "Bearer " + key}, 400},
		"a key twice":       {http.MethodPut, `{"mode":"off","mode":"on"}`, []string{"Authorization", "Bearer " + key}, 400},
		"another key":       {http.MethodPut, `{"mode":"off","cohrt":"25%"}`, []string{"Authorization", "Bearer " + key}, 400},
		"another mode":      {http.MethodPut, `{"mode":"OFF"}`, []string{"Authorization", "Bearer " + key}, 400},
		"nothing":           {http.MethodPut, `{"by":"kim"}`, []string{"Authorization", "Bearer " + key}, 400},
		"no key of cohorts": {http.MethodPut, `{"cohort":"25%"}`, []string{"Authorization", "Bearer " + key}, 400},
		"a long name":       {http.MethodPut, `{"mode":"off","by":"` + strings.Repeat("x", 101) + `"}`, []string{"Authorization", "Bearer " + key}, 400},
		"a line in a name":  {http.MethodPut, `{"mode":"off","by":"a\nb"}`, []string{"Authorization", "Bearer " + key}, 400},
		"too long":          {http.MethodPut, `{"mode":"off"` + strings.Repeat(" ", 16<<10) + `}`, []string{"Authorization", "Bearer " + key}, 400},
		"another method":    {http.MethodPost, `{"mode":"off"}`, []string{"Authorization", "Bearer " + key}, 405},
	} {
		resp, text := send(t, url, c.method, c.body, c.header...)
		if resp.StatusCode != c.status || modes.Mode() != mode.On {
			t.Errorf("%s: %s %s, the mode is %s", name, resp.Status, text, modes.Mode())
		}
		if c.status == 401 && (resp.Header.Get("WWW-Authenticate") == "" || resp.Header.Get("Content-Type") != "application/problem+json" || strings.Contains(text, "at_restart")) {
			t.Errorf("%s: %v %s", name, resp.Header, text)
		}
	}
	without, modes, _ := start(t, "")
	if resp, _ := send(t, without, http.MethodPut, `{"mode":"off"}`, "Authorization", "Bearer "); resp.StatusCode != http.StatusNotFound || modes.Mode() != mode.On {
		t.Errorf("without a key: %s", resp.Status)
	}
}

// TestAuditOfCallsWithoutKey: a call without the key is an audit record.
func TestAuditOfCallsWithoutKey(t *testing.T) {
	t.Parallel()
	var records []audit.Record
	registry := prometheus.NewRegistry()
	modes, err := mode.New(mode.Options{Mode: "on", Cohort: "all", Log: zap.NewNop(), Metrics: registry, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := admin.Echo(admin.Options{
		Version: "v1", Ready: func() bool { return true }, Metrics: registry, Upstream: func() admin.Upstream { return admin.Upstream{} },
		Modes: modes, ModeKey: secret.New(key), Audit: func(r audit.Record) { records = append(records, r) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, presented := range []string{"wrong", key} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, admin.ModePath, nil)
		req.Header.Set("Authorization", "Bearer "+presented)
		handler.ServeHTTP(httptest.NewRecorder(), req)
	}
	if len(records) != 1 || records[0].Action != audit.AuthenticationFailure || records[0].Actor.From != "192.0.2.1:1234" || records[0].Route != admin.ModePath || records[0].Status != http.StatusUnauthorized {
		t.Errorf("%+v", records)
	}
}
