package auth0sim

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Paths of the Management API that tell how the tenant is set up.
const (
	PathClients        = "/api/v2/clients/"
	PathTenantSettings = "/api/v2/tenants/settings"
	PathBruteForce     = "/api/v2/attack-protection/brute-force-protection"
	PathSuspiciousIP   = "/api/v2/attack-protection/suspicious-ip-throttling"
)

// The scopes that those need.
const (
	ScopeReadClients          = "read:clients"
	ScopeReadTenantSettings   = "read:tenant_settings"
	ScopeReadAttackProtection = "read:attack_protection"
)

// readClient is GET /api/v2/clients/{id}: the secret is never shown.
func (s *Server) readClient(x *exchange) response {
	app, ok := s.dir.app(x.req.PathValue("id"))
	if !ok {
		return s.refuse(AnswerManagementNoClient)
	}
	members := map[string]any{
		"client_id": app.ClientID, "name": app.ClientID, "tenant": strings.SplitN(s.cfg.Domain, ".", 2)[0], "global": false,
		"is_first_party": !app.ThirdParty, "oidc_conformant": true, "app_type": "regular_web", "callbacks": []string{"https://app.test/callback"},
		"grant_types": app.GrantTypes, "is_token_endpoint_ip_header_trusted": app.TrustForwardedFor,
		"jwt_configuration": map[string]any{"alg": app.IDTokenAlg, "lifetime_in_seconds": s.Settings().IDTokenSeconds, "secret_encoded": false},
	}
	if app.ThirdParty {
		members["third_party_security_mode"] = "strict"
	}
	if app.AuthMethods[0] == AuthPrivateKey {
		members["client_authentication_methods"] = map[string]any{
			AuthPrivateKey: map[string]any{"credentials": []any{map[string]any{"id": "cred_" + app.ClientID}}},
		}
	} else {
		members["token_endpoint_auth_method"] = app.AuthMethods[0]
	}
	return s.someFields(x, members)
}

// readTenantSettings is GET /api/v2/tenants/settings.
func (s *Server) readTenantSettings(x *exchange) response {
	directory, _ := s.dir.realm("")
	members := map[string]any{"default_directory": directory.Name, "friendly_name": s.cfg.Domain, "enabled_locales": []string{"en"}}
	return s.someFields(x, members)
}

// readBruteForce is GET /api/v2/attack-protection/brute-force-protection.
func (s *Server) readBruteForce(x *exchange) response {
	rule := s.Settings().BruteForce
	mode := "count_per_identifier_and_ip"
	if rule.PerIdentifier {
		mode = "count_per_identifier"
	}
	return s.withoutQuery(x, map[string]any{
		"enabled": rule.Enabled, "shields": []string{"block", "user_notification"}, "mode": mode,
		"allowlist": listOf(rule.Allowlist), "max_attempts": rule.MaxAttempts,
	})
}

// readSuspiciousIP is GET /api/v2/attack-protection/suspicious-ip-throttling.
func (s *Server) readSuspiciousIP(x *exchange) response {
	rule := s.Settings().SuspiciousIP
	return s.withoutQuery(x, map[string]any{
		"enabled": rule.Enabled, "shields": []string{"block", "admin_notification"}, "allowlist": listOf(rule.Allowlist),
		"stage": map[string]any{
			"pre-login":             map[string]any{"max_attempts": rule.MaxAttempts, "rate": rule.RateMillis},
			"pre-user-registration": map[string]any{"max_attempts": 50, "rate": 1728000},
		},
	})
}

// listOf is never null in JSON.
func listOf(list []string) []string { return append([]string{}, list...) }

// withoutQuery refuses every parameter.
func (s *Server) withoutQuery(x *exchange, members map[string]any) response {
	if x.req.URL.RawQuery != "" {
		return s.refuse(AnswerManagementBadQuery, "reason", "no parameters expected")
	}
	return managementResponse(members)
}

// someFields answers with the members that the parameters fields and include_fields
// leave.
func (s *Server) someFields(x *exchange, members map[string]any) response {
	values, err := readQuery(x.req.URL.RawQuery, paramFields, paramIncludeFields)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	shown, err := onlyFields(values, members)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	return managementResponse(shown)
}

const (
	paramFields        = "fields"
	paramIncludeFields = "include_fields"
)

// onlyFields is the object with the members that the parameters leave; all of them
// without the parameters.
func onlyFields(values url.Values, members map[string]any) (map[string]any, error) {
	include := values.Get(paramIncludeFields)
	switch {
	case include != "" && include != "true" && include != "false":
		return nil, errors.New("include_fields: expected a boolean")
	case !values.Has(paramFields):
		return members, nil
	}
	names := strings.Split(values.Get(paramFields), ",")
	if slices.Contains(names, "") {
		return nil, errors.New("fields: expected names, comma between")
	}
	shown := map[string]any{}
	for name, value := range members {
		if slices.Contains(names, name) == (include != "false") {
			shown[name] = value
		}
	}
	return shown, nil
}
