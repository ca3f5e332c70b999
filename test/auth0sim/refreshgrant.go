package auth0sim

import (
	"net/http"
	"slices"
	"strings"
)

const (
	// GrantRefreshToken is the grant of an application for a user who is logged in.
	GrantRefreshToken = "refresh_token"
	// PathRevoke revokes refresh tokens.
	PathRevoke = "/oauth/revoke"
)

// mayRefresh reports whether a login can give a refresh token: the application has the grant, and
// the API, if there is one, allows it.
func (a *attempt) mayRefresh() bool {
	return slices.Contains(a.app.GrantTypes, GrantRefreshToken) && (a.api.Identifier == "" || a.api.OfflineAccess)
}

// refreshToken is the refresh_token grant of the token endpoint.
func (s *Server) refreshToken(a *attempt) response {
	for _, step := range []func(*attempt) (response, bool){s.checkRequest, s.checkClient} {
		if refusal, ok := step(a); !ok {
			return refusal
		}
	}
	token := a.req.param("refresh_token")
	if token == "" {
		return s.refuse(AnswerMissingParameter, "parameter", "refresh_token")
	}
	refusal := s.refuse(AnswerUnknownRefresh)
	family, successor, ok := s.refresh.redeem(token, a.app, s.Now(), func(f refreshFamily) bool {
		var admitted bool
		refusal, admitted = s.admitRefresh(a, f)
		return admitted
	})
	if !ok {
		return refusal
	}
	a.grant = grantedScopes{requested: family.scopes, scopes: narrow(family.scopes, a.req.param("scope"))}
	a.grant.echo = strings.Join(a.grant.scopes, " ")
	a.api.Identifier, a.successor = family.audience, successor
	return s.grantTokens(a)
}

// admitRefresh refuses users who are gone or blocked, or whom the tenant's code refuses. Second
// factors are not asked for.
func (s *Server) admitRefresh(a *attempt, f refreshFamily) (refusal response, ok bool) {
	account, ok := s.dir.account(f.userID)
	switch {
	case !ok:
		return s.refuse(AnswerRefreshUserGone), false
	case account.user.Blocked:
		return s.refuse(AnswerBlockedUserGrant), false
	case account.user.Deny != nil && account.user.Deny.Rule:
		return s.refuse(AnswerRuleDenied, "reason", account.user.Deny.Reason), false
	case account.user.Deny != nil:
		return s.refuse(AnswerActionDenied, "reason", account.user.Deny.Reason), false
	}
	a.login = &credential{account: account}
	return response{}, true
}

// narrow returns the granted scopes that are requested; all of them if none is.
func narrow(granted []string, requested string) []string {
	asked := strings.Fields(requested)
	if len(asked) == 0 {
		return granted
	}
	return slices.DeleteFunc(slices.Clone(granted), func(scope string) bool { return !slices.Contains(asked, scope) })
}

// account finds a user.
func (d *directory) account(id string) (*account, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	found, ok := d.users[id]
	return found, ok
}

// revokeEndpoint is POST /oauth/revoke (RFC 7009).
func (s *Server) revokeEndpoint() endpoint {
	var req *tokenRequest
	return endpoint{
		identify: func(x *exchange) {
			req = parseTokenRequest(x.req, x.body)
			if family, ok := s.refresh.family(req.param("token")); ok {
				x.identifiers = []string{family.userID}
			}
		},
		answer: func(x *exchange) response { return s.revoke(x, req) },
	}
}

// revoke answers 200 also where there is nothing to revoke: to a token that is unknown, or another
// application's.
func (s *Server) revoke(x *exchange, req *tokenRequest) response {
	switch {
	case x.req.Method != http.MethodPost:
		resp := s.refuse(AnswerMethodNotAllowed)
		resp.header.Set("Allow", http.MethodPost)
		return resp
	case req.err != nil:
		return s.refuse(AnswerMalformed, "reason", req.err.Error())
	case req.auth.clientID == "":
		return s.refuse(AnswerMissingParameter, "parameter", "client_id")
	}
	app, ok := s.dir.app(req.auth.clientID)
	if !ok {
		return s.refuse(AnswerInvalidClient, "reason", "Unauthorized")
	}
	if refusal, ok := s.authenticate(app, req.auth); !ok {
		return refusal
	}
	token := req.param("token")
	if token == "" {
		return s.refuse(AnswerMissingParameter, "parameter", "token")
	}
	s.refresh.change(token, func(f *refreshFamily) { f.revoked = f.revoked || f.clientID == app.ClientID })
	return response{status: http.StatusOK, header: http.Header{}, outcome: outcomeOK}
}
