package auth0sim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"ferry/test/auth0sim"
)

const appSecret = "the-secret-of-the-application-web"

// listing starts a simulator with an application of each kind, an API and a client grant.
func listing(t *testing.T) *auth0sim.Server {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	read := []string{
		auth0sim.ScopeReadClients, auth0sim.ScopeReadResourceServers, auth0sim.ScopeReadClientGrants, auth0sim.ScopeReadClientCredentials,
	}
	return auth0sim.Run(t, auth0sim.Config{Clock: frozen, Tenant: &auth0sim.Tenant{
		Apps: []auth0sim.App{
			{
				ClientID: "web", ClientSecret: appSecret, Callbacks: []string{callback}, GrantTypes: []string{auth0sim.GrantAuthorizationCode, auth0sim.GrantRefreshToken},
				RefreshTokens: auth0sim.RefreshPolicy{Rotation: true, LeewaySeconds: 30, LifetimeSeconds: 3600},
				Details:       map[string]any{"name": "Shop", "allowed_logout_urls": []string{"https://app.example/"}},
			},
			{ClientID: "mobile", AuthMethods: []string{auth0sim.AuthNone}, GrantTypes: []string{auth0sim.GrantAuthorizationCode}},
			{ClientID: "spa", AuthMethods: []string{auth0sim.AuthNone}, GrantTypes: []string{auth0sim.GrantAuthorizationCode}, Details: map[string]any{"app_type": "spa"}},
			{ClientID: "signed", AuthMethods: []string{auth0sim.AuthPrivateKey}, PublicKeys: []string{text}},
			{ClientID: "reader", ClientSecret: appSecret, ManagementScopes: read},
			{ClientID: "keys", ClientSecret: appSecret, ManagementScopes: append(read, auth0sim.ScopeReadClientKeys)},
		},
		APIs:         []auth0sim.API{{Identifier: apiID, Scopes: []string{"read:things"}, OfflineAccess: true, Details: map[string]any{"name": "Things"}}},
		ClientGrants: []auth0sim.ClientGrant{{ClientID: "web", Audience: apiID, Scope: []string{"read:things"}}},
	}})
}

// The lists of applications, APIs and client grants are paged, filtered and narrowed; secrets need
// their own scope.
func TestListApplications(t *testing.T) {
	t.Parallel()
	sim := listing(t)
	reader := inspector(t, sim, "reader", appSecret)
	for path, want := range map[string][]string{
		"clients?is_global=false&fields=client_id,app_type": {
			`[{"app_type":"non_interactive","client_id":"keys"},{"app_type":"native","client_id":"mobile"},{"app_type":"non_interactive","client_id":"reader"},` +
				`{"app_type":"regular_web","client_id":"signed"},{"app_type":"spa","client_id":"spa"},{"app_type":"regular_web","client_id":"web"}]`,
		},
		"clients?include_totals=true&page=2&per_page=3":                  {`"total":7`, `"start":6`, `"limit":3`, `"length":1`, `"global":true`},
		"clients/web?fields=name,refresh_token,allowed_logout_urls":      {`"name":"Shop"`, `"rotation_type":"rotating"`, `"leeway":30`, `"infinite_idle_token_lifetime":true`, `"allowed_logout_urls":["https://app.example/"]`},
		"clients/signed?fields=client_authentication_methods":            {`{"client_authentication_methods":{"private_key_jwt":{"credentials":[{"id":"cred_`},
		"clients/signed/credentials":                                     {`"credential_type":"public_key"`, `"alg":"RS256"`, `"kid":"`},
		"clients/web/credentials":                                        {`[]`},
		"resource-servers?include_totals=true":                           {`"total":2`, `"is_system":true`, `"name":"Things"`, `"allow_offline_access":true`, `"value":"read:things"`},
		"client-grants?client_id=web":                                    {`"audience":"` + apiID + `"`, `"scope":["read:things"]`},
		"client-grants?audience=" + sim.ManagementAudience() + "&page=0": {`"client_id":"keys"`, `"client_id":"reader"`},
	} {
		got := get(t, sim, auth0sim.PathManagement+path, reader)
		for _, text := range want {
			if got.status != http.StatusOK || !strings.Contains(got.body, text) {
				t.Errorf("%s: %d %s\nlacks %s", path, got.status, got.body, text)
			}
		}
		if strings.Contains(got.body, "secret") && !strings.Contains(got.body, `"secret_encoded":false`) {
			t.Errorf("%s shows a secret: %s", path, got.body)
		}
	}
	for _, path := range []string{"clients?page=-1", "clients?per_page=101", "clients?fields=", "clients?q=x", "resource-servers?app_type=spa"} {
		if got := get(t, sim, auth0sim.PathManagement+path, reader); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := get(t, sim, auth0sim.PathManagement+"clients/nobody/credentials", reader); got.status != http.StatusNotFound {
		t.Errorf("credentials of no application: %d", got.status)
	}
}

// Only with read:client_keys do applications show their secret.
func TestListSecrets(t *testing.T) {
	t.Parallel()
	sim := listing(t)
	keys := inspector(t, sim, "keys", appSecret)
	var shown []map[string]any
	if err := json.Unmarshal([]byte(get(t, sim, auth0sim.PathApplications+"?fields=client_id,client_secret", keys).body), &shown); err != nil || len(shown) != 7 {
		t.Fatalf("%v, %v", shown, err)
	}
	for _, one := range shown {
		secret, has := one["client_secret"]
		switch one["client_id"] {
		case "web", "reader", "keys":
			has = secret != appSecret
		case "global-client-of-the-tenant":
			has = !has
		}
		if has {
			t.Errorf("secret of %s: %v", one["client_id"], secret)
		}
	}
}

// A client grant is for an application and an API that exist.
func TestClientGrants(t *testing.T) {
	t.Parallel()
	for name, grant := range map[string]auth0sim.ClientGrant{
		"application": {ClientID: "nobody", Audience: apiID}, "API": {ClientID: "web", Audience: "x"},
	} {
		_, err := auth0sim.New(auth0sim.Config{Tenant: &auth0sim.Tenant{
			Apps: []auth0sim.App{{ClientID: "web", ClientSecret: "s"}}, APIs: []auth0sim.API{{Identifier: apiID}}, ClientGrants: []auth0sim.ClientGrant{grant},
		}})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
