// Package apps takes OAuth2 clients that ferry's authors did not write from Auth0 to Hydra: they
// log in at the simulator, their host then leads to ferry's token front, and at the end to Hydra
// alone. The clients change nothing. Kratos, Hydra and ferry are the real ones.
package apps

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/hydratest"
	"ferry/test/kratostest"
	"ferry/test/otlptest"
)

func TestMain(m *testing.M) { built.Main(m) }

const (
	mobile, other = "canary-mobile-app", "canary-other-app" // public
	web, server   = "canary-web-app", "canary-server-app"   // with a secret: basic, post
	webSecret     = "canary-secret-of-the-web-app"
	callback      = "https://app.example.com/callback"
	password      = "correct horse battery staple"
	stateKey      = "canary-state-key-0123456789abcdef0123456789"
	hookKey       = "canary-hook-key-0123456789abcdef0123456789"
)

// stack is everything between an application and its tokens.
type stack struct {
	sim    *auth0sim.Server
	kratos *kratostest.Kratos
	hydra  *hydratest.Hydra
	ferry  *ferrytest.Ferry
	spans  *otlptest.Collector
	data   string
	audit  string

	host   *httptest.Server // where the applications expect Auth0
	behind atomic.Pointer[httputil.ReverseProxy]
}

// newStack starts all parts. The host leads to the simulator.
func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{data: t.TempDir(), audit: filepath.Join(t.TempDir(), "audit.log"), spans: otlptest.Run(t)}
	s.host = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.behind.Load().ServeHTTP(w, r) }))
	t.Cleanup(s.host.Close)
	domain := strings.TrimPrefix(s.host.URL, "https://")
	settings := auth0sim.RelaxedSettings()
	s.sim = auth0sim.Run(t, auth0sim.Config{Tenant: tenant(), Domain: domain, Settings: &settings})
	s.kratos = kratostest.Run(t, kratostest.Options{})
	s.hydra = hydratest.Run(t, hydratest.Options{Issuer: s.host.URL + "/"})
	for id, method := range map[string]string{mobile: "none", other: "none", web: "client_secret_basic", server: "client_secret_post"} {
		if err := s.hydra.CreateClient(t.Context(), map[string]any{
			"client_id": id, "client_secret": webSecret, "token_endpoint_auth_method": method, "redirect_uris": []string{callback},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "scope": "openid offline_access email profile",
		}); err != nil {
			t.Fatal(err)
		}
	}
	ferry, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: []string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_TOKEN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_DOMAIN=" + domain, "FERRY_AUTH0_BASE_URL=" + s.sim.URL(),
		"FERRY_AUTH0_CLIENT_ID=" + auth0sim.DemoClientID, "FERRY_AUTH0_CLIENT_SECRET=" + auth0sim.DemoClientSecret,
		"FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL(), "FERRY_HYDRA_PUBLIC_URL=" + s.hydra.PublicURL(), "FERRY_HYDRA_ADMIN_URL=" + s.hydra.AdminURL(),
		"FERRY_REMINT_CLIENTS=" + mobile + "," + web + "," + server, "FERRY_TOKEN_PER_MINUTE=100000", "FERRY_DATA_DIR=" + s.data, "FERRY_STATE_KEY=" + stateKey,
		"FERRY_AUDIT_LOG=" + s.audit, "FERRY_LOG_LEVEL=debug", "OTEL_EXPORTER_OTLP_ENDPOINT=" + s.spans.URL(), "OTEL_SERVICE_NAME=ferry",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ferry.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(ferry.Logs())
		}
	})
	s.ferry = ferry
	s.leadsTo(t, s.sim.URL(), false)
	return s
}

// tenant is the demo tenant with four applications. The one for mobile devices rotates its
// refresh tokens.
func tenant() *auth0sim.Tenant {
	tenant := auth0sim.DemoTenant()
	grants := []string{auth0sim.GrantAuthorizationCode, auth0sim.GrantRefreshToken}
	for _, id := range []string{mobile, other} {
		tenant.Apps = append(tenant.Apps, auth0sim.App{
			ClientID: id, AuthMethods: []string{auth0sim.AuthNone}, GrantTypes: grants, Callbacks: []string{callback},
			RefreshTokens: auth0sim.RefreshPolicy{Rotation: true},
		})
	}
	for _, id := range []string{web, server} {
		tenant.Apps = append(tenant.Apps, auth0sim.App{
			ClientID: id, ClientSecret: webSecret, AuthMethods: []string{auth0sim.AuthBasic, auth0sim.AuthPost}, GrantTypes: grants, Callbacks: []string{callback},
		})
	}
	return tenant
}

// identity creates the identity of a user of the simulator.
func (s *stack) identity(t *testing.T, userID string) string {
	t.Helper()
	user, ok := s.sim.User(userID)
	if !ok {
		t.Fatalf("no user %s", userID)
	}
	id, err := s.kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
		Traits: map[string]any{"email": user.Email}, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": userID}}, Pending: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// leadsTo changes where the host leads. Before Hydra alone, a proxy keeps Auth0's path of the
// token endpoint.
func (s *stack) leadsTo(t *testing.T, address string, hydra bool) {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s.behind.Store(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Set("X-Forwarded-Proto", "https")
		if hydra && r.In.URL.Path == auth0sim.PathToken {
			r.Out.URL.Path = "/oauth2/token"
		}
	}})
}

// browser returns a client that stops where the browser comes back to an application.
func (s *stack) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := s.host.Client().Transport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// logIn is the user: it opens the address of the authorization, fills in the page, and returns
// the address at which the browser comes back.
func (s *stack) logIn(t *testing.T, address, username, password string) string {
	t.Helper()
	browser := s.browser(t)
	page, _ := do(t, browser, http.MethodGet, address, nil)
	form := url.Values{"state": {page.Request.URL.Query().Get("state")}, "connection": {auth0sim.DemoConnection}, "username": {username}, "password": {password}}
	back, text := do(t, browser, http.MethodPost, page.Request.URL.String(), form)
	location := back.Header.Get("Location")
	if !strings.HasPrefix(location, callback) {
		t.Fatalf("the login ends at %q: %d %s", location, back.StatusCode, text)
	}
	return location
}

// do makes a request and reads the answer.
func do(t *testing.T, client *http.Client, method, address string, form url.Values, edit ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, e := range edit {
		e(req)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(fmt.Errorf("read the answer: %w", err))
	}
	return resp, string(text)
}
