package hydra_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ferry/hydra"
	"ferry/secret"
	"ferry/test/hydratest"
	"ferry/transport"
)

const (
	theSubject = "5e3c0f6e-1111-4111-8111-111111111111"
	theSecret  = "S3cr3t-x_-Y-of-the-client"
	api        = "https://api.example.com"
)

// realHydra is a real Hydra with clients of every kind.
type realHydra struct {
	*testing.T

	server *hydratest.Hydra
	client *hydra.Client
	key    *rsa.PrivateKey
}

func startReal(t *testing.T, opts hydratest.Options) *realHydra {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r := &realHydra{T: t, server: hydratest.Run(t, opts), key: key}
	r.client, err = hydra.New(hydra.Options{
		AdminURL: r.server.AdminURL(), PublicURL: r.server.PublicURL(), Timeout: 30 * time.Second, Transport: transport.New(transport.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "sig", Algorithm: "RS256"}}}
	for id, change := range map[string]map[string]any{
		"native": {"token_endpoint_auth_method": "none", "redirect_uris": []string{"https://*.example.com/", "com.example.app://cb"}},
		"spa":    {"token_endpoint_auth_method": "none", "access_token_strategy": "jwt"},
		"post":   {"token_endpoint_auth_method": "client_secret_post", "client_secret": theSecret},
		"basic":  {"token_endpoint_auth_method": "client_secret_basic", "client_secret": theSecret, "skip_consent": true},
		"jwt":    {"token_endpoint_auth_method": "private_key_jwt", "jwks": keys},
	} {
		body := map[string]any{
			"client_id": id, "redirect_uris": []string{"https://app.example.com/cb?a=b"}, "grant_types": []string{"authorization_code", "refresh_token"},
			"response_types": []string{"code"}, "scope": "openid offline_access profile email read:users", "audience": []string{api}, "metadata": map[string]any{"A": 1, "a": 2},
		}
		for name, value := range change {
			body[name] = value
		}
		if err := r.server.CreateClient(t.Context(), body); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// credentials are those of a client, by its method.
func (r *realHydra) credentials(client hydra.OAuth2Client) hydra.Credentials {
	r.Helper()
	c := hydra.Credentials{ClientID: client.ID, Method: client.Method}
	switch client.Method {
	case hydra.SecretPost, hydra.SecretBasic:
		c.Secret = secret.New(theSecret)
	case hydra.PrivateKeyJWT:
		c.Assertion = secret.New(r.assertion(client.ID, strings.TrimRight(r.server.Issuer(), "/")+"/oauth2/token"))
	case hydra.None:
	}
	return c
}

func (r *realHydra) assertion(client, audience string) string {
	r.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: r.key, KeyID: "k"}}, nil)
	if err != nil {
		r.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": client, "sub": client, "aud": audience, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
	}).Serialize()
	if err != nil {
		r.Fatal(err)
	}
	return text
}

// refresh refreshes at Hydra, as the application does, and returns the answer.
func (r *realHydra) refresh(client hydra.OAuth2Client, token secret.String) (status int, said map[string]any) {
	r.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.Reveal()}, "client_id": {client.ID}}
	credentials := r.credentials(client)
	switch client.Method {
	case hydra.SecretPost:
		form.Set("client_secret", theSecret)
	case hydra.PrivateKeyJWT:
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", credentials.Assertion.Reveal())
	case hydra.SecretBasic, hydra.None:
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.server.PublicURL()+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client.Method == hydra.SecretBasic {
		req.SetBasicAuth(client.ID, theSecret)
	}
	resp, err := transport.New(transport.Options{}).RoundTrip(req)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil {
		r.Fatalf("%s: %v", text, err)
	}
	return resp.StatusCode, said
}

// claims returns the claims of a JWT. Hydra's signatures are tested elsewhere.
func (r *realHydra) claims(token string) (claims map[string]any) {
	r.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		r.Fatalf("not a JWT: %q", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		r.Fatal(err)
	}
	return claims
}

// TestRealHydra: clients of every kind get tokens for the subject, with the scope, audience and
// claims that were granted, and can refresh at Hydra alone. It makes no difference whether
// browsers reach Hydra at another address.
func TestRealHydra(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]hydratest.Options{
		"dev": {}, "production": {Production: true, Issuer: "https://login.example.com/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReal(t, opts)
			for _, id := range []string{"native", "spa", "post", "basic", "jwt"} {
				r.mints(id)
			}
			r.refuses()
		})
	}
}

