package auth0sim_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ferry/test/auth0sim"
)

// userinfo asks /userinfo with a token.
func userinfo(t *testing.T, sim *auth0sim.Server, token string) answer {
	t.Helper()
	return get(t, sim, auth0sim.PathUserinfo, http.Header{"Authorization": {"Bearer " + token}})
}

// verify checks an ID token as a careful client would: the algorithm, a
// published key of that id, issuer, audience and time.
func verify(t *testing.T, sim *auth0sim.Server, token string, alg jose.SignatureAlgorithm) (map[string]any, bool) {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return nil, false
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(get(t, sim, auth0sim.PathJWKS).body), &keys); err != nil {
		t.Fatal(err)
	}
	var standard jwt.Claims
	var all map[string]any
	matching := keys.Key(parsed.Headers[0].KeyID)
	if parsed.Headers[0].KeyID == "" || len(matching) != 1 || parsed.Claims(matching[0], &standard, &all) != nil {
		return nil, false
	}
	err = standard.ValidateWithLeeway(jwt.Expected{
		Issuer: sim.Issuer(), AnyAudience: jwt.Audience{auth0sim.DemoClientID}, Time: sim.Now(),
	}, 0)
	return all, err == nil && standard.Expiry != nil && standard.Subject != ""
}

func TestUserinfo(t *testing.T) {
	t.Parallel()
	sim := start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.Users = append(cfg.Tenant.Users, auth0sim.User{
			ID: "auth0|bare", Email: "te@example.test", Password: "p", Username: "te", Phone: "+15555550100",
			CustomClaims: map[string]any{"https://ferry.test/username": "te", "phone_number": "+15555550100", "sub": "evil"},
		})
	})
	bare := []string{"username", "te@example.test", "password", "p"}
	token := mustTokens(t, post(t, sim, realmForm(append(bare, "scope", "openid")...))).AccessToken
	const all = `{"email":"te@example.test","email_verified":false,"https://ferry.test/username":"te","name":"te@example.test",` +
		`"nickname":"te","phone_number":"+15555550100",` +
		`"picture":"https://s.gravatar.com/avatar/95b103d81d0f761e4fdc7c61a9ed0842?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fte.png",` +
		`"sub":"auth0|bare","updated_at":"2026-01-02T03:04:05.000Z"}`
	got := userinfo(t, sim, token)
	want(t, got, 200, all)
	if got.header.Get("Content-Type") != "application/json; charset=utf-8" || got.header.Get("X-RateLimit-Limit") != "10" ||
		got.header.Get("X-RateLimit-Remaining") != "9" {
		t.Errorf("got headers %v", got.header)
	}
	posted := send(t, http.MethodPost, sim.URL()+auth0sim.PathUserinfo, "", "", http.Header{"Authorization": {"bearer " + token}})
	want(t, posted, 200, all)

	email := mustTokens(t, post(t, sim, realmForm(append(bare, "scope", "openid email")...))).AccessToken
	want(t, userinfo(t, sim, email), 200,
		`{"email":"te@example.test","email_verified":false,"https://ferry.test/username":"te","sub":"auth0|bare"}`)

	for name, refused := range map[string]string{
		"no openid":   mustTokens(t, post(t, sim, realmForm("scope", "email"))).AccessToken,
		"not a token": "x",
		"empty":       "",
	} {
		got := userinfo(t, sim, refused)
		want(t, got, 401, "Unauthorized")
		if got.header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
			t.Errorf("%s: got headers %v", name, got.header)
		}
	}
	want(t, get(t, sim, auth0sim.PathUserinfo), 401, "Unauthorized")
	sim.Advance(24 * time.Hour)
	want(t, userinfo(t, sim, token), 401, "Unauthorized")
}

func TestUserinfoLimit(t *testing.T) {
	t.Parallel()
	sim := start(t)
	token := mustTokens(t, post(t, sim, realmForm())).AccessToken
	for range 10 {
		if got := userinfo(t, sim, token); got.status != 200 {
			t.Fatalf("got %d %s", got.status, got.body)
		}
	}
	got := userinfo(t, sim, token)
	want(t, got, 429, tooManyBody)
	if got.header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("got headers %v", got.header)
	}
	sim.Advance(12 * time.Second) // 5 a minute
	if got := userinfo(t, sim, token); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	sim := start(t, func(cfg *auth0sim.Config) { cfg.Domain, cfg.Issuer = "", "https://login.example.test/" })
	var doc map[string]any
	if err := json.Unmarshal([]byte(get(t, sim, auth0sim.PathDiscovery).body), &doc); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"issuer": "https://login.example.test/", "token_endpoint": "https://login.example.test/oauth/token",
		"jwks_uri": "https://login.example.test/.well-known/jwks.json", "userinfo_endpoint": "https://login.example.test/userinfo",
	} {
		if doc[name] != value {
			t.Errorf("%s: got %v, want %s", name, doc[name], value)
		}
	}
	want(t, get(t, sim, "/elsewhere"), 404, "Not Found")
	if sim.PathRequests("/elsewhere") != 1 {
		t.Error("a request elsewhere was not counted")
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	sim := start(t)
	first := mustTokens(t, post(t, sim, realmForm())).IDToken
	check := func(token string, holds bool) {
		t.Helper()
		if _, ok := verify(t, sim, token, jose.RS256); ok != holds {
			t.Errorf("verifies: %t, want %t", ok, holds)
		}
	}
	check(first, true)
	if _, err := sim.RotateKey(true); err != nil {
		t.Fatal(err)
	}
	second := mustTokens(t, post(t, sim, realmForm())).IDToken
	check(first, true)
	check(second, true)
	if _, err := sim.RotateKey(false); err != nil {
		t.Fatal(err)
	}
	check(first, false)
	check(second, false)
	check(mustTokens(t, post(t, sim, realmForm())).IDToken, true)
	sim.Reset()
	check(first, true)
}

func TestIDTokenAlgorithms(t *testing.T) {
	t.Parallel()
	sim := start(t, func(cfg *auth0sim.Config) { cfg.Tenant.Apps[0].IDTokenAlg = "PS256" })
	if _, ok := verify(t, sim, mustTokens(t, post(t, sim, realmForm())).IDToken, jose.PS256); !ok {
		t.Error("the PS256 token does not hold")
	}
	app := auth0sim.DemoTenant().Apps[0]
	app.IDTokenAlg = "HS256"
	if err := sim.AddApp(app); err != nil {
		t.Fatal(err)
	}
	token := mustTokens(t, post(t, sim, realmForm())).IDToken
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.Verify([]byte(auth0sim.DemoClientSecret)); err != nil {
		t.Errorf("the HS256 token does not hold: %v", err)
	}
	if kid, ok := segment(t, token, 0)["kid"]; ok {
		t.Errorf("the HS256 token names the key %v", kid)
	}
}
