package front

import (
	"context"
	"maps"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"ferry/hydra"
	"ferry/proxy"
	"ferry/remint"
	"ferry/secret"
)

const grantRefreshToken = "refresh_token"

// refreshTokenPrefix is that of Hydra's refresh tokens. Those of Auth0 do not have it.
const refreshTokenPrefix = "ory_rt_"

// caller is the client of a request to the token or the revocation endpoint.
type caller struct {
	credentials hydra.Credentials
	client      hydra.OAuth2Client
	known       bool  // Hydra has the client
	err         error // it could not be read
	// cors: a page sent the request; origin is that of the page if the client allows it.
	cors   bool
	origin string
}

// token answers the token endpoint.
func (f *Front) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		f.pass(w, r, &exchange{at: routeToken})
		return
	}
	sent, who, ok := f.read(w, r, routeToken)
	if !ok {
		return
	}
	token := secret.New(sent.values.Get("refresh_token"))
	if sent.values.Get("grant_type") == grantRefreshToken && !token.Empty() && !strings.HasPrefix(token.Reveal(), refreshTokenPrefix) {
		f.auth0Token(w, r, who, token)
		return
	}
	e := f.toHydra(w, r, sent, who, routeToken)
	if f.opts.Remint != nil && e.status == http.StatusOK && sent.values.Get("grant_type") == grantRefreshToken {
		f.opts.Remint.Used(context.WithoutCancel(r.Context()), token)
	}
}

// read reads a request, and the client that it comes from. ok is false if it has been answered.
func (f *Front) read(w http.ResponseWriter, r *http.Request, at route) (sent *form, who caller, ok bool) {
	sent, no := readForm(w, r)
	if no == nil {
		who.credentials, no = credentialsOf(r.Header, sent)
	}
	if no != nil {
		f.refuse(w, at, who, resultInvalidRequest, no)
		return nil, who, false
	}
	// Who sends no secret and comes from no page needs nothing that the registry knows.
	who.cors = len(r.Header.Values("Origin")) > 0
	if who.cors || !who.credentials.Secret.Empty() {
		who.client, who.known, who.err = f.clients.get(r.Context(), who.credentials.ClientID)
		who.origin = allowed(r, who.client)
	}
	return sent, who, true
}

// toHydra passes a request on, with the client authentication that Hydra expects.
func (f *Front) toHydra(w http.ResponseWriter, r *http.Request, sent *form, who caller, at route) *exchange {
	e := &exchange{at: at, cors: who.cors, origin: who.origin, unsure: who.err != nil && !who.credentials.Secret.Empty()}
	out := r.Clone(r.Context())
	if who.known {
		translate(who.credentials, who.client.Method, out.Header, sent)
	}
	sent.applyTo(out)
	f.pass(w, out, e)
	return e
}

// auth0Token answers a request with a refresh token of Auth0.
func (f *Front) auth0Token(w http.ResponseWriter, r *http.Request, who caller, token secret.String) {
	if f.opts.Closed {
		f.refuse(w, routeToken, who, resultClosed, invalidGrant())
		return
	}
	if f.opts.Remint != nil {
		a := f.opts.Remint.Refresh(r.Context(), remint.Request{Credentials: who.credentials, RefreshToken: token, ClientIP: proxy.ClientIP(r, f.opts.TrustedProxies)})
		if who.cors {
			setOrigin(w.Header(), who.origin)
		}
		maps.Copy(w.Header(), a.Header)
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
		f.metrics.answered(routeToken, resultRemint)
		return
	}
	if f.strange.first(who.credentials.ClientID) {
		f.opts.Log.Warn("token front: a client that is not in FERRY_REMINT_CLIENTS sent a refresh token of Auth0: it was told to try again later",
			zap.String("client_id", shortened(who.credentials.ClientID)))
	}
	f.refuse(w, routeToken, who, resultNotEnabled, unavailable("The refresh tokens of this client are not exchanged yet."))
}

// refuse gives an answer of the front's own.
func (f *Front) refuse(w http.ResponseWriter, at route, who caller, is result, no *refusal) {
	f.metrics.answered(at, is)
	if who.cors {
		setOrigin(w.Header(), who.origin)
	}
	no.write(w)
}

// revoke answers the revocation endpoint.
func (f *Front) revoke(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		f.pass(w, r, &exchange{at: routeRevoke})
		return
	}
	sent, who, ok := f.read(w, r, routeRevoke)
	if !ok {
		return
	}
	f.toHydra(w, r, sent, who, routeRevoke)
}

// maxLoggedBytes bounds what a client says in the log.
const maxLoggedBytes = 64

func shortened(text string) string {
	if len(text) > maxLoggedBytes {
		return text[:maxLoggedBytes]
	}
	return text
}
