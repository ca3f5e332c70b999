package auth0sim_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/test/auth0sim"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	adaEmail    = "ada@example.test"
	adaPassword = "correct horse battery staple"

	wrongPasswordBody = `{"error":"invalid_grant","error_description":"Wrong email or password."}`
)

// answer is what came over the wire.
type answer struct {
	status int
	header http.Header
	body   string
}

// newClient returns a client without cookies, redirects or connections that
// outlive the test.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// frozen is a clock that stands still, so that limits refill only when told.
func frozen() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// start runs a simulator of the demo tenant with a clock that stands still.
func start(t *testing.T, change ...func(*auth0sim.Config)) *auth0sim.Server {
	t.Helper()
	cfg := auth0sim.Config{Tenant: auth0sim.DemoTenant(), Clock: frozen}
	for _, c := range change {
		c(&cfg)
	}
	return auth0sim.Run(t, cfg)
}

// realmForm is a good password-realm request; pairs change it, an empty value
// takes a parameter out.
func realmForm(pairs ...string) url.Values {
	form := url.Values{
		"grant_type":    {auth0sim.GrantPasswordRealm},
		"client_id":     {auth0sim.DemoClientID},
		"client_secret": {auth0sim.DemoClientSecret},
		"realm":         {auth0sim.DemoConnection},
		"username":      {adaEmail},
		"password":      {adaPassword},
		"scope":         {"openid profile email"},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			form.Del(pairs[i])
		}
	}
	return form
}

// send makes one request and reads the answer.
func send(t *testing.T, method, target, contentType, body string, header http.Header) answer {
	t.Helper()
	got, err := try(t.Context(), newClient(t), method, target, contentType, body, header)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// try is send for requests that may break.
func try(
	ctx context.Context, client *http.Client, method, target, contentType, body string, header http.Header,
) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(raw)}, err
}

// post sends a form to the token endpoint.
func post(t *testing.T, sim *auth0sim.Server, form url.Values, header ...http.Header) answer {
	t.Helper()
	return send(t, http.MethodPost, sim.URL()+auth0sim.PathToken, "application/x-www-form-urlencoded",
		form.Encode(), merge(header))
}

func merge(headers []http.Header) http.Header {
	all := http.Header{}
	for _, h := range headers {
		for key, values := range h {
			all[http.CanonicalHeaderKey(key)] = values
		}
	}
	return all
}

// get reads a path.
func get(t *testing.T, sim *auth0sim.Server, path string, header ...http.Header) answer {
	t.Helper()
	return send(t, http.MethodGet, sim.URL()+path, "", "", merge(header))
}

// want compares status and the exact body.
func want(t *testing.T, got answer, status int, body string) {
	t.Helper()
	if got.status != status || got.body != body {
		t.Errorf("got %d %s\nwant %d %s", got.status, got.body, status, body)
	}
}

// tokens is a successful answer.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	Scope        string `json:"scope"`
	ExpiresIn    int    `json:"expires_in"`
	TokenType    string `json:"token_type"`
}

// mustTokens reads a successful answer.
func mustTokens(t *testing.T, got answer) tokens {
	t.Helper()
	if got.status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", got.status, got.body)
	}
	var body tokens
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		t.Fatal(err)
	}
	return body
}

// segment decodes the i-th part of a compact JWT.
func segment(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts, want 3", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[i])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	return members
}
