package clients

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"ferry/test/hydratest"
)

// reasonsAreTrue: what ferry refuses or leaves out, Hydra refuses or never matches.
func reasonsAreTrue(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	client := func(fields map[string]any) map[string]any {
		all := map[string]any{"client_id": uuid.NewString(), "client_secret": "a-secret-of-auth0", "redirect_uris": []string{"https://app.example.com/cb"}, "grant_types": []string{"authorization_code"}, "response_types": []string{"code"}, "scope": "openid read.*", "token_endpoint_auth_method": "client_secret_post"}
		for name, value := range fields {
			all[name] = value
		}
		return all
	}
	for name, fields := range map[string]map[string]any{
		"short_secret": {"client_secret": "12345"},
		"fragment":     {"redirect_uris": []string{"https://app.example.com/cb#top"}},
		"placeholder":  {"redirect_uris": []string{"https://{organization_name}.example.com/cb"}},
		"invalid_url":  {"redirect_uris": []string{"app.example.com/cb"}},
		"other_origin": {"post_logout_redirect_uris": []string{"https://www.example.com/bye"}},
		"origin":       {"allowed_cors_origins": []string{"capacitor://localhost"}},
		"no_keys":      {"token_endpoint_auth_method": "private_key_jwt"},
	} {
		if err := hydra.CreateClient(t.Context(), client(fields)); err == nil {
			t.Errorf("%s: Hydra takes it", name)
		}
	}
	for name, c := range map[string]struct {
		fields          map[string]any
		redirect, scope string
		works           bool
	}{
		"wildcard":       {map[string]any{"redirect_uris": []string{"https://*.example.com/cb"}}, "https://app.example.com/cb", "openid", false},
		"no wildcard":    {nil, "https://app.example.com/cb", "openid", true},
		"another scope":  {nil, "https://app.example.com/cb", "openid admin", false},
		"wildcard_scope": {nil, "https://app.example.com/cb", "openid read.everything", true},
		"grant":          {map[string]any{"grant_types": []string{"password"}}, "https://app.example.com/cb", "openid", true},
	} {
		fields := client(c.fields)
		if err := hydra.CreateClient(t.Context(), fields); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		id, _ := fields["client_id"].(string)
		config := oauth2.Config{ClientID: id, ClientSecret: "a-secret-of-auth0", RedirectURL: c.redirect, Scopes: strings.Fields(c.scope), Endpoint: oauth2.Endpoint{AuthURL: hydra.PublicURL() + "/oauth2/auth", TokenURL: hydra.PublicURL() + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams}}
		answer, err := newBrowser(hydra).authorize(t.Context(), config.AuthCodeURL(uuid.NewString()), c.redirect, config.Scopes, nil)
		if (err == nil) != c.works {
			t.Errorf("%s: %v, %v", name, answer, err)
		}
		if name == "grant" {
			noPassword(t.Context(), t, config, answer)
		}
	}
}

// noPassword: a client that is registered with the password grant gets no tokens by it, nor for a
// code.
func noPassword(ctx context.Context, t *testing.T, config oauth2.Config, answer url.Values) {
	t.Helper()
	if token, err := config.PasswordCredentialsToken(ctx, "kim", "password"); err == nil {
		t.Errorf("grant: %+v", token)
	}
	if token, err := config.Exchange(ctx, answer.Get("code")); err == nil {
		t.Errorf("grant: %+v", token)
	}
}
