package clients_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"ferry/clients"
)

// hydra26 and hydra23 are the features of releases.
func hydra26() clients.Features { return clients.FeaturesOf("v26.2.0") }
func hydra23() clients.Features { return clients.FeaturesOf("v2.3.0") }

// tenantWith returns a tenant with one application, two APIs of its own and Auth0's own one.
// fields override those of a web application that crosses without loss.
func tenantWith(t *testing.T, fields map[string]any, grants ...map[string]any) *clients.Tenant {
	t.Helper()
	app := map[string]any{
		"client_id": "app", "name": "App", "app_type": "regular_web", "client_secret": "a-secret-of-auth0", "callbacks": []string{"https://app.example.com/cb"},
		"grant_types": []string{"authorization_code"}, "token_endpoint_auth_method": "client_secret_post", "is_first_party": true,
	}
	maps.Copy(app, fields)
	for name, value := range app {
		if value == nil {
			delete(app, name)
		}
	}
	return tenantOf(t, map[string]any{
		"kind": clients.FileKind, "tenant": "acme.eu.auth0.com", "clients": []any{app}, "client_grants": grants,
		"resource_servers": []map[string]any{
			{"identifier": "https://acme.eu.auth0.com/api/v2/", "is_system": true, "scopes": []map[string]string{{"value": "read:users"}}},
			{"identifier": "https://orders.example.com", "scopes": []map[string]string{{"value": "read:orders"}, {"value": "write:orders"}}},
			{"identifier": "https://stock.example.com", "scopes": []map[string]string{}},
		},
		"client_credentials": map[string]any{"app": []map[string]string{{"id": "cred_1", "kid": "key-1", "alg": "RS256"}, {"id": "cred_2", "kid": "key-2", "alg": "ES256"}}},
	})
}

