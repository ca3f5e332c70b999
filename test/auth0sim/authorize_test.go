package auth0sim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"ferry/test/auth0sim"
)

const (
	callback = "https://app.example/callback"
	verifier = "a-verifier-of-forty-three-characters-or-more-1"
	webID    = "web"
)

// browser is a browser before the login pages. It does not leave the simulator.
type browser struct {
	t      *testing.T
	sim    *auth0sim.Server
	client *http.Client
}

// web starts a simulator with an application for logins in a browser, and users of other
// connections.
func web(t *testing.T) browser {
	t.Helper()
	sim := start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.Connections = append(cfg.Tenant.Connections,
			auth0sim.Connection{Name: "corp", Strategy: auth0sim.StrategySAML}, auth0sim.Connection{Name: "email", Strategy: auth0sim.StrategyEmail})
		cfg.Tenant.Apps = append(cfg.Tenant.Apps, auth0sim.App{
			ClientID: webID, ClientSecret: "secret", GrantTypes: []string{auth0sim.GrantAuthorizationCode}, Callbacks: []string{callback},
			AuthMethods: []string{auth0sim.AuthPost, auth0sim.AuthBasic},
		})
		cfg.Tenant.Users = append(cfg.Tenant.Users,
			auth0sim.User{ID: "samlp|corp|cy", Connection: "corp", Email: "cy@corp.example"},
			auth0sim.User{ID: "email|1", Connection: "email", Email: "em@example.test", EmailVerified: true, Password: "424242"},
			auth0sim.User{ID: "auth0|leaked", Connection: auth0sim.DemoConnection, Email: "leaked@example.test", Password: "p", PasswordLeaked: true})
	})
	b := browser{t: t, sim: sim, client: newClient(t)}
	b.restart()
	return b
}

// restart forgets the cookies.
func (b *browser) restart() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.client.Jar = jar
}

