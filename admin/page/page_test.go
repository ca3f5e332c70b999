package page_test

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/admin/page"
	"ferry/mode"
	"ferry/secret"
	"ferry/test/pagetest"
)

const key = "admin-key-0123456789-0123456789-01234567"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// operator is the page behind a server with the limits of ferry's.
type operator struct {
	*httptest.Server

	page  *page.Page
	modes *mode.Switch
	logs  *observer.ObservedLogs
	now   atomic.Pointer[pagetest.Situation]
}

// start starts the page. edit, if not nil, changes its options.
func start(t *testing.T, s pagetest.Situation, edit func(*page.Options)) *operator {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	o := &operator{logs: logs}
	o.now.Store(&s)
	var err error
	o.modes, err = mode.New(mode.Options{Mode: "on", Cohort: "all", Log: zap.New(core), Metrics: prometheus.NewRegistry(), Now: pagetest.Now})
	if err != nil {
		t.Fatal(err)
	}
	if s.Mode != "on" {
		if _, err := o.modes.Set(mode.Change{Mode: s.Mode, Who: "kim"}); err != nil {
			t.Fatal(err)
		}
	}
	opts := page.Options{
		Version: "v1.2.3", Loopback: true, Key: secret.New(key), Modes: o.modes, Log: zap.New(core), Now: time.Now,
		Facts: func(context.Context) page.Facts { return o.now.Load().Facts },
	}
	if edit != nil {
		edit(&opts)
	}
	if o.page, err = page.New(opts); err != nil {
		t.Fatal(err)
	}
	o.Server = httptest.NewUnstartedServer(o.page)
	const limit = 3 * time.Second // less than TestEvents watches, and enough for a page on a busy machine
	o.Config.ReadTimeout, o.Config.WriteTimeout = limit, limit
	o.Config.RegisterOnShutdown(o.page.Close)
	o.Start()
	t.Cleanup(func() {
		o.page.Close()
		o.Close()
	})
	return o
}

// fixed has the page show the situations' time.
func fixed(opts *page.Options) { opts.Now = pagetest.Now }

// client follows no redirects.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// send sends a request with these headers; Host sets the host.
func (o *operator) send(t *testing.T, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, o.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp, string(text)
}

// TestSituations: each situation's page is well-formed and says how many are left, when it ends,
// whether something is wrong, and what comes next.
func TestSituations(t *testing.T) {
	t.Parallel()
	wanted := map[string][]string{
		"empty":       {"This ferry does not count the users.", "FERRY_COUNT_EVERY=1h", "Nothing is wrong", "without a key", "in memory and ends with this process", "set FERRY_DATA_DIR"},
		"counting":    {"counting the users for the first time", `<dd class="value">5,000</dd>`, "5 hours ago), from the history"},
		"one":         {"1 user is still waiting", "1 user has been imported", "Switch your applications to Kratos", "Nothing is wrong"},
		"middle":      {"Users are migrating: 3,588 users are still waiting.", "7 Jan 2027", "Nothing is wrong", "ferry status --stragglers mail.csv --users users.ndjson.gz", "64.1 %", "Lists the 3,588 users who are left, for a mail.", "ferry import --users users.ndjson.gz --mfa drop", "of 10,560 people lose access; 2,093 of them"},
		"ten-million": {"4,228,838 users are still waiting", "5 Nov 2028", "42 smaller connections", "in Redis, for all ferries", "15 M", "5,480,311"},
		"broken": {
			"problems need attention now", "First solve the problems that need attention now", "ferry is off", "Untrusted ID tokens", "refuses ferry", "(invalid_client)", "44 of 82 logins in the last 15 minutes (timeout, kratos_unreachable, id_token_untrusted)",
			"Auth0 is not asked about Username-Password-Authentication", "rate limit is used up", "connection refused", "Redis does not answer", "unbound", "The count is old", "The history is not kept", "unexpected end of JSON", "auth0-outage", "A restart begins with mode on",
		},
		"done": {"Auth0 can be switched off: no user is waiting.", "ferry kratos-config --remove kratos.yml", "No one of 12,273 people loses access"},
	}
	for _, s := range pagetest.All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			resp, text := start(t, s, fixed).send(t, http.MethodGet, "/", "")
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Fatalf("%s: %s", resp.Status, text)
			}
			wellFormed(t, text)
			for _, one := range wanted[s.Name] {
				if !strings.Contains(text, one) {
					t.Errorf("%q is not on the page", one)
				}
			}
			for _, never := range []string{" style=", "<style", "<script>", " onclick", " onload", "%!", "ZgotmplZ", "=\"http", "=\"//"} {
				if strings.Contains(text, never) {
					t.Errorf("%q is on the page", never)
				}
			}
		})
	}
}

// wellFormed checks that every element is closed.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestHeaders: every answer, also a refusal, has the strict headers.
func TestHeaders(t *testing.T) {
	t.Parallel()
	o := start(t, pagetest.Middle(), nil)
	for _, path := range []string{"/", "/page/style.css", "/page/script.js", "/page/icon.svg", "/nothing"} {
		for _, host := range []string{"localhost", "evil.test"} {
			resp, _ := o.send(t, http.MethodGet, path, "", "Host", host)
			h := resp.Header
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
					"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := h.Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
		}
	}
}

