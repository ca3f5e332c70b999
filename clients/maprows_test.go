package clients_test

import (
	"encoding/json"

	"ferry/clients"
)

func grantRows() map[string]mapped {
	orders := map[string]any{"client_id": "app", "audience": "https://orders.example.com", "scope": []string{"read:orders"}}
	return map[string]mapped{
		"grants of every kind": {
			app: map[string]any{"grant_types": []string{
				"authorization_code", "refresh_token", "implicit", "password", "http://auth0.com/oauth/grant-type/password-realm", "http://auth0.com/oauth/grant-type/mfa-otp",
				"http://auth0.com/oauth/grant-type/passwordless/otp", "urn:ietf:params:oauth:grant-type:device_code", "urn:openid:params:grant-type:ciba",
			}, "refresh_token": map[string]any{"rotation_type": "rotating"}},
			want: map[string]string{
				"grant_types":    `["authorization_code","refresh_token","implicit"]`,
				"response_types": `["code","id_token","token","id_token token","code id_token","code token","code id_token token"]`,
				"scope":          `"openid profile email address phone offline_access read:orders write:orders"`,
			},
			lost: []string{
				"grant_types password: grant", "grant_types http://auth0.com/oauth/grant-type/password-realm: grant", "grant_types http://auth0.com/oauth/grant-type/mfa-otp: grant",
				"grant_types http://auth0.com/oauth/grant-type/passwordless/otp: grant", "grant_types urn:ietf:params:oauth:grant-type:device_code: grant", "grant_types urn:openid:params:grant-type:ciba: grant",
			},
		},
		"device, on 26.2": {
			app:  map[string]any{"callbacks": nil, "grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}, "refresh_token": map[string]any{"rotation_type": "rotating"}},
			opts: clients.Options{Features: hydra26()},
			want: map[string]string{"grant_types": `["urn:ietf:params:oauth:grant-type:device_code","refresh_token"]`, "response_types": "", "redirect_uris": ""},
		},
		"device, on 2.3": {
			app: map[string]any{"callbacks": nil, "grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code"}}, opts: clients.Options{Features: hydra23()},
			lost: []string{"grant_types urn:ietf:params:oauth:grant-type:device_code: grant"}, refused: "grant_types: no_grant",
		},
		"only passwords": {app: map[string]any{"grant_types": []string{"password"}}, lost: []string{"grant_types password: grant"}, refused: "grant_types: no_grant"},
		"a web application as Auth0 makes it, without callbacks": {
			app:  map[string]any{"callbacks": []string{}, "grant_types": []string{"authorization_code", "implicit", "refresh_token", machineGrant}},
			lost: []string{"grant_types authorization_code: unused_grant", "grant_types implicit: unused_grant", "grant_types refresh_token: unused_grant", "grant_types client_credentials: unused_grant"}, refused: "grant_types: no_grant",
		},
		"machine": {
			app:    map[string]any{"app_type": "non_interactive", "callbacks": nil, "grant_types": []string{machineGrant}},
			grants: []map[string]any{orders, {"client_id": "other", "audience": "https://stock.example.com", "scope": []string{}}},
			want:   map[string]string{"grant_types": `["client_credentials"]`, "response_types": "", "scope": `"read:orders"`, "audience": `["https://orders.example.com"]`, "access_token_strategy": `"jwt"`},
			lost:   []string{"grant_types client_credentials: scopes_requested"},
		},
		"machine, all scopes of an API": {
			app:    map[string]any{"app_type": "non_interactive", "callbacks": nil, "grant_types": []string{machineGrant}},
			grants: []map[string]any{{"client_id": "app", "audience": "https://orders.example.com", "allow_all_scopes": true}, {"client_id": "app", "audience": "https://stock.example.com", "scope": []string{}}},
			want:   map[string]string{"scope": `"read:orders write:orders"`, "audience": `["https://orders.example.com","https://stock.example.com"]`},
			lost:   []string{"grant_types client_credentials: scopes_requested", "grant_types client_credentials: scopes_joined"},
		},
		"machine, no scopes": {
			app:    map[string]any{"app_type": "non_interactive", "callbacks": nil, "grant_types": []string{machineGrant}},
			grants: []map[string]any{{"client_id": "app", "audience": "https://stock.example.com", "scope": []string{}}},
			want:   map[string]string{"scope": `"openid"`, "audience": `["https://stock.example.com"]`},
		},
		"machine, Auth0's own API only": {
			app:    map[string]any{"app_type": "non_interactive", "callbacks": nil, "grant_types": []string{machineGrant}},
			grants: []map[string]any{{"client_id": "app", "audience": "https://acme.eu.auth0.com/api/v2/", "scope": []string{"read:users"}}},
			lost:   []string{"grant_types client_credentials: unused_grant"}, refused: "grant_types: no_grant",
		},
		"machine without a secret": {
			app:    map[string]any{"app_type": "native", "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", machineGrant}},
			grants: []map[string]any{orders}, lost: []string{"grant_types client_credentials: unused_grant"}, want: map[string]string{"grant_types": `["authorization_code"]`},
		},
		// Auth0's default for web applications: client_credentials, which no API lets it use.
		"users, and client_credentials without a client grant": {
			app:  map[string]any{"grant_types": []string{"authorization_code", machineGrant}},
			want: map[string]string{"grant_types": `["authorization_code"]`, "scope": `"openid profile email address phone read:orders write:orders"`}, lost: []string{"grant_types client_credentials: unused_grant"},
		},
		// With the scopes of users, the client could request them without a user.
		"users and a machine": {
			app:    map[string]any{"grant_types": []string{"authorization_code", machineGrant}},
			grants: []map[string]any{orders},
			want:   map[string]string{"grant_types": `["authorization_code","client_credentials"]`, "scope": `"openid profile email address phone read:orders"`, "audience": `["https://orders.example.com"]`},
			lost:   []string{"grant_types client_credentials: machine_scopes", "grant_types client_credentials: machine_scopes", "grant_types client_credentials: scopes_requested"},
		},
		"a strict third party": {
			app:    map[string]any{"is_first_party": false, "third_party_security_mode": "strict"},
			grants: []map[string]any{{"client_id": "app", "audience": "https://orders.example.com", "scope": []string{"read:orders"}, "subject_type": "user"}},
			want:   map[string]string{"scope": `"openid profile email address phone read:orders"`, "audience": `["https://orders.example.com"]`, "skip_consent": "false"},
		},
	}
}

