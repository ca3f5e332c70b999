package remint_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/audit"
	"ferry/hydra"
	"ferry/kratos"
	"ferry/remint"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/hydratest"
	"ferry/test/kratostest"
	"ferry/transport"
	"ferry/upstream"
)

const realSecret = "remint-client-secret-77aa31"

// realParts are a Reminter and what it works with: the simulator, a real Kratos and a real Hydra.
type realParts struct {
	*remint.Reminter

	t      *testing.T
	sim    *auth0sim.Server
	kratos *kratostest.Kratos
	hydra  *hydratest.Hydra
	logs   *observer.ObservedLogs
	audit  []audit.Record
}

func startReal(t *testing.T) *realParts {
	t.Helper()
	limits := auth0sim.RelaxedSettings()
	rotating := auth0sim.RefreshPolicy{Rotation: true, LifetimeSeconds: 2592000, IdleSeconds: 1296000}
	r := &realParts{t: t}
	r.sim = auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		Connections: []auth0sim.Connection{{Name: "users"}},
		Apps: []auth0sim.App{
			{ClientID: "spa", AuthMethods: []string{auth0sim.AuthNone}, GrantTypes: []string{"authorization_code", "refresh_token"}, RefreshTokens: rotating},
			{ClientID: "web", ClientSecret: realSecret, AuthMethods: []string{auth0sim.AuthPost}, GrantTypes: []string{"authorization_code", "refresh_token"}},
		},
	}})
	r.kratos = kratostest.Run(t, kratostest.Options{})
	r.hydra = hydratest.Run(t, hydratest.Options{Config: []byte("oauth2: {grant: {refresh_token: {rotation_grace_period: 30s}}}")})
	for id, method := range map[string]string{"spa": "none", "web": "client_secret_basic"} {
		if err := r.hydra.CreateClient(t.Context(), map[string]any{
			"client_id": id, "client_secret": realSecret, "token_endpoint_auth_method": method, "redirect_uris": []string{"https://app.example.com/cb"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "scope": "openid offline_access profile email",
		}); err != nil {
			t.Fatal(err)
		}
	}
	wire := transport.New(transport.Options{})
	at, err := hydra.New(hydra.Options{AdminURL: r.hydra.AdminURL(), PublicURL: r.hydra.PublicURL(), Timeout: 30 * time.Second, Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	identities, err := kratos.New(kratos.Options{AdminURL: r.kratos.AdminURL(), Timeout: 30 * time.Second, Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	auth0, err := upstream.New(upstream.Options{
		Issuer: r.sim.Issuer(), BaseURL: r.sim.URL(), ClientID: "ferry", ClientAuth: upstream.NoSecret("ferry"), Scope: "openid",
		Timeout: 20 * time.Second, Transport: wire, Now: r.sim.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	r.logs = logs
	r.Reminter, err = remint.New(remint.Options{
		Clients: []string{"spa", "web"}, Auth0: auth0, Hydra: at, Identities: identities, Store: storeOf{&memory{now: r.sim.Now, values: map[[32]byte]value{}, uses: map[string]int{}}},
		Audit: func(a audit.Record) { r.audit = append(r.audit, a) }, Log: zap.New(core), Hash: func(string) string { return "hash" },
		Metrics: prometheus.NewRegistry(), Now: r.sim.Now, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// storeOf is a memory with claims that no one else wants: these tests make one request at a time,
// because flows at the same time fail in a Hydra without PostgreSQL.
type storeOf struct{ *memory }

// Claim implements remint.Store.
func (storeOf) Claim(context.Context, [32]byte, time.Duration) (bool, error) { return true, nil }

// Unclaim implements remint.Store.
func (storeOf) Unclaim(context.Context, [32]byte) error { return nil }

// person creates a user with a refresh token for a client, and an identity.
func (r *realParts) person(name, client string) (identity string) {
	r.t.Helper()
	email := name + "@example.org"
	if _, err := r.sim.AddUser(auth0sim.User{ID: "auth0|" + name, Connection: "users", Email: email, EmailVerified: true, Password: "Right password 1"}); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.sim.AddRefreshToken(auth0sim.RefreshToken{Token: "canary-" + name, UserID: "auth0|" + name, ClientID: client}); err != nil {
		r.t.Fatal(err)
	}
	id, err := r.kratos.CreateIdentity(r.t.Context(), kratostest.IdentitySpec{
		Traits: map[string]any{"email": email}, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|" + name}}, Pending: true,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// refresh makes a request of a client.
func (r *realParts) refresh(client, token string) remint.Answer {
	return r.Refresh(r.t.Context(), r.request(client, token))
}

// request is a request of a client, with its credentials.
func (r *realParts) request(client, token string) remint.Request {
	c := hydra.Credentials{ClientID: client, Method: hydra.None}
	if client == "web" {
		c.Method, c.Secret = hydra.SecretPost, secret.New(realSecret)
	}
	return remint.Request{Credentials: c, RefreshToken: secret.New(token)}
}

// mustWork refreshes at Hydra alone with the token of an answer, and returns the subject.
func (r *realParts) mustWork(client string, a remint.Answer) string {
	r.t.Helper()
	status, text := r.atHydra(client, tokenOf(r.t, a))
	if status != http.StatusOK {
		r.t.Fatalf("%d %s", status, text)
	}
	var said struct {
		IDToken string `json:"id_token"`
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if json.Unmarshal(text, &said) == nil && strings.Count(said.IDToken, ".") == 2 {
		payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(said.IDToken, ".")[1])
		_ = json.Unmarshal(payload, &claims)
	}
	return claims.Subject
}

// atHydra refreshes at Hydra alone, and returns its answer.
func (r *realParts) atHydra(client, token string) (status int, text []byte) {
	r.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {client}}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.hydra.PublicURL()+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client == "web" {
		req.SetBasicAuth(client, realSecret)
	}
	resp, err := transport.New(transport.Options{}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, text
}

// TestRealParts: with the real Kratos, the real Hydra and the simulator's rules for refresh tokens,
// a good token gets a chain for its user, whatever the client, and one that another client has sent
// stays good. No token is in a log or an audit record. test/apps has the tokens that are refused.
func TestRealParts(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	for client, other := range map[string]string{"spa": "web", "web": "spa"} {
		r.revokes(client)
		id := r.person("kim-"+client, client)
		r.gets(other, "canary-kim-"+client, "403 rejected refresh_token_invalid")
		a := r.refresh(client, "canary-kim-"+client)
		if a.Status != http.StatusOK || r.mustWork(client, a) != id {
			t.Errorf("%s: %s, %+v", client, errorOf(a), r.audit)
		}
	}
	if text := fmt.Sprintf("%+v %+v", r.logs.All(), r.audit); strings.Contains(text, "canary") || strings.Contains(text, "ory_") || strings.Contains(text, "@example.org") {
		t.Errorf("%s", text)
	}
}

// revokes revokes a re-minted token, before and after the client has used its new one. The tokens of
// the user's other device stay.
func (r *realParts) revokes(client string) {
	r.t.Helper()
	for name, used := range map[string]bool{"early": false, "late": true} {
		name += "-" + client
		id := r.person(name, client)
		if _, err := r.sim.AddRefreshToken(auth0sim.RefreshToken{Token: "canary-other-" + name, UserID: "auth0|" + name, ClientID: client}); err != nil {
			r.t.Fatal(err)
		}
		other, chain := r.refresh(client, "canary-other-"+name), tokenOf(r.t, r.refresh(client, "canary-"+name))
		if used {
			status, text := r.atHydra(client, chain)
			r.Used(r.t.Context(), secret.New(chain))
			if chain = tokenOf(r.t, remint.Answer{Body: text}); status != http.StatusOK || chain == "" {
				r.t.Fatalf("%d %s", status, text)
			}
		}
		if a := r.Revoke(r.t.Context(), r.request(client, "canary-"+name)); a.Status != http.StatusOK {
			r.t.Errorf("%s: %s", name, errorOf(a))
		}
		if status, text := r.atHydra(client, chain); status == http.StatusOK || !strings.Contains(string(text), "token") {
			r.t.Errorf("%s: the chain lives: %d %s", name, status, text)
		}
		if r.mustWork(client, other) != id {
			r.t.Errorf("%s: the other device is logged out", name)
		}
		r.gets(client, "canary-"+name, "403 rejected refresh_token_invalid")
	}
}

func (r *realParts) gets(client, token, want string) {
	r.t.Helper()
	a := r.refresh(client, token)
	last := r.audit[len(r.audit)-1]
	if got := strings.TrimSpace(fmt.Sprint(a.Status, " ", last.Outcome, " ", last.Reason)); got != want {
		r.t.Errorf("%s %s: got %q, want %q", client, token, got, want)
	}
}
