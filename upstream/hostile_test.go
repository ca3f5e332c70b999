package upstream_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/outcome"
	"ferry/secret"
	"ferry/upstream"
)

// hostileAnswers is the number of answers in TestHostileAnswers without HOSTILE.
const hostileAnswers = 20_000

// TestHostileAnswers: an attacker between Auth0 and ferry, without the key of the
// tenant, changes the answers. No login succeeds that Auth0 did not confirm, no
// password is wrong that Auth0 did not call wrong, and each password is sent once.
// `make hostile` makes a million answers, or HOSTILE of them.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	total := hostileAnswers
	if text := os.Getenv("HOSTILE"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		total = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d answers, seed %d", total, seed)
	pool := newHostilePool(t)
	var next, matches, mismatches atomic.Int64
	var all sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		h := &hostile{pool: pool, rand: rand.New(rand.NewPCG(seed, uint64(worker)))}
		client := h.client(t)
		all.Go(func() {
			for next.Add(1) <= int64(total) && !t.Failed() {
				verdict := h.one(t, client)
				if verdict == outcome.Match {
					matches.Add(1)
				}
				if verdict == outcome.Mismatch {
					mismatches.Add(1)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d matches, %d mismatches, all of them Auth0's own", matches.Load(), mismatches.Load())
	if matches.Load() == 0 || mismatches.Load() == 0 {
		t.Error("the answers are too wild to mean anything")
	}
}

// client returns a Client of an Auth0 that gives hostile answers.
func (h *hostile) client(t *testing.T) *upstream.Client {
	t.Helper()
	client, err := upstream.New(upstream.Options{
		Issuer: issuer, BaseURL: "http://127.0.0.1", ClientID: clientID, ClientAuth: upstream.SecretPost(clientID, secret.New("client-secret")),
		Scope: "openid", Timeout: time.Minute, Transport: h, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// hostilePool has the parts from which answers are made.
type hostilePool struct {
	jwks                           []byte
	tokens, values, names, genuine []string
}

func newHostilePool(t *testing.T) *hostilePool {
	t.Helper()
	hmac := []byte("client-secret-client-secret-1234")
	p := &hostilePool{jwks: []byte(keySet("k1", key()))}
	forged := payload(t, map[string]any{"sub": "auth0|mallory"})
	public := base64.StdEncoding.EncodeToString(key().N.Bytes())
	p.tokens = []string{
		idToken(t, nil), idToken(t, map[string]any{"sub": "auth0|bob"}), // signed by Auth0
		idToken(t, map[string]any{"exp": 1}), idToken(t, map[string]any{"aud": "other"}), idToken(t, map[string]any{"iss": "https://other.example/"}),
		idToken(t, map[string]any{"sub": nil}), idToken(t, map[string]any{"sub": 7}), // signed by Auth0, but for another user or none
		sign(t, "RS256", "k1", foreignKey(), forged), sign(t, "RS256", "", foreignKey(), forged), sign(t, "RS256", "k9", foreignKey(), forged),
		sign(t, "RS512", "k1", key(), forged), sign(t, "HS256", "", hmac, forged), sign(t, "HS256", "k1", []byte(public), forged),
		b64(`{"alg":"none"}`) + "." + b64(forged) + ".", b64(`{"alg":"RS256","kid":"k1"}`) + "." + b64(forged) + ".", "", "e30.e30.e30",
	}
	for _, token := range p.tokens {
		p.values = append(p.values, strconv.Quote(token))
	}
	p.values = append(p.values, `"at-1"`, `""`, `null`, `true`, `0`, `{}`, `[]`, `["at-1"]`, `{"a":1,"a":2}`, `"invalid_grant"`, `"invalid_user_password"`,
		`"access_denied"`, `"mfa_required"`, `"Wrong email or password."`, `"user is blocked"`, `"auth0|mallory"`, `"auth0|alice"`, "\"\xff\"", `"\ud800"`, `1e999`)
	p.names = []string{"access_token", "id_token", "error", "error_description", "sub", "Access_Token", "ID_TOKEN", "Error", "er_ror", "Sub", "errör", "x", "", "acc\\u0065ss_token"}
	p.genuine = []string{
		tokens(p.tokens[0]), tokens(p.tokens[1]), `{"access_token":"at-1"}`, `{"sub":"auth0|alice"}`,
		`{"error":"invalid_grant","error_description":"Wrong email or password."}`, `{"error":"mfa_required","error_description":"x","mfa_token":"y"}`,
	}
	return p
}

// hostile is the transport of a Client. It answers in place of Auth0.
type hostile struct {
	pool *hostilePool
	rand *rand.Rand

	grants            int
	token, userinfo   *http.Response // the answers to the current request
	said, saidOfWhose string         // their bodies
}

// RoundTrip implements http.RoundTripper.
func (h *hostile) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Path {
	case "/oauth/token":
		h.grants++
		return h.token, nil
	case "/userinfo":
		return h.userinfo, nil
	}
	return respond(http.StatusOK, "application/json", string(h.pool.jwks)), nil
}

func respond(status int, media, body string) *http.Response {
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// one makes one request and compares the verdict with the answers.
func (h *hostile) one(t *testing.T, client *upstream.Client) outcome.Outcome {
	t.Helper()
	h.grants = 0
	h.token, h.said = h.answer()
	h.userinfo, h.saidOfWhose = h.answer()
	profile, err := client.Verify(context.Background(), upstream.Credentials{Username: "alice", Password: secret.New("x"), Realm: "users"}) //nolint:usetesting // costs too much a million times
	if h.grants != 1 {
		t.Errorf("the password was sent %d times", h.grants)
	}
	if err == nil {
		if !h.vouched(profile.Subject) {
			t.Errorf("vouched for %q by status %d, %v, %q; /userinfo with %d, %q",
				profile.Subject, h.token.StatusCode, h.token.Header, h.said, h.userinfo.StatusCode, h.saidOfWhose)
		}
		return outcome.Match
	}
	var loginErr *upstream.LoginError
	if !errors.As(err, &loginErr) || loginErr.Outcome == 0 || loginErr.Outcome == outcome.Match {
		t.Errorf("%v", err)
		return outcome.InvalidResponse
	}
	if loginErr.Outcome == outcome.Mismatch && !h.calledWrong() {
		t.Errorf("a mismatch by status %d, %q", h.token.StatusCode, h.said)
	}
	return loginErr.Outcome
}

// answer makes up an answer or changes one of Auth0.
func (h *hostile) answer() (*http.Response, string) {
	r := h.rand
	status := []int{200, 200, 200, 200, 403, 403, 401, 201, 204, 206, 302, 400, 404, 429, 500, 503, 101}[r.IntN(17)]
	media := []string{"application/json", "application/json", "application/json; charset=utf-8", "application/jwt", "text/html", "", "application/json;;"}[r.IntN(7)]
	body := pick(r, h.pool.genuine)
	switch r.IntN(8) {
	case 0: // unchanged
	case 1, 2:
		body = h.mutated(body)
	case 3:
		body = h.pieced()
	default:
		body = h.object()
	}
	return respond(status, media, body), body
}

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// object returns JSON of known names and values, with duplicate names.
func (h *hostile) object() string {
	var fields []string
	for range 1 + h.rand.IntN(4) {
		fields = append(fields, `"`+pick(h.rand, h.pool.names)+`":`+pick(h.rand, h.pool.values))
	}
	return pick(h.rand, []string{"", "", "", " ", "\ufeff", "[", "{}"}) + "{" + strings.Join(fields, ",") + "}" + pick(h.rand, []string{"", "", "", "\n", " {}", "]", "\x00"})
}

// pieced returns a valid answer with an ID token made of parts of others.
func (h *hostile) pieced() string {
	var parts [3]string
	for i := range parts {
		if other := strings.Split(pick(h.rand, h.pool.tokens), "."); len(other) == len(parts) {
			parts[i] = other[i]
		}
	}
	token := strings.Join(parts[:], ".")
	if h.rand.IntN(2) == 0 {
		token = h.mutated(token)
	}
	text, _ := json.Marshal(map[string]string{"access_token": "at-1", "id_token": token}) // strings always marshal
	return string(text)
}

// mutated changes some bytes of a text.
func (h *hostile) mutated(text string) string {
	r, b := h.rand, []byte(text)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			break
		}
		from, to := r.IntN(len(b)), r.IntN(len(b))
		from, to = min(from, to), max(from, to)
		switch r.IntN(5) {
		case 0:
			b[from] = byte(r.IntN(256))
		case 1:
			b = slices.Delete(b, from, min(from+1+r.IntN(8), len(b)))
		case 2:
			b = slices.Insert(b, from, bytes.Clone(b[from:to])...)
		case 3:
			b[from] ^= 1 << r.IntN(8)
		case 4:
			b = slices.Insert(b, from, []byte(pick(r, h.pool.values))...)
		}
	}
	return string(b)
}

// fields reads an answer as a lenient parser would: of duplicate names the last one
// counts.
func fields(answer *http.Response, body string) map[string]json.RawMessage {
	var found map[string]json.RawMessage
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") || json.Unmarshal([]byte(body), &found) != nil {
		return nil
	}
	return found
}

// word returns a field that is a string, or an empty string.
func word(field json.RawMessage) (text string) {
	if json.Unmarshal(field, &text) != nil {
		return ""
	}
	return text
}

// vouched reports whether Auth0 confirmed this subject: in a signed token, or at
// /userinfo if the token cannot be checked.
func (h *hostile) vouched(subject string) bool {
	said := fields(h.token, h.said)
	for name, value := range said {
		if strings.EqualFold(name, "error") && string(value) != "null" {
			return false
		}
	}
	if h.token.StatusCode != http.StatusOK || word(said["access_token"]) == "" || subject == "" {
		return false
	}
	id := word(said["id_token"])
	alg, who, sound := signedFor(id)
	if sound {
		return who == subject
	}
	open := id == "" || alg == "HS256" && who == subject
	return open && h.userinfo.StatusCode == http.StatusOK && word(fields(h.userinfo, h.saidOfWhose)["sub"]) == subject
}

// calledWrong reports whether Auth0 said that the password is wrong.
func (h *hostile) calledWrong() bool {
	refused := h.token.StatusCode == http.StatusForbidden || h.token.StatusCode == http.StatusUnauthorized
	code := word(fields(h.token, h.said)["error"])
	return refused && (code == "invalid_grant" || code == "invalid_user_password")
}

// signedFor reads an ID token without go-jose: its algorithm, its subject, and whether
// the tenant's key signed it for ferry.
func signedFor(token string) (alg, subject string, sound bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", "", false
	}
	var raw [3][]byte
	for i, part := range parts {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return "", "", false
		}
		raw[i] = text
	}
	var header struct{ Alg string }
	var claims struct {
		Iss, Aud, Sub string
		Exp           float64
	}
	if json.Unmarshal(raw[0], &header) != nil || json.Unmarshal(raw[1], &claims) != nil ||
		claims.Iss != issuer || claims.Aud != clientID || claims.Sub == "" || claims.Exp < float64(time.Now().Add(-6*time.Minute).Unix()) {
		return "", "", false
	}
	// The last base64 character has unused bits: different text can have the same claims.
	digest := sha256.Sum256([]byte(b64(string(raw[0])) + "." + b64(string(raw[1]))))
	sound = header.Alg == "RS256" && rsa.VerifyPKCS1v15(&key().PublicKey, crypto.SHA256, digest[:], raw[2]) == nil
	return header.Alg, claims.Sub, sound
}
