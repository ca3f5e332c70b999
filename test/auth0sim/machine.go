package auth0sim

import (
	"net/http"
	"slices"
	"strings"
)

// The scopes of the Management API that the simulator knows what to do with.
const (
	ScopeReadUsers = "read:users"
	// ScopeReadAuthenticationMethods is for the methods of users.
	ScopeReadAuthenticationMethods = "read:authentication_methods"
	ScopeReadConnections           = "read:connections"
	ScopeUpdateUsers               = "update:users"
	ScopeUpdateAppMetadata         = "update:users_app_metadata"
)

// ManagementAudience names the tenant's own Management API: https://DOMAIN/api/v2/,
// independent of the issuer.
func (s *Server) ManagementAudience() string { return "https://" + s.cfg.Domain + PathManagement }

// machineToken is the client_credentials grant (RFC 6749, 4.4). Only the
// Management API may be its audience.
func (s *Server) machineToken(a *attempt) response {
	for _, step := range []func(*attempt) (response, bool){s.checkRequest, s.checkClient, s.checkMachine} {
		if refusal, ok := step(a); !ok {
			return refusal
		}
	}
	scopes := machineScopes(a.req.param("scope"), a.app.ManagementScopes)
	life := s.Settings().AccessTokenSeconds
	body := tokenBody{Scope: strings.Join(scopes, " "), ExpiresIn: life, TokenType: "Bearer"}
	body.AccessToken = s.tokens.issue(accessGrant{scopes: scopes, management: true, expires: s.Now().Add(seconds(life))})
	return breakTokens(a.x, body)
}

// checkMachine refuses an application that is not allowed to the audience.
func (s *Server) checkMachine(a *attempt) (response, bool) {
	audience := a.req.audience()
	_, known := s.dir.api(audience)
	switch {
	case a.req.auth.methods[0] == AuthNone:
		return s.refuse(AnswerClientUnauthorized), false
	case audience == "":
		return s.refuse(AnswerNoAudience), false
	case audience == s.ManagementAudience() && len(a.app.ManagementScopes) > 0:
		return response{}, true
	case audience == s.ManagementAudience(), known:
		return s.refuse(AnswerNoClientGrant, "audience", audience), false
	case isManagementAudience(audience):
		return s.refuse(AnswerServiceNotEnabled, "audience", audience), false
	}
	return s.refuse(AnswerServiceNotFound, "audience", audience), false
}

// machineScopes are the requested scopes that the application has, or all of them if none
// is requested.
func machineScopes(requested string, granted []string) []string {
	if requested == "" {
		return granted
	}
	var scopes []string
	for _, scope := range strings.Fields(requested) {
		if slices.Contains(granted, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// authorize refuses a request to the Management API without a valid token, or without any
// of the scopes.
func (s *Server) authorize(r *http.Request, scopes ...string) (refusal response, ok bool) {
	token := bearer(r)
	grant, known := s.tokens.lookup(token, s.Now())
	switch {
	case token == "":
		return s.refuse(AnswerManagementNoToken), false
	case !known || !grant.management:
		return s.refuse(AnswerManagementBadToken), false
	case !slices.ContainsFunc(scopes, func(scope string) bool { return slices.Contains(grant.scopes, scope) }):
		return s.refuse(AnswerManagementScope, "scopes", strings.Join(scopes, ",")), false
	}
	return response{}, true
}
