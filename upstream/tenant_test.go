package upstream_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ferry/secret"
	"ferry/upstream"
)

const (
	issuer   = "https://tenant.example/"
	clientID = "ferry-client"
	alice    = "auth0|alice"
	canary   = "canary-pass-ö 4f"
)

// key makes one RSA key for all tests, because that is slow under -race.
var key = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })

// foreignKey is in no key set.
var foreignKey = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })

func newKey(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err) // no test can run without it
	}
	return k
}

// tenant is an Auth0 whose answers a test sets. It counts the requests.
type tenant struct {
	token    http.HandlerFunc
	userinfo http.HandlerFunc
	jwks     http.HandlerFunc

	mu    sync.Mutex
	calls map[string]int
	form  url.Values
	auth  string
}

func (tn *tenant) count(path string) int {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	return tn.calls[path]
}

// newTenant starts a tenant with tokens for alice and its keys, but no /userinfo.
func newTenant(t *testing.T) (*tenant, *upstream.Client) {
	t.Helper()
	tn := &tenant{calls: map[string]int{}}
	tn.token = sendJSON(http.StatusOK, tokens(idToken(t, nil)))
	tn.jwks = sendJSON(http.StatusOK, keySet("k1", key()))
	tn.userinfo = sendJSON(http.StatusUnauthorized, `{"error":"invalid_token"}`)
	srv := httptest.NewServer(http.HandlerFunc(tn.serve))
	transport := upstream.NewTransport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.CloseClientConnections()
		srv.Close()
	})
	return tn, newClient(t, srv.URL, transport, 5*time.Second)
}

func newClient(t *testing.T, baseURL string, transport http.RoundTripper, timeout time.Duration) *upstream.Client {
	t.Helper()
	c, err := upstream.New(upstream.Options{
		Issuer: issuer, BaseURL: baseURL, ClientID: clientID, ClientAuth: upstream.SecretPost(clientID, secret.New("client-secret")),
		Scope: "openid profile email phone", Timeout: timeout, Transport: transport, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (tn *tenant) serve(w http.ResponseWriter, r *http.Request) {
	tn.mu.Lock()
	tn.calls[r.URL.Path]++
	tn.mu.Unlock()
	switch r.URL.Path {
	case "/oauth/token":
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		tn.mu.Lock()
		tn.form = form
		tn.mu.Unlock()
		tn.token(w, r)
	case "/userinfo":
		tn.mu.Lock()
		tn.auth = r.Header.Get("Authorization")
		tn.mu.Unlock()
		tn.userinfo(w, r)
	case "/.well-known/jwks.json":
		tn.jwks(w, r)
	default:
		http.NotFound(w, r)
	}
}

func send(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func sendJSON(status int, body string) http.HandlerFunc {
	return send(status, "application/json; charset=utf-8", body)
}

func tokens(idToken string) string {
	text, _ := json.Marshal(map[string]any{"access_token": "at-1", "id_token": idToken, "token_type": "Bearer", "expires_in": 86400})
	return string(text)
}

// idToken returns alice's ID token with some claims changed; nil removes a claim.
func idToken(t *testing.T, change map[string]any) string {
	t.Helper()
	return sign(t, jose.RS256, "k1", key(), payload(t, change))
}

func payload(t *testing.T, change map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": issuer, "aud": clientID, "sub": alice, "iat": now, "exp": now + 3600,
		"email": "alice@example.org", "email_verified": true,
	}
	for name, value := range change {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, kid string, key any, payload string) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func keySet(kid string, k *rsa.PrivateKey) string {
	text, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.Public(), KeyID: kid, Use: "sig", Algorithm: "RS256"}}})
	return string(text)
}

func ask(t *testing.T, c *upstream.Client) (upstream.Profile, *upstream.LoginError) {
	t.Helper()
	return askContext(t.Context(), t, c)
}

func askContext(ctx context.Context, t *testing.T, c *upstream.Client) (upstream.Profile, *upstream.LoginError) {
	t.Helper()
	profile, err := c.Verify(ctx, upstream.Credentials{Username: "alice@example.org", Password: secret.New(canary), Realm: "users"})
	if err == nil {
		if profile.Subject == "" {
			t.Fatal("no error and no subject")
		}
		return profile, nil
	}
	var loginErr *upstream.LoginError
	if !errors.As(err, &loginErr) {
		t.Fatalf("the error is not a LoginError: %v", err)
	}
	if profile != (upstream.Profile{}) {
		t.Fatalf("an error with a profile: %+v", profile)
	}
	return upstream.Profile{}, loginErr
}
