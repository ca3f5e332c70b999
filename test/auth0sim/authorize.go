package auth0sim

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The paths of the login in a browser.
const (
	PathAuthorize = "/authorize"
	PathLogin     = "/u/login"
	PathFactor    = "/u/mfa-otp-challenge"
)

// GrantAuthorizationCode is the grant of a login in a browser.
const GrantAuthorizationCode = "authorization_code"

// OneTimeCode is what the second step takes of users with a second factor: the simulator has
// no secrets of theirs.
const OneTimeCode = "123456"

const (
	sessionCookie = "auth0"
	codeLife      = time.Minute
	loginLife     = 10 * time.Minute
)

// authorization is a request to /authorize, and how far its login is.
type authorization struct {
	app         *application
	query       url.Values
	redirect    string
	challenge   string // of PKCE; empty: none
	userID      string // who is logged in; empty until then
	wantsFactor bool   // the user has yet to pass the second step
	expires     time.Time
}

// authorizations hold the logins in browsers: those in progress by state, those that are done
// by code, and the sessions by cookie.
type authorizations struct {
	mu       sync.Mutex
	pending  map[string]*authorization
	codes    map[string]*authorization
	sessions map[string]string // the user ids
	seen     []url.Values
}

func newAuthorizations() *authorizations {
	a := &authorizations{}
	a.reset()
	return a
}

func (l *authorizations) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending, l.codes, l.sessions, l.seen = map[string]*authorization{}, map[string]*authorization{}, map[string]string{}, nil
}

// put stores an authorization under a new key of one of the maps, and forgets those that are
// over.
func (l *authorizations) put(into map[string]*authorization, one *authorization, now time.Time, life time.Duration) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(into, func(_ string, old *authorization) bool { return !now.Before(old.expires) })
	one.expires = now.Add(life)
	key := rand.Text()
	into[key] = one
	return key
}

// take returns an authorization that is not over, once.
func (l *authorizations) take(from map[string]*authorization, key string, now time.Time) (*authorization, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := from[key]
	delete(from, key)
	return one, ok && now.Before(one.expires)
}

// Authorizations returns the parameters of the requests to /authorize, the oldest first.
func (s *Server) Authorizations() []url.Values {
	s.authorizations.mu.Lock()
	defer s.authorizations.mu.Unlock()
	return slices.Clone(s.authorizations.seen)
}

// authorizePage is GET /authorize: the authorization code flow with PKCE. Faults of the request
// that concern the address to send the browser back to are shown as a page; all others go back
// to it.
func (s *Server) authorizePage(x *exchange) response {
	query := x.req.URL.Query()
	s.authorizations.mu.Lock()
	s.authorizations.seen = append(s.authorizations.seen, query)
	s.authorizations.mu.Unlock()
	app, ok := s.dir.app(query.Get("client_id"))
	redirect := query.Get("redirect_uri")
	switch {
	case x.req.Method != http.MethodGet:
		return s.refuse(AnswerMethodNotAllowed)
	case !ok:
		return page(http.StatusForbidden, "Unknown client: "+query.Get("client_id"))
	case !slices.Contains(app.Callbacks, redirect):
		return page(http.StatusForbidden, "Callback URL mismatch. The provided redirect_uri is not in the list of allowed callback URLs.")
	}
	one := &authorization{app: app, query: query, redirect: redirect, challenge: query.Get("code_challenge")}
	switch {
	case query.Get("response_type") != "code":
		return one.back("unsupported_response_type", "Unsupported response type: "+query.Get("response_type"))
	case !slices.Contains(app.GrantTypes, GrantAuthorizationCode):
		return one.back("unauthorized_client", "Grant type '"+GrantAuthorizationCode+"' not allowed for the client.")
	case one.challenge != "" && query.Get("code_challenge_method") != "S256":
		return one.back("invalid_request", "code_challenge_method must be S256")
	case !s.isAudience(query.Get("audience")):
		return one.back("access_denied", "Service not found: "+query.Get("audience"))
	}
	prompts := strings.Fields(query.Get("prompt"))
	if user, ok := s.sessionOf(x.req); ok && !slices.Contains(prompts, "login") {
		return s.complete(one, user)
	}
	if slices.Contains(prompts, "none") {
		return one.back("login_required", "Login required")
	}
	return redirectTo(PathLogin + "?state=" + s.authorizations.put(s.authorizations.pending, one, s.Now(), loginLife))
}

