// Package contract checks what ferry relies on at Auth0: always against the simulator,
// and, if FERRY_CONTRACT_TENANT names a file, against a real tenant too, so that the
// two can be compared.
package contract

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ferry/outcome"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/upstream"
)

// variable names the JSON file that describes a real tenant: see tenant.
const variable = "FERRY_CONTRACT_TENANT"

// tenant is what the suite needs: an application with the password grants and the
// client_secret_post method, a database connection enabled for it, and a user of it
// without a second factor. A run costs that user two wrong passwords.
type tenant struct {
	BaseURL      string `json:"base_url"` // empty: https://DOMAIN
	Domain       string `json:"domain"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Realm        string `json:"realm"`
	Username     string `json:"username"`
	Password     string `json:"password"`
}

func TestContract(t *testing.T) {
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: auth0sim.DemoTenant()})
	t.Run("simulator", func(t *testing.T) {
		suite(t, tenant{
			BaseURL: sim.URL(), Domain: sim.Domain(), ClientID: auth0sim.DemoClientID, ClientSecret: auth0sim.DemoClientSecret,
			Realm: auth0sim.DemoConnection, Username: "ada@example.test", Password: "correct horse battery staple",
		})
	})
	file := os.Getenv(variable)
	if file == "" {
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var live tenant
	if err := json.Unmarshal(text, &live); err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	if live.BaseURL == "" {
		live.BaseURL = "https://" + live.Domain
	}
	t.Run("tenant", func(t *testing.T) { suite(t, live) })
}

func suite(t *testing.T, tn tenant) {
	t.Helper()
	t.Run("tokens", tn.tokens)
	t.Run("refusals", tn.refusals)
	t.Run("outcomes", tn.outcomes)
}

// answer is an HTTP answer with its body as an object.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) text(key string) string {
	value, _ := a.body[key].(string)
	return value
}

// form returns a valid password-realm grant with parameters changed; "" removes one.
func (tn tenant) form(change map[string]string) url.Values {
	form := url.Values{
		"grant_type": {"http://auth0.com/oauth/grant-type/password-realm"}, "realm": {tn.Realm}, "scope": {"openid profile email"},
		"username": {tn.Username}, "password": {tn.Password}, "client_id": {tn.ClientID}, "client_secret": {tn.ClientSecret},
	}
	for name, value := range change {
		form.Set(name, value)
		if value == "" {
			form.Del(name)
		}
	}
	return form
}

func (tn tenant) call(t *testing.T, method, path, authorization string, form url.Values) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, tn.BaseURL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: resp.StatusCode, header: resp.Header}
	if err := json.Unmarshal(text, &got.body); err != nil {
		t.Errorf("%s: not a JSON object: %v", path, err)
	}
	return got
}

func (tn tenant) token(t *testing.T, change map[string]string) answer {
	t.Helper()
	return tn.call(t, http.MethodPost, "/oauth/token", "", tn.form(change))
}

// tokens: the ID token verifies with the published keys and agrees with /userinfo.
func (tn tenant) tokens(t *testing.T) {
	got := tn.token(t, nil)
	if got.status != http.StatusOK || got.text("access_token") == "" || got.text("token_type") != "Bearer" || !strings.Contains(got.header.Get("Cache-Control"), "no-store") {
		t.Fatalf("%d, %v", got.status, got.header)
	}
	token, err := jwt.ParseSigned(got.text("id_token"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatalf("the ID token: %v", err)
	}
	var keys jose.JSONWebKeySet
	set := tn.call(t, http.MethodGet, "/.well-known/jwks.json", "", nil)
	text, err := json.Marshal(set.body)
	if err != nil || json.Unmarshal(text, &keys) != nil {
		t.Fatalf("the key set: %v", err)
	}
	var claims jwt.Claims
	if err := token.Claims(&keys, &claims); err != nil {
		t.Fatalf("the ID token's signature: %v", err)
	}
	if claims.Issuer != "https://"+tn.Domain+"/" || !slices.Equal(claims.Audience, []string{tn.ClientID}) || claims.Subject == "" || claims.Expiry == nil {
		t.Errorf("claims %+v", claims)
	}
	who := tn.call(t, http.MethodGet, "/userinfo", "Bearer "+got.text("access_token"), nil)
	if who.status != http.StatusOK || who.text("sub") != claims.Subject {
		t.Errorf("/userinfo: %d, %v", who.status, who.body)
	}
	if without := tn.token(t, map[string]string{"scope": "profile"}); without.status != http.StatusOK || without.text("id_token") != "" {
		t.Errorf("without openid: %d, an ID token: %v", without.status, without.text("id_token") != "")
	}
	if upper := tn.token(t, map[string]string{"username": strings.ToUpper(tn.Username)}); upper.status != http.StatusOK {
		t.Errorf("in upper case: %d", upper.status)
	}
}

// refusals: the rows of the contract that can be tested without harm.
func (tn tenant) refusals(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]string
		status int
		code   string
		text   string
	}{
		"wrong password":  {map[string]string{"password": "wrong-Passw0rd!"}, 403, "invalid_grant", "Wrong email or password."},
		"unknown user":    {map[string]string{"username": "nobody-at-all@example.invalid"}, 403, "invalid_grant", "Wrong email or password."},
		"client secret":   {map[string]string{"client_secret": "wrong"}, 401, "access_denied", "Unauthorized"},
		"audience":        {map[string]string{"audience": "https://nowhere.invalid"}, 403, "access_denied", "Service not found: https://nowhere.invalid"},
		"unknown realm":   {map[string]string{"realm": "no-such-realm"}, 0, "", ""},
		"no password":     {map[string]string{"password": ""}, 0, "", ""},
		"no such grant":   {map[string]string{"grant_type": "no-such-grant"}, 0, "", ""},
		"passwordless":    {map[string]string{"realm": "email"}, 0, "", ""},
		"another client":  {map[string]string{"client_id": "no-such-client"}, 0, "", ""},
		"missing secrets": {map[string]string{"client_secret": ""}, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := tn.token(t, c.change)
			if got.status < 400 || got.text("error") == "" || got.text("access_token") != "" {
				t.Fatalf("%d %v", got.status, got.body)
			}
			if c.status != 0 && (got.status != c.status || got.text("error") != c.code || got.text("error_description") != c.text) {
				t.Errorf("%d %v, want %d %s %s", got.status, got.body, c.status, c.code, c.text)
			}
			t.Logf("%d %s: %s", got.status, got.text("error"), got.text("error_description"))
		})
	}
}

// outcomes: the outcome of ferry for each answer.
func (tn tenant) outcomes(t *testing.T) {
	for name, c := range map[string]struct {
		secret, realm, password string
		want                    outcome.Outcome // zero: the profile
	}{
		"right":         {tn.ClientSecret, tn.Realm, tn.Password, 0},
		"wrong":         {tn.ClientSecret, tn.Realm, tn.Password + "x", outcome.Mismatch},
		"wrong secret":  {"wrong", tn.Realm, tn.Password, outcome.Misconfigured},
		"unknown realm": {tn.ClientSecret, "no-such-realm", tn.Password, outcome.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			transport := upstream.NewTransport()
			defer transport.CloseIdleConnections()
			client, err := upstream.New(upstream.Options{
				Issuer: "https://" + tn.Domain + "/", BaseURL: tn.BaseURL, ClientID: tn.ClientID, ClientAuth: upstream.SecretPost(tn.ClientID, secret.New(c.secret)),
				Scope: "openid profile email", Timeout: 20 * time.Second, Transport: transport, Now: time.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			profile, err := client.Verify(t.Context(), upstream.Credentials{Username: tn.Username, Password: secret.New(c.password), Realm: c.realm})
			if c.want == 0 {
				if err != nil || profile.Subject == "" {
					t.Fatalf("%+v, %v", profile, err)
				}
				return
			}
			refusal, ok := err.(*upstream.LoginError) //nolint:errorlint // Ask returns nothing else
			if !ok || refusal.Outcome != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}
