package auth0sim

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const (
	forwardedForHeader = "auth0-forwarded-for"
	mfaTokenPrefix     = "Fe26.2*"
)

// attempt is a login on its way through the pipeline.
type attempt struct {
	x      *exchange
	req    *tokenRequest
	app    *application
	conn   Connection
	ip     netip.Addr
	grant  grantedScopes
	login  *credential // nil if the username is unknown
	limits limitKeys
	nonce  string // of the request to /authorize
	api    API    // the audience; zero: none
	// successor replaces the refresh token of the request.
	successor string
}

// tokenEndpoint is POST /oauth/token.
func (s *Server) tokenEndpoint() endpoint {
	var req *tokenRequest
	return endpoint{
		identify: func(x *exchange) { req = s.identifyToken(x) },
		answer: func(x *exchange) response {
			resp := s.token(x, req)
			resp.header.Set("Cache-Control", "no-store")
			resp.header.Set("Pragma", "no-cache")
			return resp
		},
	}
}

// refuse answers with a row of the table, as the settings have it.
func (s *Server) refuse(name AnswerName, vars ...string) response {
	settings := s.Settings()
	answer, ok := lookupAnswer(name, settings.Answers)
	if !ok {
		answer = Answer{Status: http.StatusInternalServerError, Error: string(AnswerServerError)}
	}
	resp := answer.respond(name, vars...)
	if resp.status == http.StatusTooManyRequests && settings.RetryAfter > 0 && resp.header.Get("Retry-After") == "" {
		resp.header.Set("Retry-After", fmt.Sprint(settings.RetryAfter))
	}
	return resp
}

// token checks the request, the client, the parameters and the user, in this order.
func (s *Server) token(x *exchange, req *tokenRequest) response {
	a := &attempt{x: x, req: req}
	if req.param("grant_type") == GrantClientCredentials {
		return s.machineToken(a)
	}
	if req.param("grant_type") == GrantAuthorizationCode {
		return s.codeToken(a)
	}
	if req.param("grant_type") == GrantRefreshToken {
		return s.refreshToken(a)
	}
	for _, step := range []func(*attempt) (response, bool){
		s.checkRequest, s.checkClient, s.checkParameters, s.checkAudience, s.checkRealm, s.checkLimits, s.checkUser,
	} {
		if refusal, ok := step(a); !ok {
			return refusal
		}
	}
	return s.grantTokens(a)
}

// checkRequest refuses unreadable requests.
func (s *Server) checkRequest(a *attempt) (response, bool) {
	grant := a.req.param("grant_type")
	switch {
	case a.x.req.Method != http.MethodPost:
		resp := s.refuse(AnswerMethodNotAllowed)
		resp.header.Set("Allow", http.MethodPost)
		return resp, false
	case a.req.err != nil:
		return s.refuse(AnswerMalformed, "reason", a.req.err.Error()), false
	case grant == "":
		return s.refuse(AnswerMissingParameter, "parameter", "grant_type"), false
	case !slices.Contains([]string{GrantPassword, GrantPasswordRealm, GrantClientCredentials, GrantAuthorizationCode, GrantRefreshToken}, grant):
		return s.refuse(AnswerUnsupportedGrant, "grant_type", grant), false
	}
	return response{}, true
}

// checkClient finds and authenticates the application, and settles which
// address the login counts against.
func (s *Server) checkClient(a *attempt) (response, bool) {
	if a.req.auth.clientID == "" {
		return s.refuse(AnswerMissingParameter, "parameter", "client_id"), false
	}
	app, ok := s.dir.app(a.req.auth.clientID)
	if !ok {
		return s.refuse(AnswerUnknownClient), false
	}
	if refusal, ok := s.authenticate(app, a.req.auth); !ok {
		return refusal, false
	}
	grant := a.req.param("grant_type")
	if !slices.Contains(app.GrantTypes, grant) || app.ThirdParty && (grant == GrantPassword || grant == GrantPasswordRealm) {
		return s.refuse(AnswerGrantNotAllowed, "grant_type", grant), false
	}
	a.app = app
	a.ip = s.effectiveIP(a)
	s.journal.update(a.x.entry, func(e *Request) { e.EffectiveIP = a.ip.String() })
	return response{}, true
}