func tenantOf(t *testing.T, file map[string]any) *clients.Tenant {
	t.Helper()
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := clients.Read(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return tenant
}

// fields returns a client as JSON has it.
func fields(t *testing.T, plan clients.Plan) map[string]any {
	t.Helper()
	text, err := json.Marshal(plan.Client)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// mapped is a row: an application, and what becomes of it.
type mapped struct {
	app    map[string]any // overrides; nil removes a field
	grants []map[string]any
	opts   clients.Options
	// want are fields of the client, as JSON; "" means that the field is not set.
	want map[string]string
	// lost are the findings, FIELD VALUE: REASON.
	lost    []string
	refused string // FIELD: REASON
	skipped clients.Reason
}

const machineGrant = "client_credentials"

func rows() map[string]mapped {
	all := map[string]mapped{}
	for _, some := range []map[string]mapped{authRows(), urlRows(), grantRows(), tokenRows(), otherRows()} {
		maps.Copy(all, some)
	}
	return all
}

func authRows() map[string]mapped {
	keys := map[string]any{"client_secret": nil, "token_endpoint_auth_method": nil, "client_authentication_methods": map[string]any{"private_key_jwt": map[string]any{"credentials": []map[string]string{{"id": "cred_1"}}}}}
	bothKeys := map[string]any{"client_secret": nil, "token_endpoint_auth_method": nil, "client_authentication_methods": map[string]any{"private_key_jwt": map[string]any{"credentials": []map[string]string{{"id": "cred_1"}, {"id": "cred_2"}}}}}
	withURI := maps.Clone(keys)
	withURI["jwks_uri"] = "https://app.example.com/jwks.json"
	return map[string]mapped{
		"web": {want: map[string]string{
			"client_id": `"app"`, "client_name": `"App"`, "token_endpoint_auth_method": `"client_secret_post"`, "redirect_uris": `["https://app.example.com/cb"]`,
			"grant_types": `["authorization_code"]`, "response_types": `["code"]`, "client_secret": "", "skip_consent": "true", "skip_logout_consent": "true",
			"scope": `"openid profile email address phone read:orders write:orders"`, "audience": `["https://orders.example.com","https://stock.example.com"]`, "access_token_strategy": `"jwt"`,
			"metadata": `{"auth0":{"app_type":"regular_web","tenant":"acme.eu.auth0.com"}}`,
		}},
		"basic":                      {app: map[string]any{"token_endpoint_auth_method": "client_secret_basic"}, want: map[string]string{"token_endpoint_auth_method": `"client_secret_basic"`}},
		"no method, web":             {app: map[string]any{"token_endpoint_auth_method": nil}, want: map[string]string{"token_endpoint_auth_method": `"client_secret_post"`}},
		"no method, no type":         {app: map[string]any{"token_endpoint_auth_method": nil, "app_type": nil}, want: map[string]string{"token_endpoint_auth_method": `"client_secret_post"`}},
		"no method, spa":             {app: map[string]any{"token_endpoint_auth_method": nil, "app_type": "spa"}, want: map[string]string{"token_endpoint_auth_method": `"none"`}},
		"no method, native":          {app: map[string]any{"token_endpoint_auth_method": nil, "app_type": "native"}, want: map[string]string{"token_endpoint_auth_method": `"none"`}},
		"a method of a later Auth0":  {app: map[string]any{"token_endpoint_auth_method": "attest"}, refused: "token_endpoint_auth_method: auth_method"},
		"a secret of five bytes":     {app: map[string]any{"client_secret": "12345"}, refused: "client_secret: short_secret"},
		"a secret of six bytes":      {app: map[string]any{"client_secret": "öööa"[:6]}},
		"a slash in the id":          {app: map[string]any{"client_id": "a/b"}, refused: "client_id: slash_in_id"},
		"a slash in the id, on 26.2": {app: map[string]any{"client_id": "a/b"}, opts: clients.Options{Features: hydra26()}},
		"global":                     {app: map[string]any{"global": true}, skipped: clients.ReasonGlobal},
		"callbacks are no list":      {app: map[string]any{"callbacks": "https://app.example.com/cb"}, refused: ": unreadable"},
		"mtls":                       {app: map[string]any{"client_authentication_methods": map[string]any{"tls_client_auth": map[string]any{}}}, refused: "client_authentication_methods: auth_method"},
		"a key, not given":           {app: keys, lost: []string{"client_authentication_methods.private_key_jwt : assertion_audience"}, refused: "client_authentication_methods.private_key_jwt: no_keys"},
		"two keys, two algorithms":   {app: bothKeys, refused: "client_authentication_methods.private_key_jwt: mixed_algorithms"},
		"a URL of keys": {
			app: withURI, lost: []string{"client_authentication_methods.private_key_jwt : assertion_audience"},
			want: map[string]string{"token_endpoint_auth_method": `"private_key_jwt"`, "jwks_uri": `"https://app.example.com/jwks.json"`, "token_endpoint_auth_signing_alg": `"RS256"`, "jwks": ""},
		},
	}
}

func urlRows() map[string]mapped {
	return map[string]mapped{
		"callbacks of every kind": {
			app: map[string]any{"callbacks": []string{
				"https://app.example.com/cb?a=b", "com.example.app://acme.eu.auth0.com/ios/com.example.app/callback", "com.example.app:/cb", "myapp://", "http://localhost:3000/cb",
				"http://127.0.0.1/cb", "http://[::1]:8080/cb", "http://dev.localhost/cb", "urn:ietf:wg:oauth:2.0:oob", "https://app.example.com/cb?a=b",
				"http://app.example.com/cb", "https://*.example.com/cb", "https://app.example.com/*", "https://{organization_name}.example.com/cb", "https://app.example.com/cb#x", "app.example.com/cb", "/cb", "",
			}},
			want: map[string]string{"redirect_uris": `["https://app.example.com/cb?a=b","com.example.app://acme.eu.auth0.com/ios/com.example.app/callback","com.example.app:/cb","myapp://","http://localhost:3000/cb","http://127.0.0.1/cb","http://[::1]:8080/cb","http://dev.localhost/cb","urn:ietf:wg:oauth:2.0:oob"]`},
			lost: []string{
				"callbacks http://app.example.com/cb: plain_http", "callbacks https://*.example.com/cb: wildcard", "callbacks https://app.example.com/*: wildcard",
				"callbacks https://{organization_name}.example.com/cb: placeholder", "callbacks https://app.example.com/cb#x: fragment", "callbacks app.example.com/cb: invalid_url", "callbacks /cb: invalid_url", "callbacks : invalid_url",
			},
		},
		"no callback that Hydra matches": {app: map[string]any{"callbacks": []string{"https://*.example.com/cb"}}, lost: []string{"callbacks https://*.example.com/cb: wildcard"}, refused: "callbacks: no_callback"},
		"a wildcard that stands for two": {
			app:  map[string]any{"callbacks": []string{"https://*.example.com/cb"}, "allowed_logout_urls": []string{"https://*.example.com/cb"}},
			opts: clients.Options{Expansions: map[string][]string{"https://*.example.com/cb": {"https://a.example.com/cb", "https://b.example.com/cb"}}},
			want: map[string]string{"redirect_uris": `["https://a.example.com/cb","https://b.example.com/cb"]`, "post_logout_redirect_uris": `["https://a.example.com/cb","https://b.example.com/cb"]`},
		},
		"logout URLs": {
			app: map[string]any{"callbacks": []string{"https://app.example.com/cb", "com.example.app://cb"}, "allowed_logout_urls": []string{
				"https://app.example.com", "https://app.example.com/bye", "https://www.example.com", "http://app.example.com", "https://app.example.com:8443/", "com.example.app://out", "com.example.app://cb", "https://*.example.com", "nonsense",
			}},
			want: map[string]string{"post_logout_redirect_uris": `["https://app.example.com","https://app.example.com/bye","com.example.app://cb"]`},
			lost: []string{
				"allowed_logout_urls https://www.example.com: other_origin", "allowed_logout_urls http://app.example.com: other_origin", "allowed_logout_urls https://app.example.com:8443/: other_origin",
				"allowed_logout_urls com.example.app://out: other_origin", "allowed_logout_urls https://*.example.com: wildcard", "allowed_logout_urls nonsense: invalid_url",
			},
		},
		"origins": {
			app: map[string]any{
				"web_origins":     []string{"https://app.example.com/", "http://localhost:3000", "https://*.example.com", "*", "capacitor://localhost", "file://", "app.example.com"},
				"allowed_origins": []string{"https://app.example.com", "https://other.example.com/path", "https://{organization_name}.example.com"},
			},
			want: map[string]string{"allowed_cors_origins": `["https://app.example.com","http://localhost:3000","https://*.example.com"]`},
			lost: []string{
				"web_origins *: origin", "web_origins capacitor://localhost: origin", "web_origins file://: origin", "web_origins app.example.com: origin",
				"allowed_origins https://other.example.com/path: origin", "allowed_origins https://{organization_name}.example.com: placeholder",
			},
		},
		"spa: the origins of its callbacks": {
			app:  map[string]any{"app_type": "spa", "token_endpoint_auth_method": "none", "client_secret": nil, "callbacks": []string{"https://app.example.com/cb", "http://localhost:3000/", "com.example.app://cb"}},
			want: map[string]string{"allowed_cors_origins": `["https://app.example.com","http://localhost:3000"]`},
		},
		"back-channel logout": {
			app:  map[string]any{"oidc_logout": map[string]any{"backchannel_logout_urls": []string{"https://app.example.com/bc", "https://app.example.com/bc2"}}},
			want: map[string]string{"backchannel_logout_uri": `"https://app.example.com/bc"`, "backchannel_logout_session_required": "true"},
			lost: []string{"oidc_logout.backchannel_logout_urls https://app.example.com/bc2: no_counterpart"},
		},
	}
}

// TestMap: each row becomes what it should, with every finding and no other.
func TestMap(t *testing.T) {
	t.Parallel()
	for name, row := range rows() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := tenantWith(t, row.app, row.grants...)
			plan := clients.Map(tenant.Applications[0], tenant, row.opts)
			row.compare(t, plan)
			got := fields(t, plan)
			for field, want := range row.want {
				if text := textOf(got, field); text != want {
					t.Errorf("%s is %s, want %s", field, text, want)
				}
			}
		})
	}
}

// compare checks refusal and findings.
func (row mapped) compare(t *testing.T, plan clients.Plan) {
	t.Helper()
	refused := ""
	if plan.Refused != nil {
		refused = fmt.Sprintf("%s: %s", plan.Refused.Field, plan.Refused.Reason)
	}
	if refused != row.refused || plan.Skipped != row.skipped {
		t.Errorf("refused %q, want %q; skipped %q", refused, row.refused, plan.Skipped)
	}
	var lost []string
	for _, f := range plan.Findings {
		lost = append(lost, fmt.Sprintf("%s %s: %s", f.Field, f.Value, f.Reason))
	}
	if !slices.Equal(lost, row.lost) {
		t.Errorf("lost\n%s\nwant\n%s", strings.Join(lost, "\n"), strings.Join(row.lost, "\n"))
	}
}

// textOf is a field as JSON; empty: it is not set.
func textOf(client map[string]any, field string) string {
	value, ok := client[field]
	if !ok {
		return ""
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
