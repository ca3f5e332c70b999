package front_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"ferry/front"
	"ferry/hydra"
	"ferry/remint"
	"ferry/secret"
)

// reminter answers for package remint. It knows one secret.
type reminter struct {
	mu      sync.Mutex
	asked   []remint.Request
	revoked []remint.Request
	used    []string
	hold    chan struct{} // nil: it answers at once
}

func (m *reminter) Refresh(_ context.Context, req remint.Request) remint.Answer {
	m.mu.Lock()
	m.asked = append(m.asked, req)
	m.mu.Unlock()
	if m.hold != nil {
		<-m.hold
	}
	switch {
	case req.Credentials.Method == hydra.PrivateKeyJWT:
		return remint.Answer{Status: http.StatusServiceUnavailable}
	case req.Credentials.Method != hydra.None && req.Credentials.Secret.Reveal() != "right":
		return remint.Answer{Status: http.StatusUnauthorized, Body: []byte(`{"error":"invalid_client"}`)}
	}
	return remint.Answer{Status: http.StatusOK, Body: []byte(`{"access_token":"x"}`), Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}}
}

func (m *reminter) Revoke(_ context.Context, req remint.Request) remint.Answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked = append(m.revoked, req)
	return remint.Answer{Status: http.StatusOK}
}

func (m *reminter) Used(_ context.Context, token secret.String) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used = append(m.used, token.Reveal())
}

// reminting re-mints the tokens of these clients.
func reminting(m *reminter, clients ...string) func(*front.Options) {
	return func(o *front.Options) { o.Remint, o.RemintClients = m, clients }
}

func refresh(id, secret, token string) string {
	values := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {id}}
	if secret != "" {
		values.Set("client_secret", secret)
	}
	return values.Encode()
}

// TestRemint: a refresh token of Auth0 of a client of the settings goes to package remint with the
// credentials as they came, by whatever form, and its answer to the client. Hydra sees nothing.
func TestRemint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clients []string
		body    string
		header  []string
		asked   string // method, client, secret and token; empty: not asked
		status  int
		result  string
	}{
		"public":           {[]string{"spa"}, refresh("spa", "", "v1.M"), nil, "none spa  v1.M", 200, "remint"},
		"post":             {[]string{"web", "post"}, refresh("post", "right", "v1.M"), nil, "client_secret_post post right v1.M", 200, "remint"},
		"basic":            {[]string{"post"}, "grant_type=refresh_token&refresh_token=v1.M", []string{"Authorization", basic("post", "right")}, "client_secret_basic post right v1.M", 200, "remint"},
		"another client":   {[]string{"post"}, refresh("spa", "", "v1.M"), nil, "", 503, "not_enabled"},
		"another case":     {[]string{"spa"}, refresh("SPA", "", "v1.M"), nil, "", 503, "not_enabled"},
		"the name *":       {[]string{"spa"}, refresh("*", "", "v1.M"), nil, "", 503, "not_enabled"},
		"all":              {[]string{front.AllClients}, refresh("spa", "", "v1.M"), nil, "none spa  v1.M", 200, "remint"},
		"all, unknown one": {[]string{front.AllClients}, refresh("stranger", "", "v1.M"), nil, "", 503, "not_enabled"},
		"all, no client":   {[]string{front.AllClients}, refresh("", "", "v1.M"), nil, "", 503, "not_enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &reminter{}
			r := newRig(t, nil, func(o *front.Options) {
				reminting(m, c.clients...)(o)
				o.TrustedProxies = 1
			})
			got := r.form(t, "/oauth/token", c.body, append([]string{"X-Request-Id", "r-1", "X-Forwarded-For", "203.0.113.1"}, c.header...)...)
			asked := ""
			for _, one := range m.asked {
				asked += string(one.Credentials.Method) + " " + one.Credentials.ClientID + " " + one.Credentials.Secret.Reveal() + " " + one.RefreshToken.Reveal()
				if one.ClientIP.String() != "203.0.113.1" || one.RequestID != "r-1" {
					t.Errorf("%+v", one)
				}
			}
			if asked != c.asked || got.Status != c.status || len(r.Requests()) > 0 || r.counted(t, "token", c.result) != 1 {
				t.Errorf("asked %q: %+v", asked, got)
			}
			if c.status == http.StatusOK && (got.Body != `{"access_token":"x"}` || got.Header.Get("Cache-Control") != "no-store") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestUsed: package remint hears of each refresh token of Hydra that gave new tokens, and of no
// other request.
func TestUsed(t *testing.T) {
	t.Parallel()
	m := &reminter{}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if err := req.ParseForm(); err != nil || strings.HasSuffix(req.Form.Get("refresh_token"), "bad") {
			w.WriteHeader(http.StatusBadRequest)
		}
	}, reminting(m, "spa"))
	for _, body := range []string{refresh("spa", "", "ory_rt_1"), refresh("other", "", "ory_rt_2"), refresh("spa", "", "ory_rt_bad"), "grant_type=authorization_code&refresh_token=ory_rt_3", refresh("spa", "", "")} {
		r.form(t, "/oauth/token", body)
	}
	r.form(t, "/oauth/revoke", "token=ory_rt_4")
	r.front.Close() // what is noted after an answer has been noted
	if got := strings.Join(m.used, " "); got != "ory_rt_1 ory_rt_2 " && got != "ory_rt_1 ory_rt_2" {
		t.Errorf("%q", got)
	}
}