// effectiveIP is the forwarded address if the application is trusted with it and
// authenticated with a secret, else the connection's.
func (s *Server) effectiveIP(a *attempt) netip.Addr {
	method := a.req.auth.methods[0]
	if !a.app.TrustForwardedFor || method != AuthPost && method != AuthBasic {
		return a.x.remoteIP
	}
	forwarded, err := netip.ParseAddr(strings.TrimSpace(a.x.req.Header.Get(forwardedForHeader)))
	if err != nil {
		return a.x.remoteIP
	}
	return forwarded.Unmap()
}

// checkParameters refuses a request without a username, password or realm.
func (s *Server) checkParameters(a *attempt) (response, bool) {
	required := []string{"username", "password"}
	if a.req.param("grant_type") == GrantPasswordRealm {
		required = append(required, "realm")
	}
	for _, name := range required {
		if a.req.param(name) != "" {
			continue
		}
		if name == "realm" {
			name = "connection" // as Auth0 calls it here
		}
		return s.refuse(AnswerMissingParameter, "parameter", name), false
	}
	return response{}, true
}

// checkRealm finds the connection.
func (s *Server) checkRealm(a *attempt) (response, bool) {
	realm := a.req.realm()
	conn, ok := s.dir.realm(realm)
	switch {
	case !ok && realm == "":
		return s.refuse(AnswerNoDefaultDirectory), false
	case !ok:
		return s.refuse(AnswerUnknownRealm), false
	case !conn.takesPasswords():
		return s.refuse(AnswerUnsupportedRealm), false
	case conn.Disabled || !a.app.allows(conn):
		return s.refuse(AnswerDisabledRealm), false
	}
	a.conn = conn
	if login, ok := s.dir.find(conn, a.req.param("username")); ok {
		a.login = login
	}
	a.limits = a.limitKeys()
	return response{}, true
}

// checkUser checks the password, and then the tenant's rules for the user.
func (s *Server) checkUser(a *attempt) (response, bool) {
	if a.login == nil || !a.login.matches(a.req.param("password")) {
		s.limits.failed(a, s.Settings())
		return s.wrongPassword(a.conn), false
	}
	s.limits.succeeded(a)
	user := a.login.account.user
	switch {
	case user.PasswordLeaked:
		return s.refuse(AnswerPasswordLeaked), false
	case user.Blocked:
		return s.refuse(AnswerBlockedUser), false
	case user.Deny != nil && user.Deny.Rule:
		return s.refuse(AnswerRuleDenied, "reason", user.Deny.Reason), false
	case user.Deny != nil:
		return s.refuse(AnswerActionDenied, "reason", user.Deny.Reason), false
	case user.enrolled() && !a.app.MFAExempt:
		return s.refuse(AnswerMFARequired, "mfa_token", newMFAToken()), false
	}
	return response{}, true
}

// wrongPassword is the connection's own answer, or the one for its strategy.
func (s *Server) wrongPassword(c Connection) response {
	if c.WrongPassword != nil {
		return c.WrongPassword.respond(c.wrongPassword())
	}
	return s.refuse(c.wrongPassword())
}

// tokenBody is a successful answer.
type tokenBody struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
	ExpiresIn    int    `json:"expires_in"`
	TokenType    string `json:"token_type"`
}

// grantTokens makes the tokens of a login that went through.
func (s *Server) grantTokens(a *attempt) response {
	settings := s.Settings()
	body := tokenBody{Scope: a.grant.echo, ExpiresIn: settings.AccessTokenSeconds, TokenType: "Bearer"}
	var err error
	if body.AccessToken, err = s.accessToken(a); err != nil {
		s.log.Error("no access token", "error", err.Error())
		return s.refuse(AnswerServerError)
	}
	body.RefreshToken = a.successor
	if a.req.param("grant_type") != GrantRefreshToken && a.grant.has(scopeOffline) {
		body.RefreshToken = s.refresh.issue(&refreshFamily{
			userID: a.login.account.user.ID, clientID: a.app.ClientID, audience: a.api.Identifier, scopes: a.grant.scopes,
			issued: s.Now(), used: s.Now(),
		})
	}
	if a.grant.asked(scopeOpenID) && a.grant.has(scopeOpenID) {
		idToken, err := s.idToken(a, seconds(settings.IDTokenSeconds))
		if err != nil {
			s.log.Error("no id token", "error", err.Error())
			return s.refuse(AnswerServerError)
		}
		body.IDToken = idToken
	}
	return breakTokens(a.x, body)
}
