package clients

import (
	"maps"
	"slices"
	"strings"
)

// Field is a field of an Auth0 application, and what becomes of it.
type Field struct {
	// Auth0 is its name, with dots between the names of nested objects.
	Auth0 string
	// Hydra names the fields of the client that it becomes; empty: Hydra has no counterpart.
	Hydra string
	// Note says how it is translated, or what a user notices without it.
	Note string

	ignored bool                     // it says nothing about how the application works
	apply   func(*builder)           // nil: there is no counterpart
	lostIf  func(value any) bool     // when it is a finding; nil: when it is set
	parts   func(value any) []string // the parts that are findings each; nil: it is one
}

// top is the name of the outermost object.
func (f Field) top() string {
	name, _, _ := strings.Cut(f.Auth0, ".")
	return name
}

// lost reports whether a value of a field without a counterpart is a finding.
func (f Field) lost(value any) bool {
	switch {
	case f.ignored:
		return false
	case f.lostIf != nil:
		return f.lostIf(value)
	case f.parts != nil:
		return len(f.parts(value)) > 0
	}
	return isSet(value)
}

// Fields is the table of all fields that ferry knows, in the order in which they are read.
func Fields() []Field {
	return slices.Concat(credentialFields(), flowFields(), tokenFields(), otherFields(), lostFields(), ignoredFields())
}

func credentialFields() []Field {
	return []Field{
		{Auth0: "client_id", Hydra: "client_id", Note: "verbatim", apply: (*builder).id},
		{Auth0: "name", Hydra: "client_name", apply: (*builder).name},
		{Auth0: "client_authentication_methods", Hydra: "token_endpoint_auth_method, jwks, token_endpoint_auth_signing_alg", Note: "private_key_jwt with the keys of `--keys`", apply: (*builder).keys},
		{Auth0: "jwks_uri", Hydra: "jwks_uri", Note: "with private_key_jwt", apply: func(*builder) {}},
		{Auth0: "token_endpoint_auth_method", Hydra: "token_endpoint_auth_method", Note: "without it: none for spa and native, else client_secret_post", apply: (*builder).authMethod},
		{Auth0: "client_secret", Hydra: "client_secret", Note: "verbatim, for client_secret_post and client_secret_basic", apply: (*builder).secret},
	}
}

func flowFields() []Field {
	return []Field{
		{Auth0: "callbacks", Hydra: "redirect_uris", Note: "those that Hydra can match", apply: (*builder).callbacks},
		{Auth0: "allowed_logout_urls", Hydra: "post_logout_redirect_uris", Note: "those with the scheme, host and port of a redirect URI", apply: (*builder).logoutURLs},
		{Auth0: "web_origins", Hydra: "allowed_cors_origins", Note: "together with allowed_origins and, for spa, the origins of the callbacks, which Auth0 allows as well", apply: (*builder).origins},
		{Auth0: "allowed_origins", Hydra: "allowed_cors_origins", apply: func(*builder) {}},
		{Auth0: "the tenant's APIs and client grants", Hydra: "scope, audience, access_token_strategy", Note: "see [scopes and audiences](#scopes-and-audiences)", apply: func(*builder) {}},
		{Auth0: "grant_types", Hydra: "grant_types, response_types", Note: "authorization_code, refresh_token, client_credentials, implicit, and device_code from Hydra 26.2 on", apply: (*builder).grantTypes},
		{Auth0: "oidc_logout.backchannel_logout_urls", Hydra: "backchannel_logout_uri, backchannel_logout_session_required", Note: "the first", apply: (*builder).backChannel},
	}
}

func tokenFields() []Field {
	return []Field{
		{Auth0: "jwt_configuration.alg", Note: "Hydra signs with RS256; an application that verifies HS256 or PS256 is refused", apply: (*builder).idTokenAlg},
		{Auth0: "jwt_configuration.lifetime_in_seconds", Hydra: "authorization_code_grant_id_token_lifespan, refresh_token_grant_id_token_lifespan, implicit_grant_id_token_lifespan", apply: (*builder).idTokenLifetime},
		{Auth0: "refresh_token", Hydra: "authorization_code_grant_refresh_token_lifespan, refresh_token_grant_refresh_token_lifespan", Note: "the idle lifetime, else the absolute one", apply: (*builder).refreshToken},
		{Auth0: "refresh_token.policies", Note: "a refresh token for several APIs"},
	}
}

func otherFields() []Field {
	return []Field{
		{Auth0: "is_first_party", Hydra: "skip_consent, skip_logout_consent", apply: (*builder).firstParty},
		{Auth0: "logo_uri", Hydra: "logo_uri", Note: "if it is an absolute http or https URL", apply: (*builder).logo},
		{Auth0: "client_metadata", Hydra: "metadata.auth0.client_metadata", apply: (*builder).metadata},
		{Auth0: "description", Hydra: "metadata.auth0.description", apply: func(*builder) {}},
		{Auth0: "app_type", Hydra: "metadata.auth0.app_type", apply: func(*builder) {}},
		{Auth0: "require_pushed_authorization_requests", Note: "such an application is refused", apply: (*builder).pushedRequests},
		{Auth0: "require_proof_of_possession", Note: "such an application is refused", apply: (*builder).possession},
	}
}

