package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	latencyPath = "/load/latency"
	countPath   = "/load/count"
	tokenLife   = 24 * time.Hour
)

// upstream stands for Auth0: it answers a grant with a token that it signed at its start,
// after a latency. It counts the grants by password.
type upstream struct {
	people  int
	answers [][]byte // by person
	keys    []byte
	latency atomic.Int64 // nanoseconds

	mu      sync.Mutex
	seen    map[[sha256.Size]byte]struct{} // passwords
	grants  int
	repeats int
}

// grants are the numbers of grants, and of those with a password that came before.
type grants struct {
	Grants  int `json:"grants"`
	Repeats int `json:"repeats"`
}

// newUpstream signs a token for each person.
func newUpstream(people int) (*upstream, error) {
	u := &upstream{people: people, seen: map[[sha256.Size]byte]struct{}{}}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "load"))
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	if u.keys, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "load", Use: "sig", Algorithm: "RS256"}}}); err != nil {
		return nil, fmt.Errorf("encode keys: %w", err)
	}
	now := time.Now()
	for i := range people {
		p := person(i)
		claims, err := json.Marshal(map[string]any{
			"iss": issuer, "aud": clientID, "sub": p.subject(), "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "sid": p.identityID(),
			"email": p.email(), "email_verified": true, "name": "Kim Load", "nickname": "kim", "picture": "https://load.example/kim.png", "updated_at": now.UTC().Format(time.RFC3339),
		})
		if err != nil {
			return nil, fmt.Errorf("encode claims: %w", err)
		}
		jws, err := signer.Sign(claims)
		if err != nil {
			return nil, fmt.Errorf("sign token: %w", err)
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			return nil, fmt.Errorf("encode token: %w", err)
		}
		u.answers = append(u.answers, fmt.Appendf(nil, `{"access_token":%q,"id_token":%q,"scope":"openid profile email phone","expires_in":86400,"token_type":"Bearer"}`,
			strings.Repeat("a", 200), token))
	}
	return u, nil
}

// serve serves over HTTP/2 and TLS, as Auth0 does, and writes the certificate to caFile; or
// over plain HTTP/1.1 if there is no caFile.
func (u *upstream) serve(caFile string) (*httptest.Server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", u.grant)
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, u.keys) })
	mux.HandleFunc("PUT "+latencyPath, u.setLatency)
	mux.HandleFunc("GET "+countPath, u.count)
	srv := httptest.NewUnstartedServer(mux)
	if caFile == "" {
		srv.Start()
		return srv, nil
	}
	srv.EnableHTTP2 = true
	srv.StartTLS()
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		srv.Close()
		return nil, fmt.Errorf("write certificate: %w", err)
	}
	return srv, nil
}

// grant answers a password grant.
func (u *upstream) grant(w http.ResponseWriter, r *http.Request) {
	password := r.PostFormValue("password")
	u.mu.Lock()
	u.grants++
	key := sha256.Sum256([]byte(password))
	if _, again := u.seen[key]; again {
		u.repeats++
	}
	u.seen[key] = struct{}{}
	u.mu.Unlock()
	if d := time.Duration(u.latency.Load()); d > 0 {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
	}
	p, err := personOf(r.PostFormValue("username"), u.people)
	if err != nil || !strings.HasPrefix(password, rightPassword) || r.PostFormValue("client_secret") != clientSecret {
		writeJSON(w, http.StatusForbidden, []byte(`{"error":"invalid_grant","error_description":"Wrong email or password."}`))
		return
	}
	writeJSON(w, http.StatusOK, u.answers[p])
}

func (u *upstream) setLatency(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("is"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u.latency.Store(int64(d))
	w.WriteHeader(http.StatusNoContent)
}

func (u *upstream) count(w http.ResponseWriter, _ *http.Request) {
	u.mu.Lock()
	text, err := json.Marshal(grants{u.grants, u.repeats})
	u.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, text)
}

func writeJSON(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // who went away needs no answer
}