// do makes a request and returns where it leads, or the page.
func (b *browser) do(method, path string, form url.Values) (status int, location, body string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.sim.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

// authorize opens /authorize. pairs change the parameters, an empty value takes one out.
func (b *browser) authorize(pairs ...string) (status int, location, body string) {
	b.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {webID}, "redirect_uri": {callback}, "scope": {"openid email"}, "state": {"s1"}, "nonce": {"n1"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
		maps.DeleteFunc(query, func(_ string, values []string) bool { return values[0] == "" })
	}
	return b.do(http.MethodGet, auth0sim.PathAuthorize+"?"+query.Encode(), nil)
}

// back returns the parameters with which the browser comes back to the application.
func (b *browser) back(location string) url.Values {
	b.t.Helper()
	rest, ok := strings.CutPrefix(location, callback+"?")
	values, err := url.ParseQuery(rest)
	if !ok || err != nil || values.Get("state") != "s1" {
		b.t.Fatalf("the browser is sent to %q", location)
	}
	return values
}

// post posts the login page, which is at the location.
func (b *browser) post(location string, pairs ...string) (status int, next, body string) {
	b.t.Helper()
	u, err := url.Parse(location)
	if err != nil || u.Query().Get("state") == "" {
		b.t.Fatalf("the page is %q", location)
	}
	form := url.Values{"state": {u.Query().Get("state")}, "connection": {auth0sim.DemoConnection}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, location, form)
}

// redeem exchanges a code for tokens.
func (b *browser) redeem(pairs ...string) answer {
	b.t.Helper()
	form := url.Values{
		"grant_type": {auth0sim.GrantAuthorizationCode}, "client_id": {webID}, "client_secret": {"secret"}, "redirect_uri": {callback}, "code_verifier": {verifier},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return send(b.t, http.MethodPost, b.sim.URL()+auth0sim.PathToken, "application/x-www-form-urlencoded", form.Encode(), nil)
}

// A login in a browser: the page has the hint, the code gives tokens of the user, once, and the
// session lets the browser in without the page.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	b := web(t)
	if _, location, _ := b.authorize("prompt", "none"); b.back(location).Get("error") != "login_required" {
		t.Errorf("without a session: %s", location)
	}
	_, location, _ := b.authorize("login_hint", adaEmail, "acr_values", "http://schemas.openid.net/pape/policies/2007/06/multi-factor")
	if status, _, body := b.do(http.MethodGet, location, nil); status != http.StatusOK || !strings.Contains(body, `value="`+adaEmail+`"`) {
		t.Errorf("the page: %d, %s", status, body)
	}
	if status, _, body := b.post(location, "username", adaEmail, "password", "wrong"); status != http.StatusBadRequest || !strings.Contains(body, "wrong_password") {
		t.Errorf("a wrong password: %d, %s", status, body)
	}
	_, location, _ = b.post(location, "username", adaEmail, "password", adaPassword)
	code := b.back(location).Get("code")
	if got := b.redeem("code", code, "code_verifier", "other"); got.status != http.StatusForbidden || !strings.Contains(got.body, "Failed to verify code verifier") {
		t.Errorf("another verifier: %+v", got)
	}
	if got := b.redeem("code", code); !strings.Contains(got.body, "Invalid authorization code") {
		t.Errorf("a code that was used: %+v", got)
	}
	_, location, _ = b.authorize("prompt", "none")
	got := b.redeem("code", b.back(location).Get("code"))
	body := mustTokens(t, got)
	claims := segment(t, body.IDToken, 1)
	if got.status != http.StatusOK || claims["sub"] != auth0sim.DemoAdaID || claims["nonce"] != "n1" || claims["aud"] != webID {
		t.Errorf("the tokens: %+v, %v", got, claims)
	}
	info := send(t, http.MethodGet, b.sim.URL()+auth0sim.PathUserinfo, "", "", http.Header{"Authorization": {"Bearer " + body.AccessToken}})
	if !strings.Contains(info.body, auth0sim.DemoAdaID) || !strings.Contains(info.body, `"email_verified":true`) {
		t.Errorf("userinfo: %+v", info)
	}
	if _, location, _ = b.authorize("prompt", "login"); !strings.HasPrefix(location, auth0sim.PathLogin) {
		t.Errorf("prompt=login: %s", location)
	}
	if seen := b.sim.Authorizations(); len(seen) != 4 || seen[1].Get("login_hint") != adaEmail || b.sim.Attempts(auth0sim.DemoAdaID) != 0 {
		t.Errorf("seen: %v", seen)
	}
}

// Who has a second factor passes a second step, also where the session is new; whoever the
// tenant refuses comes back with the error.
func TestAuthorizeUsers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		connection, username, password string
		factor                         bool
		want                           string // code, the error at the callback, or a text on the page
	}{
		"a second factor":     {auth0sim.DemoConnection, "barbara@example.test", "substitution-principle", true, "code"},
		"blocked":             {auth0sim.DemoConnection, "alan@example.test", "enigma-was-not-enough", false, "unauthorized"},
		"denied":              {auth0sim.DemoConnection, "edsger@example.test", "goto-considered-harmful", false, "access_denied"},
		"leaked":              {auth0sim.DemoConnection, "leaked@example.test", "p", false, "password_leaked"},
		"a code":              {"email", "em@example.test", "424242", false, "code"},
		"a wrong code":        {"email", "em@example.test", "000000", false, "wrong_email_code"},
		"enterprise":          {"corp", "cy@corp.example", "", false, "code"},
		"enterprise, unknown": {"corp", "no@corp.example", "", false, "access_denied"},
		"no connection":       {"none", "cy@corp.example", "", false, "not enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := web(t)
			_, location, _ := b.authorize()
			_, next, body := b.post(location, "connection", c.connection, "username", c.username, "password", c.password)
			if c.factor {
				if _, _, wrong := b.post(next, "code", "000000"); !strings.HasPrefix(next, auth0sim.PathFactor) || !strings.Contains(wrong, "not valid") {
					t.Errorf("the second step: %s, %s", next, wrong)
				}
				_, next, body = b.post(next, "code", auth0sim.OneTimeCode)
			}
			switch {
			case next == "":
				if !strings.Contains(body, c.want) {
					t.Errorf("the page: %s", body)
				}
			case c.want == "code":
				if b.back(next).Get("code") == "" {
					t.Errorf("sent to %s", next)
				}
			case b.back(next).Get("error") != c.want:
				t.Errorf("sent to %s", next)
			}
		})
	}
}

// What is wrong with the request is shown where the browser must not be sent back.
func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	b := web(t)
	for _, c := range []struct{ name, value, want string }{
		{"client_id", "other", "Unknown client"},
		{"redirect_uri", "https://evil.example/", "Callback URL mismatch"},
		{"response_type", "token", "unsupported_response_type"},
		{"code_challenge_method", "plain", "invalid_request"},
	} {
		status, location, body := b.authorize(c.name, c.value)
		if page := status == http.StatusForbidden && strings.Contains(body, c.want); !page && (location == "" || b.back(location).Get("error") != c.want) {
			t.Errorf("%s: %d, %s, %s", c.name, status, location, body)
		}
	}
	if status, _, _ := b.do(http.MethodGet, auth0sim.PathLogin+"?state=none", nil); status != http.StatusBadRequest {
		t.Errorf("a state that is none: %d", status)
	}
	for _, pairs := range [][]string{{"code", "none"}, {"code", ""}} {
		if got := b.redeem(pairs...); got.status < 400 {
			t.Errorf("%v: %+v", pairs, got)
		}
	}
}
