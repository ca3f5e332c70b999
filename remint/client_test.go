package remint_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ferry/hydra"
	"ferry/remint"
	"ferry/secret"
)

// TestClient: a client that is not who it says, or cannot have refresh tokens at Hydra, spends
// nothing.
func TestClient(t *testing.T) {
	t.Parallel()
	basic := func(text string) hydra.Credentials {
		return hydra.Credentials{ClientID: "web", Secret: secret.New(text), Method: hydra.SecretPost}
	}
	public := hydra.Credentials{ClientID: clientID, Method: hydra.None}
	for name, c := range map[string]struct {
		credentials hydra.Credentials
		change      map[string]any // of app at Hydra
		want        string
	}{
		"another method than at Hydra": {basic("s3cret"), nil, "200 reminted"},
		"wrong secret":                 {basic("wrong"), nil, "401 invalid_client hydra_invalid_client"},
		"no secret":                    {basic(""), nil, "401 invalid_client no_secret"},
		"not enabled":                  {hydra.Credentials{ClientID: "other"}, nil, "503"},
		"not imported":                 {public, map[string]any{"client_id": "none"}, "503 misconfigured hydra_unknown_client"},
		"no grant":                     {public, map[string]any{"grant_types": []string{"authorization_code"}}, "503 misconfigured hydra_client_lacks_grant_refresh_token"},
		"no response type":             {public, map[string]any{"response_types": []string{}}, "503 misconfigured hydra_client_lacks_response_type_code"},
		"no offline_access":            {public, map[string]any{"scope": "openid"}, "503 misconfigured hydra_client_lacks_scope_offline_access"},
		"no redirect URI":              {public, map[string]any{"redirect_uris": []string{"https://*.example.com"}}, "503 misconfigured hydra_client_lacks_redirect_uri"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for key, value := range c.change {
				w.hydra.clients[clientID][key] = value
			}
			p := w.start(0, false)
			a := p.Refresh(t.Context(), remint.Request{Credentials: c.credentials, RefreshToken: secret.New("old")})
			if got := strings.TrimSpace(fmt.Sprint(a.Status, " ", strings.Join(p.reasons(), ", "))); got != c.want || a.Status != 200 && (w.auth0.times("old") > 0 || w.store.left() > 0) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestAssertion: an assertion must be for Hydra too. Every answer is for who has just shown one.
func TestAssertion(t *testing.T) {
	t.Parallel()
	for audience, want := range map[string]int{`"https://issuer.example.com/oauth2/token"`: 200, `["x","https://issuer.example.com/oauth2/token"]`: 200, `"https://issuer.example.com/"`: 401, `7`: 401} {
		w := newWorld(t)
		w.hydra.clients[clientID]["token_endpoint_auth_method"] = "private_key_jwt"
		used := map[string]int{}
		w.hydra.set(func(h *fakeHydra) {
			h.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if assertion := r.PostFormValue("client_assertion"); assertion != "" {
					used[assertion]++
				}
				if !strings.HasSuffix(r.URL.Path, "openid-configuration") {
					return false
				}
				sendJSON(w, 200, map[string]string{"issuer": "https://issuer.example.com/", "token_endpoint": "https://issuer.example.com/oauth2/token"})
				return true
			}
		})
		p := w.start(0, false)
		var bodies []string
		for i := range 2 {
			jwt := "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"aud":%s,"jti":"%d"}`, audience, i)) + ".sig"
			a := p.Refresh(t.Context(), remint.Request{
				Credentials: hydra.Credentials{ClientID: clientID, Method: hydra.PrivateKeyJWT, Assertion: secret.New(jwt)}, RefreshToken: secret.New("old"),
			})
			if a.Status != want || used[jwt] > 1 {
				t.Errorf("%s: %s, used %d times, %v", audience, errorOf(a), used[jwt], p.reasons())
			}
			bodies = append(bodies, string(a.Body))
		}
		if want == 200 && (bodies[0] == bodies[1] || w.auth0.times("old") != 1) {
			t.Errorf("%s: %v", audience, bodies)
		}
	}
}
