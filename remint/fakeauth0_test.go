package remint_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// signingKey is made once: it is slow.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// fakeAuth0 redeems refresh tokens and names their user.
type fakeAuth0 struct {
	url, issuer string
	now         func() time.Time

	mu       sync.Mutex
	rotates  bool
	leeway   time.Duration
	family   map[string]string    // every token: its family
	used     map[string]time.Time // when it was first redeemed
	revoked  map[string]bool      // families
	redeemed map[string]int
	number   int
	// revocations are the tokens that were to be revoked. It answers 503 unless revokes is true.
	revocations []string
	revokes     bool
	// answer replaces the answer to the next requests; nil: none.
	answer http.HandlerFunc
	// claims are added to the ID token.
	claims map[string]any
	scope  string
}

func newAuth0(t *testing.T, now func() time.Time) *fakeAuth0 {
	t.Helper()
	a := &fakeAuth0{
		issuer: "https://tenant.example.com/", now: now, revokes: true, family: map[string]string{"old": "f"}, used: map[string]time.Time{}, revoked: map[string]bool{},
		redeemed: map[string]int{}, scope: "openid profile email offline_access read:users",
	}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	a.url = srv.URL
	return a
}

func sendJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// ServeHTTP implements http.Handler.
func (a *fakeAuth0) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.URL.Path == "/.well-known/jwks.json":
		sendJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signingKey().Public(), KeyID: "1", Use: "sig", Algorithm: "RS256"}}})
	case r.URL.Path == "/oauth/revoke" && !a.revokes:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/oauth/revoke":
		if family, known := a.family[r.PostFormValue("token")]; known {
			a.revoked[family] = true
		}
		a.revocations = append(a.revocations, r.PostFormValue("token"))
	case r.URL.Path == "/userinfo":
		sendJSON(w, http.StatusOK, map[string]any{"sub": subject, "email": "alice@example.com"})
	case a.answer != nil:
		a.answer(w, r)
	default:
		a.token(w, r)
	}
}

func (a *fakeAuth0) token(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("refresh_token")
	refuse := func() {
		sendJSON(w, http.StatusForbidden, map[string]string{"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."})
	}
	family, known := a.family[token]
	a.redeemed[token]++
	first, again := a.used[token]
	if known && a.rotates && again && a.now().Sub(first) > a.leeway {
		a.revoked[family] = true
	}
	if !known || a.revoked[family] {
		refuse()
		return
	}
	if !again {
		a.used[token] = a.now()
	}
	answer := map[string]any{"access_token": a.accessToken(), "expires_in": 86400, "token_type": "Bearer", "scope": a.scope, "id_token": a.idToken(r.PostFormValue("client_id"))}
	if a.rotates {
		a.number++
		next := fmt.Sprintf("%s-%d", token, a.number)
		a.family[next] = family
		answer["refresh_token"] = next
	}
	sendJSON(w, http.StatusOK, answer)
}

func (a *fakeAuth0) signed(claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: signingKey(), KeyID: "1"}}, nil)
	if err != nil {
		panic(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err)
	}
	return text
}

func (a *fakeAuth0) accessToken() string {
	return a.signed(map[string]any{"aud": []string{"https://api.example.com", a.issuer + "userinfo"}, "sub": subject})
}

func (a *fakeAuth0) idToken(client string) string {
	claims := map[string]any{
		"iss": a.issuer, "aud": client, "sub": subject, "email": "alice@example.com", "email_verified": true, "https://example.com/plan": "pro",
		"iat": a.now().Unix(), "exp": a.now().Add(10 * time.Hour).Unix(), "sid": "s-1",
	}
	for name, value := range a.claims {
		claims[name] = value
	}
	return a.signed(claims)
}

func (a *fakeAuth0) set(change func(*fakeAuth0)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

func (a *fakeAuth0) times(token string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.redeemed[token]
}
