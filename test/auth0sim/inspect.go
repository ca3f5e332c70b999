package auth0sim

import (
	"errors"
	"maps"
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

// readClient is GET /api/v2/clients/{id}: the secret is shown only with [ScopeReadClientKeys].
func (s *Server) readClient(x *exchange) response {
	app, ok := s.dir.app(x.req.PathValue("id"))
	if !ok {
		return s.refuse(AnswerManagementNoClient)
	}
	return s.someFields(x, s.clientMembers(app, s.showsKeys(x.req)))
}

// clientMembers are the members of an application; those of its Details replace what the
// simulator makes of its other fields.
func (s *Server) clientMembers(app *application, keys bool) map[string]any {
	members := map[string]any{
		"client_id": app.ClientID, "name": app.ClientID, "tenant": strings.SplitN(s.cfg.Domain, ".", 2)[0], "global": false,
		"is_first_party": !app.ThirdParty, "oidc_conformant": true, "app_type": app.kind(), "callbacks": listOf(app.Callbacks),
		"grant_types": app.GrantTypes, "is_token_endpoint_ip_header_trusted": app.TrustForwardedFor,
		"jwt_configuration": map[string]any{"alg": app.IDTokenAlg, "lifetime_in_seconds": s.Settings().IDTokenSeconds, "secret_encoded": false},
		"refresh_token":     app.RefreshTokens.members(),
	}
	if len(app.Callbacks) == 0 {
		members["callbacks"] = []string{"https://app.test/callback"}
	}
	if app.ThirdParty {
		members["third_party_security_mode"] = "strict"
	}
	if app.AuthMethods[0] == AuthPrivateKey {
		credentials := []any{}
		for _, id := range app.credentialIDs() {
			credentials = append(credentials, map[string]any{"id": id})
		}
		members["client_authentication_methods"] = map[string]any{AuthPrivateKey: map[string]any{"credentials": credentials}}
	} else {
		members["token_endpoint_auth_method"] = app.AuthMethods[0]
	}
	maps.Copy(members, app.Details)
	if keys && app.ClientSecret != "" {
		members["client_secret"] = app.ClientSecret
	}
	return members
}

// kind is the app_type of an application that does not say its own.
func (a *application) kind() string {
	switch {
	case a.AuthMethods[0] == AuthNone:
		return "native"
	case slices.Equal(a.GrantTypes, []string{GrantClientCredentials}):
		return "non_interactive"
	}
	return "regular_web"
}

// members are the refresh_token settings of an application as Auth0 shows them.
func (p RefreshPolicy) members() map[string]any {
	rotation, expiration := "non-rotating", "non-expiring"
	if p.Rotation {
		rotation = "rotating"
	}
	if p.LifetimeSeconds > 0 || p.IdleSeconds > 0 {
		expiration = "expiring"
	}
	return map[string]any{
		"rotation_type": rotation, "expiration_type": expiration, "leeway": p.LeewaySeconds,
		"token_lifetime": p.LifetimeSeconds, "infinite_token_lifetime": p.LifetimeSeconds == 0,
		"idle_token_lifetime": p.IdleSeconds, "infinite_idle_token_lifetime": p.IdleSeconds == 0,
	}
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