// TestAccess: who may read the page.
func TestAccess(t *testing.T) {
	t.Parallel()
	basic := func(password string) string {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth("kim", password)
		return r.Header.Get("Authorization")
	}
	away := func(opts *page.Options) { opts.Loopback = false }
	noKey := func(opts *page.Options) { opts.Key = secret.String{} }
	neither := func(opts *page.Options) { away(opts); noKey(opts) }
	for name, c := range map[string]struct {
		edit   func(*page.Options)
		header []string
		status int
	}{
		"this machine":                      {nil, nil, 200},
		"this machine, by name":             {nil, []string{"Host", "LOCALHOST:4481"}, 200},
		"this machine, IPv6":                {nil, []string{"Host", "[::1]:4481"}, 200},
		"this machine, without a port":      {nil, []string{"Host", "127.0.0.1"}, 200},
		"a name that points here":           {nil, []string{"Host", "rebind.evil.test"}, 401},
		"a name that begins as localhost":   {nil, []string{"Host", "localhost.evil.test"}, 401},
		"an address that is not loopback":   {nil, []string{"Host", "10.0.0.1"}, 401},
		"a proxy on this machine":           {nil, []string{"X-Forwarded-For", "203.0.113.9"}, 401},
		"a proxy that says Forwarded":       {nil, []string{"Forwarded", "for=203.0.113.9"}, 401},
		"a proxy that says Via":             {nil, []string{"Via", "1.1 proxy"}, 401},
		"a proxy, with the key":             {nil, []string{"X-Forwarded-For", "203.0.113.9", "Authorization", basic(key)}, 200},
		"no key is set":                     {noKey, nil, 200},
		"no key is set, another name":       {noKey, []string{"Host", "rebind.evil.test"}, 403},
		"no key is set, an empty password":  {noKey, []string{"Host", "rebind.evil.test", "Authorization", basic("")}, 403},
		"another address, no key":           {away, nil, 401},
		"another address, the key":          {away, []string{"Authorization", basic(key)}, 200},
		"another address, the key, a token": {away, []string{"Authorization", "Bearer " + key}, 200},
		"another address, a wrong key":      {away, []string{"Authorization", basic(key[1:])}, 401},
		"another address, an empty key":     {away, []string{"Authorization", basic("")}, 401},
		"another address and no key is set": {neither, nil, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := start(t, pagetest.Middle(), c.edit)
			paths := []string{"/", "/page/style.css", "/page/script.js", "/page/events"}
			if c.status == http.StatusOK {
				paths = paths[:3] // events do not end
			}
			for _, path := range paths {
				resp, text := o.send(t, http.MethodGet, path, "", c.header...)
				if resp.StatusCode != c.status {
					t.Errorf("%s: %s, want %d", path, resp.Status, c.status)
				}
				refuses(t, resp, text)
			}
		})
	}
}

// refuses checks that a refusal says what to do, and nothing else.
func refuses(t *testing.T, resp *http.Response, text string) {
	t.Helper()
	if asks := strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic "); asks != (resp.StatusCode == http.StatusUnauthorized) {
		t.Errorf("%v", resp.Header)
	}
	if resp.StatusCode != http.StatusOK && (strings.Contains(text, "6,402") || strings.Contains(text, key)) {
		t.Errorf("a refusal says too much: %s", text)
	}
	if resp.StatusCode == http.StatusForbidden && !strings.Contains(text, "Set FERRY_ADMIN_KEY") {
		t.Errorf("a refusal does not say what to do: %s", text)
	}
}

// TestNamesAreText: names that other programs chose are text on the page.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script>`
	s := pagetest.Middle()
	s.Facts.Count.Connections[evil] = s.Facts.Count.Connections["customers-eu"]
	s.Facts.Auth0.Breakers[evil] = "open"
	s.Facts.Kratos.Version = evil
	s.Facts.History.Fault = evil
	o := start(t, s, fixed)
	if _, err := o.modes.Set(mode.Change{Mode: "off", Who: evil}); err != nil {
		t.Fatal(err)
	}
	_, text := o.send(t, http.MethodGet, "/", "")
	if strings.Contains(text, "<script>alert") || strings.Count(text, url.QueryEscape("<")) > 0 || strings.Count(text, "&lt;script&gt;alert(1)") < 4 {
		t.Error("a name became a part of the page")
	}
}

// TestGatewayOnly: without an import, the page does not say that no one is left.
func TestGatewayOnly(t *testing.T) {
	t.Parallel()
	s := pagetest.Middle()
	s.Facts.Plan.GatewayOnly, s.Facts.Plan.Progress.Pending, s.Facts.Plan.IfOff.MissingKnown = true, 0, false
	_, text := start(t, s, fixed).send(t, http.MethodGet, "/", "")
	for _, want := range []string{
		"<h1>Users are migrating through the gateway: 6,402 have so far.</h1>",
		"Users who have not come through the gateway are not counted: run ferry reconcile",
		"Without an import, Kratos does not know who is left",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, wrong := range []string{"of the users with a password have migrated", "No user is waiting", "No one needs Auth0 for a login"} {
		if strings.Contains(text, wrong) {
			t.Errorf("the page says %q", wrong)
		}
	}
}

// TestSections: the sections of docs/operations.md that the page names are there.
func TestSections(t *testing.T) {
	t.Parallel()
	operations, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for line := range strings.Lines(string(operations)) {
		if title, isHeading := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); isHeading && strings.HasPrefix(line, "#") {
			anchors[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(title)), " ", "-")] = true
		}
	}
	o := start(t, pagetest.Broken(), fixed)
	_, text := o.send(t, http.MethodGet, "/", "")
	named := regexp.MustCompile(`section <code>([^<]+)</code>`).FindAllStringSubmatch(text, -1)
	for _, one := range named {
		if !anchors[one[1]] {
			t.Errorf("docs/operations.md has no section %s", one[1])
		}
	}
	if len(named) < 8 {
		t.Errorf("the page names %d sections", len(named))
	}
}
