package auth0sim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ferry/test/auth0sim"
)

// TestInspection: how the tenant is set up can be read with the scope for it, in the
// shapes of Auth0's recordings, and never a secret.
func TestInspection(t *testing.T) {
	t.Parallel()
	const secret = "canary-app-secret"
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: &auth0sim.Tenant{
		DefaultDirectory: "db", Connections: []auth0sim.Connection{{Name: "db"}, {Name: "other"}},
		Apps: []auth0sim.App{
			{ClientID: "app", ClientSecret: secret, TrustForwardedFor: true, Connections: []string{"db"}},
			{ClientID: "all", ClientSecret: secret, ManagementScopes: []string{
				auth0sim.ScopeReadClients, auth0sim.ScopeReadTenantSettings, auth0sim.ScopeReadAttackProtection, auth0sim.ScopeReadConnections,
				auth0sim.ScopeReadResourceServers, auth0sim.ScopeReadClientGrants, auth0sim.ScopeReadClientCredentials,
			}},
			{ClientID: "third", ClientSecret: secret, ThirdParty: true},
			{ClientID: "none", ClientSecret: secret, ManagementScopes: []string{auth0sim.ScopeReadUsers}},
		},
	}})
	db, noDB := "connections/"+auth0sim.ConnectionID("db"), "connections/"+auth0sim.ConnectionID("x")
	all, none := inspector(t, sim, "all", secret), inspector(t, sim, "none", secret)
	for path, want := range map[string]struct {
		status int
		holds  []string
	}{
		"clients/app": {200, []string{`"is_token_endpoint_ip_header_trusted":true`, `"alg":"RS256"`, `"token_endpoint_auth_method":"client_secret_post"`, `"password"`}},
		"clients/app?fields=client_id,grant_types&include_fields=true":        {200, []string{`{"client_id":"app","grant_types":[`}},
		"clients/app?fields=client_id&fields=name":                            {400, []string{"invalid_query_string"}},
		"clients/app?fields=":                                                 {400, []string{"comma between"}},
		"clients/app?page=1":                                                  {400, []string{"additional or repeated property: page"}},
		"clients/nobody":                                                      {404, []string{"inexistent_client"}},
		"tenants/settings":                                                    {200, []string{`"default_directory":"db"`}},
		"tenants/settings?fields=default_directory&include_fields=false":      {200, []string{`"friendly_name"`}},
		"tenants/settings?fields=default_directory&include_fields=perhaps":    {400, []string{"expected a boolean"}},
		"attack-protection/brute-force-protection":                            {200, []string{`"mode":"count_per_identifier_and_ip"`, `"max_attempts":10`, `"allowlist":[]`}},
		"attack-protection/suspicious-ip-throttling":                          {200, []string{`"pre-login":{"max_attempts":100,"rate":864000}`}},
		"attack-protection/suspicious-ip-throttling?fields=stage":             {400, []string{"no parameters expected"}},
		"clients/third?fields=is_first_party,third_party_security_mode":       {200, []string{`{"is_first_party":false,"third_party_security_mode":"strict"}`}},
		"connections?name=db&fields=name,enabled_clients&include_fields=true": {200, []string{`[{"name":"db"}]`}},
		"connections?name=db&fields=name,,strategy&include_fields=something":  {400, []string{"expected a boolean"}},
		db + "/clients":                  {200, []string{`{"clients":[{"client_id":"all"},{"client_id":"app"},{"client_id":"none"},{"client_id":"third"}]}`}},
		db + "/clients?take=2":           {200, []string{`{"clients":[{"client_id":"all"},{"client_id":"app"}],"next":"none"}`}},
		db + "/clients?take=2&from=none": {200, []string{`{"clients":[{"client_id":"none"},{"client_id":"third"}]}`}},
		db + "/clients?take=0":           {400, []string{"take: expected an integer"}},
		db + "/clients?page=1":           {400, []string{"additional or repeated property: page"}},
		"connections/db/clients":         {400, []string{"invalid_uri"}},
		noDB + "/clients":                {404, []string{"inexistent_connection"}},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			got := get(t, sim, auth0sim.PathManagement+path, all)
			if got.status != want.status || strings.Contains(got.body, secret) {
				t.Errorf("status %d: %s", got.status, got.body)
			}
			for _, text := range want.holds {
				if !strings.Contains(got.body, text) {
					t.Errorf("%q is not in %s", text, got.body)
				}
			}
			if got := get(t, sim, auth0sim.PathManagement+path, none); got.status != http.StatusForbidden {
				t.Errorf("without the scope: status %d", got.status)
			}
		})
	}
}

// inspector is the authorization of one application.
func inspector(t *testing.T, sim *auth0sim.Server, client, secret string) http.Header {
	t.Helper()
	got := post(t, sim, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {secret}, "audience": {sim.ManagementAudience()},
	})
	return http.Header{"Authorization": {"Bearer " + mustTokens(t, got).AccessToken}}
}
