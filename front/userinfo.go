package front

import (
	"context"
	"net/http"
	"strings"

	"ferry/hydra"
	"ferry/secret"
)

// maxTokenBytes bounds an access token that is sent to Auth0.
const maxTokenBytes = 16 << 10

// userinfo answers the UserInfo endpoint (OpenID Connect Core, 5.3). An access token of Auth0 is
// used at Auth0 while the migration lasts: it names the user as the application knows that user
// until it has tokens of Hydra. All others go to Hydra.
func (f *Front) userinfo(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(r)
	who := caller{cors: len(r.Header.Values("Origin")) > 0}
	if !ok || f.opts.Auth0 == nil || !f.isAuth0AccessToken(r.Context(), token) {
		e := &exchange{at: routeUserinfo, cors: who.cors}
		if who.cors && ok {
			e.origin = f.originOfToken(r, token)
		}
		f.pass(w, r, e)
		return
	}
	if who.cors {
		if client, known, err := f.clients.get(r.Context(), claimsOf(token).AuthorizedParty); known && err == nil {
			who.origin = allowed(r, client)
		}
	}
	if !f.limits.Allow(f.clientIP(r)) {
		f.refuse(w, routeUserinfo, who, resultLimited, tooMany())
		return
	}
	f.toAuth0(w, r, routeUserinfo, who, http.MethodGet, "/userinfo", "", http.Header{headerAuthorization: {"Bearer " + token}, "Accept": {"application/json"}})
}

// bearer returns the access token of a request (RFC 6750, 2.1).
func bearer(r *http.Request) (token string, ok bool) {
	values := r.Header.Values(headerAuthorization)
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(values[0], " ")
	return token, found && strings.EqualFold(scheme, "bearer") && token != "" && len(token) <= maxTokenBytes
}

// isAuth0AccessToken reports whether Auth0 can decide about an access token: it has no form of
// Hydra's. A JWT that none of Hydra's keys signed is Auth0's, also if the key is not known: Auth0's
// keys may not have been read yet. While Hydra's are not known, it must be one of Auth0's.
func (f *Front) isAuth0AccessToken(ctx context.Context, token string) bool {
	if hydra.IsToken(secret.New(token)) {
		return false
	}
	keyID, ok := isJWT(token)
	if !ok {
		return true
	}
	if keys := f.hydraKeys.current(ctx); len(keys) > 0 {
		return !has(keys, keyID)
	}
	return has(f.auth0Keys.last(), keyID)
}

// originOfToken returns the origin of a page if the client of an access token of Hydra allows it;
// empty: it does not, or Hydra could not say.
func (f *Front) originOfToken(r *http.Request, token string) string {
	if originOf(r) == "" {
		return ""
	}
	id, err := f.opts.Registry.TokenClient(r.Context(), secret.New(token))
	if err != nil {
		return ""
	}
	client, known, err := f.clients.get(r.Context(), id)
	if err != nil || !known {
		return ""
	}
	return allowed(r, client)
}
