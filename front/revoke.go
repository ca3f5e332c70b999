package front

import (
	"net/http"

	"ferry/hydra"
	"ferry/secret"
)

// revoke answers the revocation endpoint (RFC 7009). Hydra says 200 to a token that it does not
// know, so what may be a refresh token of Auth0 goes to Auth0: that is everything without Hydra's
// prefix, except JWTs. They are access tokens, which Auth0 does not revoke.
func (f *Front) revoke(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		f.pass(w, r, &exchange{at: routeRevoke})
		return
	}
	sent, who, ok := f.read(w, r, routeRevoke)
	if !ok {
		return
	}
	token := sent.values.Get("token")
	_, jwt := isJWT(token)
	switch {
	case token == "" || jwt || hydra.IsToken(secret.New(token)):
		f.toHydra(w, r, sent, who, routeRevoke)
	case f.opts.Closed:
		// No server knows the token any more, and that is not an error.
		f.metrics.answered(routeRevoke, resultClosed)
		if who.cors {
			setOrigin(w.Header(), who.origin)
		}
		w.WriteHeader(http.StatusOK)
	case f.opts.Remint != nil:
		f.revokeBoth(w, r, sent, who, secret.New(token))
	default:
		f.revokeAtAuth0(w, r, sent, who)
	}
}

// revokeBoth lets package remint revoke a token, with what it was replaced by. A client that Hydra
// does not have got nothing from there, so Auth0 decides alone.
func (f *Front) revokeBoth(w http.ResponseWriter, r *http.Request, sent *form, who caller, token secret.String) {
	_, known, err := f.clients.get(r.Context(), who.credentials.ClientID)
	switch {
	case err != nil:
		f.refuse(w, routeRevoke, who, resultUnsure, unavailable("The client could not be checked."))
	case !known:
		f.revokeAtAuth0(w, r, sent, who)
	default:
		f.remint(w, r, routeRevoke, who, token, f.opts.Remint.Revoke)
	}
}

// revokeAtAuth0 passes a revocation on to Auth0.
func (f *Front) revokeAtAuth0(w http.ResponseWriter, r *http.Request, sent *form, who caller) {
	if !f.limits.Allow(f.clientIP(r)) {
		f.refuse(w, routeRevoke, who, resultLimited, tooMany())
		return
	}
	body, header := authorizationForm(r, sent, "token", paramClientID, paramClientSecret, paramClientAssertion, "client_assertion_type")
	f.toAuth0(w, r, routeRevoke, who, http.MethodPost, "/oauth/revoke", body, header)
}