func tokenRows() map[string]mapped {
	refresh := func(settings map[string]any) map[string]any {
		return map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}, "refresh_token": settings}
	}
	const code, again = "authorization_code_grant_refresh_token_lifespan", "refresh_token_grant_refresh_token_lifespan"
	return map[string]mapped{
		"HS256": {app: map[string]any{"jwt_configuration": map[string]any{"alg": "HS256"}}, refused: "jwt_configuration.alg: id_token_alg"},
		"PS256": {app: map[string]any{"jwt_configuration": map[string]any{"alg": "PS256"}}, refused: "jwt_configuration.alg: id_token_alg"},
		"HS256, a machine": {
			app:    map[string]any{"jwt_configuration": map[string]any{"alg": "HS256", "lifetime_in_seconds": 36000}, "callbacks": nil, "grant_types": []string{machineGrant}},
			grants: []map[string]any{{"client_id": "app", "audience": "https://stock.example.com", "scope": []string{}}},
			want:   map[string]string{"authorization_code_grant_id_token_lifespan": ""},
		},
		"lifetime of ID tokens": {
			app:  map[string]any{"jwt_configuration": map[string]any{"alg": "RS256", "lifetime_in_seconds": 36000, "secret_encoded": false}, "grant_types": []string{"authorization_code", "implicit"}},
			want: map[string]string{"authorization_code_grant_id_token_lifespan": `"10h0m0s"`, "implicit_grant_id_token_lifespan": `"10h0m0s"`, "refresh_token_grant_id_token_lifespan": ""},
		},
		"refresh tokens, idle": {
			app:  refresh(map[string]any{"rotation_type": "rotating", "expiration_type": "expiring", "idle_token_lifetime": 1296000, "infinite_token_lifetime": true, "token_lifetime": 2592000, "leeway": 0}),
			want: map[string]string{code: `"360h0m0s"`, again: `"360h0m0s"`},
		},
		"refresh tokens, idle and absolute": {
			app:  refresh(map[string]any{"rotation_type": "rotating", "expiration_type": "expiring", "idle_token_lifetime": 1296000, "token_lifetime": 2592000, "leeway": 30}),
			want: map[string]string{code: `"360h0m0s"`}, lost: []string{"refresh_token.leeway 30: leeway", "refresh_token.token_lifetime 2592000: absolute_lifetime"},
		},
		"refresh tokens, absolute": {
			app:  refresh(map[string]any{"rotation_type": "non-rotating", "expiration_type": "expiring", "infinite_idle_token_lifetime": true, "idle_token_lifetime": 1, "token_lifetime": 2592000}),
			want: map[string]string{code: `"720h0m0s"`}, lost: []string{"refresh_token.rotation_type non-rotating: always_rotates", "refresh_token.token_lifetime 2592000: absolute_lifetime"},
		},
		"refresh tokens without an end": {
			app:  refresh(map[string]any{"rotation_type": "non-rotating", "expiration_type": "non-expiring", "idle_token_lifetime": 1296000}),
			want: map[string]string{code: `"-1ns"`, again: `"-1ns"`}, lost: []string{"refresh_token.rotation_type non-rotating: always_rotates"},
		},
		"refresh tokens for several APIs": {
			app:  refresh(map[string]any{"rotation_type": "rotating", "policies": []map[string]any{{"audience": "a", "scope": []string{"b"}}}}),
			lost: []string{"refresh_token.policies : no_counterpart"},
		},
	}
}