// isAudience reports whether tokens can be for the audience; empty is none.
func (s *Server) isAudience(audience string) bool {
	_, known := s.dir.api(audience)
	return known || audience == "" || audience == s.cfg.Issuer+"userinfo"
}

// sessionOf returns the user of the browser's session.
func (s *Server) sessionOf(r *http.Request) (User, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return User{}, false
	}
	s.authorizations.mu.Lock()
	id := s.authorizations.sessions[cookie.Value]
	s.authorizations.mu.Unlock()
	return s.User(id)
}

// complete sends the browser back, with a code if the tenant lets the user in.
func (s *Server) complete(one *authorization, user User) response {
	switch {
	case user.Blocked:
		return one.back("unauthorized", "user is blocked")
	case user.Deny != nil && user.Deny.Rule:
		return one.back("unauthorized", user.Deny.Reason)
	case user.Deny != nil:
		return one.back("access_denied", user.Deny.Reason)
	}
	one.userID = user.ID
	code := s.authorizations.put(s.authorizations.codes, one, s.Now(), codeLife)
	return one.send(url.Values{"code": {code}})
}

// logIn begins a session, and completes the authorization.
func (s *Server) logIn(one *authorization, user User) response {
	key := rand.Text()
	s.authorizations.mu.Lock()
	s.authorizations.sessions[key] = user.ID
	s.authorizations.mu.Unlock()
	resp := s.complete(one, user)
	cookie := http.Cookie{Name: sessionCookie, Value: key, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	resp.header.Set("Set-Cookie", cookie.String())
	return resp
}

// back sends the browser back with an error.
func (a *authorization) back(code, description string) response {
	resp := a.send(url.Values{"error": {code}, "error_description": {description}})
	resp.outcome = code
	return resp
}

func (a *authorization) send(values url.Values) response {
	if state := a.query.Get("state"); state != "" {
		values.Set("state", state)
	}
	separator := "?"
	if strings.Contains(a.redirect, "?") {
		separator = "&"
	}
	return redirectTo(a.redirect + separator + values.Encode())
}

func redirectTo(address string) response {
	resp := plainResponse(http.StatusFound, "text/plain; charset=utf-8", "Found. Redirecting")
	resp.header.Set("Location", address)
	resp.outcome = outcomeOK
	return resp
}

// codeToken is the authorization_code grant of the token endpoint.
func (s *Server) codeToken(a *attempt) response {
	for _, step := range []func(*attempt) (response, bool){s.checkRequest, s.checkClient} {
		if refusal, ok := step(a); !ok {
			return refusal
		}
	}
	for _, name := range []string{"code", "redirect_uri"} {
		if a.req.param(name) == "" {
			return s.refuse(AnswerMissingParameter, "parameter", name)
		}
	}
	one, ok := s.authorizations.take(s.authorizations.codes, a.req.param("code"), s.Now())
	switch {
	case !ok || one.app.ClientID != a.app.ClientID || one.redirect != a.req.param("redirect_uri"):
		return s.refuse(AnswerInvalidCode)
	case !one.verifies(a.req.param("code_verifier")):
		return s.refuse(AnswerWrongVerifier)
	}
	account, ok := s.dir.account(one.userID)
	if !ok {
		return s.refuse(AnswerInvalidCode)
	}
	a.login, a.nonce = &credential{account: account}, one.query.Get("nonce")
	a.api, _ = s.dir.api(one.query.Get("audience"))
	a.grant = grantScopes(one.query.Get("scope"), a.api, a.mayRefresh())
	s.journal.update(a.x.entry, func(e *Request) { e.UserID = one.userID })
	return s.grantTokens(a)
}

// verifies reports whether a code verifier is that of the challenge (RFC 7636, 4.6).
func (a *authorization) verifies(verifier string) bool {
	if a.challenge == "" {
		return verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(encodeSegment(sum[:])), []byte(a.challenge)) == 1
}
