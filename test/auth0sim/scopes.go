package auth0sim

import (
	"net/url"
	"slices"
	"strings"
)

const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
	scopePhone   = "phone"
	scopeAddress = "address"
)

// oidcScopes are the scopes that stand for all, in Auth0's order.
func oidcScopes() []string {
	return []string{scopeOpenID, scopeProfile, scopeEmail, scopeAddress, scopePhone}
}

// grantedScopes are the scopes of a login.
type grantedScopes struct {
	requested []string
	scopes    []string
	// echo is the scope member of the answer; empty leaves it out.
	echo string
}

func (g grantedScopes) has(scope string) bool   { return slices.Contains(g.scopes, scope) }
func (g grantedScopes) asked(scope string) bool { return slices.Contains(g.requested, scope) }

// checkAudience finds the API and settles the scopes.
func (s *Server) checkAudience(a *attempt) (response, bool) {
	audience := a.req.audience()
	if audience != "" && audience != s.cfg.Issuer+"userinfo" {
		found, ok := s.dir.api(audience)
		switch {
		case !ok && isManagementAudience(audience):
			return s.refuse(AnswerServiceNotEnabled, "audience", audience), false
		case !ok:
			return s.refuse(AnswerServiceNotFound, "audience", audience), false
		}
		a.api = found
	}
	a.grant = grantScopes(a.req.param("scope"), a.api, a.mayRefresh())
	return response{}, true
}

// isManagementAudience reports whether an audience has the form of a Management API. This
// tenant's own must be added as an [API].
func isManagementAudience(audience string) bool {
	u, err := url.Parse(audience)
	return err == nil && u.Scheme == "https" && u.Path == "/api/v2/"
}

// grantScopes applies Auth0's rules: asking for no scope of the API grants all
// of them, asking for no scope at all or for openid alone grants every OIDC
// scope, and what does not exist is left out. offline says whether offline_access can be granted.
func grantScopes(requested string, api API, offline bool) grantedScopes {
	g := grantedScopes{requested: strings.Fields(requested)}
	var standard, custom []string
	for _, scope := range g.requested {
		switch {
		case slices.Contains(standard, scope), slices.Contains(custom, scope):
		case slices.Contains(oidcScopes(), scope), scope == scopeOffline && offline:
			standard = append(standard, scope)
		case slices.Contains(api.Scopes, scope):
			custom = append(custom, scope)
		}
	}
	if len(g.requested) == 0 || slices.Equal(g.requested, []string{scopeOpenID}) {
		standard = oidcScopes()
	}
	if len(custom) == 0 {
		custom = api.Scopes
	}
	g.scopes = slices.Concat(standard, custom)
	if !slices.Equal(g.scopes, g.requested) {
		g.echo = strings.Join(g.scopes, " ")
	}
	return g
}
