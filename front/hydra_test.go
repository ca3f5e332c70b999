package front_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/front"
	"ferry/hydra"
	"ferry/test/hydratest"
	"ferry/test/proxytest"
	"ferry/transport"
	"ferry/wire"
)

const (
	realSecret = "S3cr3t-x_-Y0123456789"
	callback   = "https://app.example.com/cb"
	loggedOut  = "https://app.example.com/out"
	logoutDone = "https://login.example.com" + wire.LogoutDonePath
)

// realRig is a front before a real Hydra.
type realRig struct {
	*rig

	hydra *hydratest.Hydra
}

func newRealRig(t *testing.T) *realRig {
	t.Helper()
	r := &realRig{rig: &rig{now: time.Now()}, hydra: hydratest.Run(t, hydratest.Options{Config: []byte("urls: {post_logout_redirect: '" + logoutDone + "'}")})}
	for id, method := range map[string]string{"spa": "none", "jwt": "none", "post": "client_secret_post", "basic": "client_secret_basic"} {
		if err := r.hydra.CreateClient(t.Context(), map[string]any{
			"client_id": id, "client_secret": realSecret, "token_endpoint_auth_method": method, "redirect_uris": []string{callback}, "post_logout_redirect_uris": []string{loggedOut},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "scope": "openid offline_access", "allowed_cors_origins": []string{appOrigin},
			"access_token_strategy": map[bool]string{true: "jwt", false: "opaque"}[id == "jwt"],
		}); err != nil {
			t.Fatal(err)
		}
	}
	registry, err := hydra.New(hydra.Options{AdminURL: r.hydra.AdminURL(), PublicURL: r.hydra.PublicURL(), Timeout: time.Minute, Transport: transport.New(transport.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	public, err := url.Parse(r.hydra.PublicURL())
	if err != nil {
		t.Fatal(err)
	}
	made, err := front.New(front.Options{
		Hydra: public, Transport: transport.New(transport.Options{}), Registry: registry, PerMinute: 1000, Auth0: r.auth0.Run(t, r.answerAuth0), Auth0Transport: transport.New(transport.Options{}),
		Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.front = httptest.NewServer(made)
	t.Cleanup(r.front.Close)
	return r
}

// step makes a request of a browser at /authorize, and returns the address that it is sent to.
func (r *realRig) step(t *testing.T, query string, cookies map[string]string) *url.URL {
	t.Helper()
	var pairs []string
	for name, value := range cookies {
		pairs = append(pairs, name+"="+value)
	}
	got := r.send(t, http.MethodGet, "/authorize?"+query, "", "Cookie", strings.Join(pairs, "; "), "X-Forwarded-Proto", "https")
	for _, line := range got.Header.Values("Set-Cookie") {
		if cookie, err := http.ParseSetCookie(line); err == nil {
			cookies[cookie.Name] = cookie.Value
		}
	}
	to, err := url.Parse(got.Header.Get("Location"))
	if err != nil || got.Header.Get("Location") == "" {
		t.Fatalf("%+v", got)
	}
	return to
}

// accept accepts a login or consent request, as the login page of an operator does.
func (r *realRig) accept(t *testing.T, what, challenge, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, r.hydra.AdminURL()+"/admin/oauth2/auth/requests/"+what+"/accept?"+what+"_challenge="+url.QueryEscape(challenge), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := transport.New(transport.Options{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var said struct {
		RedirectTo string `json:"redirect_to"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(said.RedirectTo)
	if err != nil {
		t.Fatal(err)
	}
	return to.RawQuery
}

// code takes a browser through /authorize, and returns the code and its verifier.
func (r *realRig) code(t *testing.T, client string) (code, verifier string) {
	t.Helper()
	verifier = strings.Repeat("v", 43)
	hash := sha256.Sum256([]byte(verifier))
	cookies := map[string]string{}
	to := r.step(t, url.Values{
		"client_id": {client}, "response_type": {"code"}, "scope": {"openid offline_access"}, "redirect_uri": {callback}, "state": {"state-123456"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(hash[:])}, "code_challenge_method": {"S256"}, "auth0Client": {"eyJ"},
	}.Encode(), cookies)
	to = r.step(t, r.accept(t, "login", to.Query().Get("login_challenge"), `{"subject":"kim"}`), cookies)
	to = r.step(t, r.accept(t, "consent", to.Query().Get("consent_challenge"), `{"grant_scope":["openid","offline_access"]}`), cookies)
	if code = to.Query().Get("code"); code == "" {
		t.Fatalf("no code: %s", to.Redacted())
	}
	return code, verifier
}

// tokens are an answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

func (r *realRig) tokens(t *testing.T, got proxytest.Answer) (said tokens) {
	t.Helper()
	if err := json.Unmarshal([]byte(got.Body), &said); err != nil || got.Status != http.StatusOK || said.Refresh == "" {
		t.Fatalf("%+v", got)
	}
	return said
}

// TestRealHydra: clients that authenticate as at Auth0, in forms and in JSON, log in through the
// front at the real Hydra, refresh, read /userinfo, revoke and log out.
func TestRealHydra(t *testing.T) {
	t.Parallel()
	r := newRealRig(t)
	for name, c := range map[string]realClient{
		"a page, JSON":   {"spa", "none", true},
		"a native app":   {"spa", "none", false},
		"JWTs":           {"jwt", "none", false},
		"post, JSON":     {"post", "post", true},
		"post as basic":  {"basic", "post", false},
		"JSON as basic":  {"basic", "post", true},
		"basic as post":  {"post", "basic", false},
		"basic as basic": {"basic", "basic", false},
	} {
		t.Run(name, func(t *testing.T) { c.lives(t, r) }) // one after another: Hydra is in memory
	}
	if got := r.form(t, "/oauth/token", "grant_type=refresh_token&refresh_token=ory_rt_x.y&client_id=post&client_secret=wrong-secret"); got.Status != http.StatusUnauthorized {
		t.Errorf("a wrong secret: %+v", got)
	}
	if got := r.send(t, http.MethodGet, "/v2/logout", ""); got.Status != http.StatusFound || got.Header.Get("Location") != logoutDone {
		t.Errorf("a logout without an ID token: %+v", got)
	}
	if keys := r.keyTexts(t); len(keys) < 2 {
		t.Errorf("%d keys", len(keys))
	}
	if n := len(r.auth0.Requests()); n > 0 {
		t.Errorf("Auth0 was asked %d times", n)
	}
	direct := r.send(t, http.MethodGet, "/.well-known/openid-configuration", "")
	if !strings.Contains(direct.Body, `"issuer":"`+r.hydra.Issuer()+`"`) {
		t.Errorf("%+v", direct)
	}
}

// realClient is a client, and how it calls the token endpoint.
type realClient struct {
	client string
	method string // by which it authenticates
	json   bool
}

// send sends a request of the client.
func (c realClient) send(t *testing.T, r *realRig, path string, values map[string]string) proxytest.Answer {
	t.Helper()
	header := []string{"Origin", appOrigin, "Auth0-Client", "eyJ"}
	values["client_id"] = c.client
	switch c.method {
	case "post":
		values["client_secret"] = realSecret
	case "basic":
		header = append(header, "Authorization", basic(c.client, realSecret))
	}
	if c.json {
		body, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		return r.send(t, http.MethodPost, path, string(body), append(header, "Content-Type", "application/json")...)
	}
	form := url.Values{}
	for name, value := range values {
		form.Set(name, value)
	}
	return r.form(t, path, form.Encode(), header...)
}

// lives logs in, refreshes, reads /userinfo, revokes and logs out.
func (c realClient) lives(t *testing.T, r *realRig) {
	t.Helper()
	code, verifier := r.code(t, c.client)
	got := c.send(t, r, "/oauth/token", map[string]string{"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": verifier})
	first := r.tokens(t, got)
	if got.Header.Get("Access-Control-Allow-Origin") != appOrigin || got.Header.Get("Cache-Control") == "" {
		t.Errorf("%v", got.Header)
	}
	second := r.tokens(t, c.send(t, r, "/oauth/token", map[string]string{"grant_type": "refresh_token", "refresh_token": first.Refresh}))
	got = r.send(t, http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+second.Access, "Origin", appOrigin)
	if got.Status != http.StatusOK || !strings.Contains(got.Body, `"sub":"kim"`) || got.Header.Get("Access-Control-Allow-Origin") != appOrigin {
		t.Errorf("%+v", got)
	}
	if got = c.send(t, r, "/oauth/revoke", map[string]string{"token": second.Refresh}); got.Status != http.StatusOK {
		t.Errorf("%+v", got)
	}
	if got = c.send(t, r, "/oauth/token", map[string]string{"grant_type": "refresh_token", "refresh_token": second.Refresh}); !strings.Contains(got.Body, `"error":"`) || got.Status == http.StatusOK {
		t.Errorf("after the revocation: %+v", got)
	}
	// The key set has the key of the ID token, so Hydra decides about its logout.
	got = r.send(t, http.MethodGet, "/v2/logout?returnTo="+url.QueryEscape(loggedOut)+"&id_token_hint="+second.ID, "")
	if to := got.Header.Get("Location"); got.Status != http.StatusFound || to == "" || strings.Contains(to, "error") {
		t.Errorf("%+v", got)
	}
	got = r.send(t, http.MethodGet, "/v2/logout?client_id="+c.client+"&returnTo="+url.QueryEscape(loggedOut), "")
	if got.Status != http.StatusFound || got.Header.Get("Location") != loggedOut {
		t.Errorf("%+v", got)
	}
}