// lostFields have no counterpart at Hydra.
func lostFields() []Field {
	return []Field{
		{Auth0: "addons", Note: "SAML, WS-Federation and the other add-ons end with Auth0", parts: enabledParts},
		{Auth0: "organization_usage", Note: "Hydra has no organizations: tokens have no org_id", lostIf: not("deny")},
		{Auth0: "organization_require_behavior", Note: "Hydra has no organizations", lostIf: not("no_prompt")},
		{Auth0: "organization_discovery_methods", Note: "Hydra has no organizations"},
		{Auth0: "default_organization", Note: "Hydra has no organizations"},
		{Auth0: "initiate_login_uri", Note: "Hydra does not send users back to the application to begin a login"},
		{Auth0: "oidc_conformant", Note: "an application that relies on Auth0's older, non-conforming pipeline must change", lostIf: func(value any) bool { return value == false }},
		{Auth0: "cross_origin_authentication", Note: "logins from a form of the application itself end with Auth0"},
		{Auth0: "cross_origin_auth", Note: "logins from a form of the application itself end with Auth0"},
		{Auth0: "custom_login_page", Note: "the login page is that of Kratos' UI"},
		{Auth0: "form_template", Note: "WS-Federation ends with Auth0"},
		{Auth0: "native_social_login", Note: "an application cannot exchange tokens of Apple, Facebook or Google at Hydra", parts: setParts},
		{Auth0: "mobile", Note: "Auth0 serves assetlinks.json and apple-app-site-association for it; Hydra does not", parts: setParts},
		{Auth0: "is_token_endpoint_ip_header_trusted", Note: "Hydra has no limits for a user's address"},
		{Auth0: "client_aliases", Note: "names for WS-Federation and SAML"},
		{Auth0: "allowed_clients", Note: "delegation ends with Auth0"},
		{Auth0: "oidc_logout.backchannel_logout_initiators", Note: "Hydra calls the back-channel logout URL at every logout"},
		{Auth0: "oidc_logout.backchannel_logout_session_metadata", Note: "Hydra does not send metadata of the session"},
		{Auth0: "signed_request_object", Note: "Hydra verifies request objects with the keys of the client; ferry does not set it up"},
		{Auth0: "token_exchange", Note: "Hydra has no token exchange"},
		{Auth0: "session_transfer", Note: "Hydra has no session transfer to the web"},
		{Auth0: "token_quota", Note: "Hydra has no quota of tokens"},
		{Auth0: "compliance_level", Note: "Hydra does not enforce FAPI profiles", lostIf: not("none")},
		{Auth0: "par_request_expiry", Note: "Hydra has no pushed authorization requests"},
		{Auth0: "express_configuration", Note: "Express Configuration is a feature of Auth0"},
		{Auth0: "my_organization_configuration", Note: "My Organization is a feature of Auth0"},
		{Auth0: "async_approval_notification_channels", Note: "Hydra has no CIBA"},
	}
}

// ignoredFields say nothing about how the application works.
func ignoredFields() []Field {
	var fields []Field
	for _, name := range []string{
		"api_type", "callback_url_template", "client_secret_expires_at", "config_route", "created_at", "cross_origin_loc", "custom_login_page_codeview", "custom_login_page_off",
		"custom_login_page_on", "custom_login_page_preview", "encryption_key", "external_client_id", "external_metadata_created_by", "external_metadata_type", "global",
		"jwt_configuration.scopes", "jwt_configuration.secret_encoded", "owners", "resource_server_identifier", "resource_servers", "signing_keys", "skip_non_verifiable_callback_uri_confirmation_prompt", "sso", "sso_disabled", "tenant",
		"third_party_security_mode", "updated_at",
	} {
		fields = append(fields, Field{Auth0: name, ignored: true})
	}
	return fields
}

// Managed are the fields of a client that ferry writes, sorted. In the metadata, it writes
// MetadataAuth0 only.
func Managed() []string {
	names := map[string]bool{}
	for _, f := range Fields() {
		for name := range strings.SplitSeq(f.Hydra, ", ") {
			if name, _, _ = strings.Cut(name, "."); name != "" && name != "client_id" && name != "client_secret" {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// not is for a field of which one value says nothing.
func not(value string) func(any) bool {
	return func(found any) bool { return isSet(found) && found != value }
}

// enabledParts are the parts of an object that are there, also if they are empty.
func enabledParts(value any) []string {
	return partsIf(value, func(part any) bool { return part != nil && part != false })
}

// setParts are the parts of an object that say anything.
func setParts(value any) []string { return partsIf(value, isSet) }

func partsIf(value any, counts func(any) bool) []string {
	object, _ := value.(map[string]any)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if counts(object[name]) {
			parts = append(parts, name)
		}
	}
	return parts
}