// TestLimits: strangers reach package remint, and so Auth0, only so often from one address. The
// server of an application, which has the secret, is not limited.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ id, secret, other string }{
		"a public client":               {"spa", "", ""},
		"a public client with a secret": {"spa", "right", ""}, // anyone can add one
		"no secret":                     {"post", "", "right"},
		"an assertion":                  {"jwt", "e30.eyJzdWIiOiJqd3QifQ.x", ""},
		"a wrong secret":                {"post", "wrong", "right"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testLimits(t, c.id, c.secret, c.other)
		})
	}
}

// testLimits sends as a client with a secret, after 20 requests with another one, if there is one.
func testLimits(t *testing.T, id, secret, other string) {
	t.Helper()
	m := &reminter{}
	r := newRig(t, nil, func(o *front.Options) {
		reminting(m, "spa", "post", "jwt")(o)
		o.PerMinute, o.TrustedProxies = 5, 1
	})
	send := func(secret, from string, times int) (limited int) {
		for range times {
			body := refresh(id, secret, "v1.M")
			if id == "jwt" {
				body = refresh(id, "", "v1.M") + "&client_assertion=" + secret
			}
			if r.form(t, "/oauth/token", body, "X-Forwarded-For", from).Status == http.StatusTooManyRequests {
				limited++
			}
		}
		return limited
	}
	if other != "" && send(other, "203.0.113.1", 20) > 0 {
		t.Error("the right secret is limited")
	}
	before := len(m.asked)
	if limited := send(secret, "203.0.113.1", 20); limited != 15 || len(m.asked)-before != 5 {
		t.Errorf("%d limited, asked %d times", limited, len(m.asked)-before)
	}
	if send(secret, "203.0.113.2", 1) > 0 {
		t.Error("another address is limited")
	}
}

// TestRevoke: what may be a refresh token of Auth0 is revoked there, and everything else at Hydra.
func TestRevoke(t *testing.T) {
	t.Parallel()
	const jwt = "eyJraWQiOiJ4In0.e30.x"
	for name, c := range map[string]struct {
		token         string
		remints, ends bool
		at            string
	}{
		"Hydra's":                   {"ory_rt_1", true, false, "hydra"},
		"Hydra's access token":      {"ory_at_1", false, false, "hydra"},
		"a JWT":                     {jwt, true, false, "hydra"},
		"none":                      {"", true, false, "hydra"},
		"Auth0's":                   {"v1." + canary, true, false, "remint"},
		"Auth0's, none re-minted":   {"v1." + canary, false, false, "auth0"},
		"Auth0's, after the end":    {"v1." + canary, true, true, ""},
		"Hydra's, after the end":    {"ory_rt_1", true, true, "hydra"},
		"one that looks like a JWT": {"a.b.c", true, false, "remint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &reminter{}
			r := newRig(t, nil, func(o *front.Options) {
				if o.Closed = c.ends; c.remints {
					reminting(m, "spa")(o)
				}
			})
			got := r.send(t, http.MethodPost, "/oauth/revoke", `{"client_id":"post","client_secret":"right","token":"`+c.token+`"}`, "Content-Type", "application/json", "Origin", appOrigin)
			at := strings.Repeat("hydra", len(r.Requests())) + strings.Repeat("remint", len(m.revoked)) + strings.Repeat("auth0", len(r.auth0.Requests()))
			if at != c.at || got.Status != http.StatusOK || got.Header.Get("Access-Control-Allow-Origin") != appOrigin {
				t.Errorf("at %q: %+v", at, got)
			}
			for _, one := range r.auth0.Requests() {
				if one.URI != "/oauth/revoke" || one.Body != "client_id=post&client_secret=right&token=v1."+canary || one.Header.Get("Origin")+one.Header.Get("Cookie") != "" {
					t.Errorf("Auth0 received %+v", one)
				}
			}
			r.checkSilent(t)
		})
	}
}

// TestRevokeOfAStranger: a client that Hydra does not have is one of Auth0's, which decides about it.
// While it is not known whether Hydra has it, it is an outage.
func TestRevokeOfAStranger(t *testing.T) {
	t.Parallel()
	m := &reminter{}
	r := newRig(t, nil, reminting(m, "spa"))
	r.setAuth0(http.StatusUnauthorized)
	if got := r.form(t, "/oauth/revoke", "client_id=stranger&token=v1.M"); got.Status != http.StatusUnauthorized || len(m.revoked) > 0 || len(r.auth0.Requests()) != 1 {
		t.Errorf("%+v, package remint was asked %d times, Auth0 %d times", got, len(m.revoked), len(r.auth0.Requests()))
	}
	r.world.mu.Lock()
	r.down = true
	r.world.mu.Unlock()
	if got := r.form(t, "/oauth/revoke", "client_id=other&token=v1.M"); got.Status != http.StatusServiceUnavailable || len(m.revoked) > 0 || len(r.auth0.Requests()) != 1 {
		t.Errorf("while the admin API is down: %+v", got)
	}
}

// TestAuth0IsSelf: where Auth0's address is the one for which the front answers, it would ask
// itself. It says so, and asks no one.
func TestAuth0IsSelf(t *testing.T) {
	t.Parallel()
	m := &reminter{}
	r := newRig(t, nil, func(o *front.Options) {
		reminting(m, "spa")(o)
		o.Auth0 = &url.URL{Scheme: "https", Host: "login.example.com"}
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.front.URL+"/oauth/token", strings.NewReader(refresh("spa", "", "v1.M")))
	if err != nil {
		t.Fatal(err)
	}
	req.Host, req.Close = "Login.example.com", true
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || len(m.asked) > 0 || r.counted(t, "token", "auth0_is_self") != 1 || r.logs.FilterMessageSnippet("FERRY_AUTH0_DOMAIN").Len() != 1 {
		t.Errorf("status %d, asked %d times", resp.StatusCode, len(m.asked))
	}
}
