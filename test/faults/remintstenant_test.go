package faults

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	tenantDomain = "tenant.example.com"
	// overlap is the overlap period of the tenant's rotating applications. Their tokens are
	// refused after that, and their family is revoked.
	overlap = 2 * time.Minute
)

// tenant is an Auth0 with refresh tokens: app-user, and -n for the nth successor.
type tenant struct {
	key *rsa.PrivateKey

	mu          sync.Mutex
	connections int
	rotates     map[string]bool      // by application
	first       map[string]time.Time // when a token was first redeemed
	last        map[string]int       // the connection by which it came last
	redeemed    map[string]int
	issued      map[string]bool // successors
	refused     int
	needless    []string // tokens that came again, although ferry lived and had the answer
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &tenant{
		key: key, rotates: map[string]bool{}, first: map[string]time.Time{}, last: map[string]int{}, redeemed: map[string]int{}, issued: map[string]bool{},
	}
}

// connection returns host and port of the tenant for one life of ferry, and for the time until the
// connection breaks or is repaired. By one that is not broken, no token may come twice.
func (a *tenant) connection(t *testing.T, broken bool) string {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.connections++
	number := a.connections
	if broken {
		number = brokenConnection
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, number) }))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

const brokenConnection = -1

func (a *tenant) answer(w http.ResponseWriter, r *http.Request, connection int) {
	w.Header().Set("Content-Type", "application/json")
	var answer any
	switch r.URL.Path {
	case "/.well-known/jwks.json":
		answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: a.key.Public(), KeyID: "1", Use: "sig", Algorithm: "RS256"}}}
	case "/oauth/token":
		var err error
		if answer, err = a.redeem(r, connection); err != nil {
			w.WriteHeader(http.StatusForbidden)
			answer = map[string]string{"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// redeem redeems a token of the application that sends it.
func (a *tenant) redeem(r *http.Request, connection int) (any, error) {
	app, _, basic := r.BasicAuth()
	if !basic {
		app = r.PostFormValue("client_id")
	}
	token := r.PostFormValue("refresh_token")
	parts := strings.Split(token, "-")
	a.mu.Lock()
	defer a.mu.Unlock()
	first, again := a.first[token]
	if len(parts) < 2 || parts[0] != app || len(parts) > 2 && !a.issued[token] || a.rotates[app] && again && time.Since(first) > overlap {
		a.refused++
		return nil, fmt.Errorf("%q is refused", token)
	}
	if !again {
		a.first[token] = time.Now()
	}
	a.redeemed[token]++
	if again && a.last[token] == connection && connection != brokenConnection {
		a.needless = append(a.needless, token)
	}
	a.last[token] = connection
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: a.key, KeyID: "1"}}, nil)
	if err != nil {
		return nil, err
	}
	id, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": "https://" + tenantDomain + "/", "aud": app, "sub": "auth0|" + parts[1], "email": parts[1] + "@example.org", "email_verified": true,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"access_token": "at-" + token, "id_token": id, "scope": "openid email offline_access", "expires_in": 86400, "token_type": "Bearer"}
	if a.rotates[app] {
		next := fmt.Sprintf("%s-%d", token, a.redeemed[token])
		a.issued[next], answer["refresh_token"] = true, next
	}
	return answer, nil
}

// again returns how often a token was redeemed that had been redeemed before.
func (a *tenant) again() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, times := range a.redeemed {
		n += times - 1
	}
	return n
}