func (r *realHydra) mints(id string) {
	r.Helper()
	ctx := r.Context()
	client, err := r.client.OAuth2Client(ctx, id)
	if err != nil {
		r.Fatal(err)
	}
	if client.Method != hydra.PrivateKeyJWT {
		if err := r.client.Probe(ctx, r.credentials(client)); err != nil {
			r.Errorf("%s: %v", id, err)
		}
	}
	flow, err := r.client.Begin(ctx, client)
	if err != nil {
		r.Fatalf("%s: %v", id, err)
	}
	tokens, err := r.client.Mint(ctx, flow, hydra.Grant{
		Subject: theSubject, Scope: []string{"openid", "read:users", "write:users"}, Audience: []string{api, "https://other.example.com"},
		AMR: []string{"mfa"}, Claims: map[string]any{"email": "kim@example.com", "sub": "evil", "big": json.Number("9007199254740993")},
	}, r.credentials(client))
	if err != nil {
		r.Fatalf("%s: %v", id, err)
	}
	if !hydra.IsToken(tokens.RefreshToken) || hydra.IsToken(tokens.AccessToken) == (id == "spa") || tokens.ExpiresIn < 3000 || tokens.Scope != "openid read:users offline_access" {
		r.Errorf("%s: scope %q, %d s", id, tokens.Scope, tokens.ExpiresIn)
	}
	claims := r.claims(tokens.IDToken.Reveal())
	if claims["sub"] != theSubject || claims["iss"] != r.server.Issuer() || claims["email"] != "kim@example.com" || claims["acr"] != nil || !reflect.DeepEqual(claims["amr"], []any{"mfa"}) || !reflect.DeepEqual(claims["aud"], []any{id}) {
		r.Errorf("%s: %v", id, claims)
	}
	status, said := r.refresh(client, tokens.RefreshToken)
	again, _ := said["id_token"].(string)
	if status != http.StatusOK || r.claims(again)["sub"] != theSubject || said["refresh_token"] == tokens.RefreshToken.Reveal() {
		r.Fatalf("%s: %d %v", id, status, said)
	}
	if access, _ := said["access_token"].(string); id == "spa" && !reflect.DeepEqual(r.claims(access)["aud"], []any{api}) {
		r.Errorf("%s: %v", id, r.claims(access))
	}
}

// refuses: what does not hold is told apart from what could not be done.
func (r *realHydra) refuses() {
	r.Helper()
	ctx := r.Context()
	post, err := r.client.OAuth2Client(ctx, "post")
	if err != nil {
		r.Fatal(err)
	}
	mint := func(change func(*hydra.OAuth2Client), credentials hydra.Credentials) error {
		changed := post
		changed.Scope = slices.Clone(post.Scope)
		change(&changed)
		flow, err := r.client.Begin(ctx, changed)
		if err == nil {
			_, err = r.client.Mint(ctx, flow, hydra.Grant{Subject: theSubject}, credentials)
		}
		return err
	}
	wrong := hydra.Credentials{ClientID: "post", Method: hydra.SecretPost, Secret: secret.New("wrong")}
	nothing := func(*hydra.OAuth2Client) {}
	_, unknown := r.client.OAuth2Client(ctx, "unknown")
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"wrong secret":     {r.client.Probe(ctx, wrong), "refused invalid_client"},
		"wrong method":     {r.client.Probe(ctx, hydra.Credentials{ClientID: "post", Method: hydra.SecretBasic, Secret: secret.New(theSecret)}), "refused invalid_client"},
		"unknown client":   {unknown, "refused unknown_client"},
		"unknown, probed":  {r.client.Probe(ctx, hydra.Credentials{ClientID: "unknown", Method: hydra.None}), "refused invalid_client"},
		"at the last step": {mint(nothing, wrong), "refused invalid_client"},
		"redirect URI":     {mint(func(o *hydra.OAuth2Client) { o.RedirectURIs = []string{"https://evil.example.com/"} }, wrong), "misconfigured invalid_request"},
		"caller gone":      {r.client.Probe(gone, wrong), "unavailable caller_gone"},
	} {
		if got := kindOf(r.T, c.err); got != c.want {
			r.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	for audience, want := range map[string]bool{strings.TrimRight(r.server.Issuer(), "/") + "/oauth2/token": true, r.server.Issuer(): false} {
		if got, err := r.client.AcceptsAssertion(ctx, secret.New(r.assertion("jwt", audience))); got != want || err != nil {
			r.Errorf("%s: %v, %v", audience, got, err)
		}
	}
}