func otherRows() map[string]mapped {
	return map[string]mapped{
		"without a counterpart": {
			app: map[string]any{
				"addons": map[string]any{"samlp": map[string]any{}, "wsfed": map[string]any{"a": "b"}, "aws": nil}, "organization_usage": "require", "initiate_login_uri": "https://app.example.com/login",
				"oidc_conformant": false, "native_social_login": map[string]any{"apple": map[string]any{"enabled": true}, "facebook": map[string]any{"enabled": false}}, "custom_login_page": "<html>",
				"mobile": map[string]any{"ios": map[string]any{"team_id": "x"}, "android": map[string]any{}}, "sso": true, "custom_login_page_on": true, "cross_origin_authentication": true,
			},
			lost: []string{
				"addons.samlp : no_counterpart", "addons.wsfed : no_counterpart", "organization_usage require: no_counterpart", "initiate_login_uri https://app.example.com/login: no_counterpart",
				"oidc_conformant false: no_counterpart", "cross_origin_authentication true: no_counterpart", "custom_login_page <html>: no_counterpart", "native_social_login.apple : no_counterpart", "mobile.ios : no_counterpart",
			},
		},
		"as Auth0 makes it": {app: map[string]any{
			"organization_usage": "deny", "oidc_conformant": true, "addons": map[string]any{}, "native_social_login": map[string]any{"apple": map[string]any{"enabled": false}}, "sso_disabled": false, "global": false,
			"mobile": map[string]any{"ios": map[string]any{}}, "cross_origin_authentication": false, "signing_keys": []map[string]string{{"cert": "x"}}, "is_token_endpoint_ip_header_trusted": false, "tenant": "acme",
		}},
		"a field that ferry does not know": {app: map[string]any{"quantum_login": map[string]any{"on": true}, "other_new_thing": false}, lost: []string{"quantum_login : unknown_field"}},
		"metadata": {
			app:  map[string]any{"client_metadata": map[string]any{"team": "a", "Team": "b"}, "description": "A shop"},
			want: map[string]string{"metadata": `{"auth0":{"app_type":"regular_web","client_metadata":{"Team":"b","team":"a"},"description":"A shop","tenant":"acme.eu.auth0.com"}}`},
		},
		"a logo":           {app: map[string]any{"logo_uri": "https://app.example.com/logo.png"}, want: map[string]string{"logo_uri": `"https://app.example.com/logo.png"`}},
		"a logo, relative": {app: map[string]any{"logo_uri": "/logo.png"}, want: map[string]string{"logo_uri": ""}, lost: []string{"logo_uri /logo.png: invalid_url"}},
		"third party":      {app: map[string]any{"is_first_party": false}, want: map[string]string{"skip_consent": "false", "skip_logout_consent": "false"}},
		"pushed requests":  {app: map[string]any{"require_pushed_authorization_requests": true}, refused: "require_pushed_authorization_requests: pushed_requests"},
		"DPoP":             {app: map[string]any{"require_proof_of_possession": true}, refused: "require_proof_of_possession: proof_of_possession"},
		"FAPI":             {app: map[string]any{"compliance_level": "fapi1_adv_pkj_par"}, lost: []string{"compliance_level fapi1_adv_pkj_par: no_counterpart"}},
		"no FAPI":          {app: map[string]any{"compliance_level": "none"}},
		"everything null": {
			app:  map[string]any{"client_secret": json.RawMessage("null"), "oidc_logout": json.RawMessage("null"), "jwt_configuration": json.RawMessage("null"), "refresh_token": json.RawMessage("null"), "is_first_party": json.RawMessage("null"), "client_authentication_methods": json.RawMessage("null"), "addons": json.RawMessage("null"), "allowed_logout_urls": json.RawMessage("null")},
			want: map[string]string{"skip_consent": "true"},
		},
		"the secret missing": {app: map[string]any{"client_secret": nil}},
	}
}
