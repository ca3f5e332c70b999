package front

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"ferry/hydra"
	"ferry/remint"
	"ferry/secret"
)

const grantRefreshToken = "refresh_token"

// usedTime bounds what is noted of a refresh token after the answer.
const usedTime = 5 * time.Second

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
	if sent.values.Get("grant_type") == grantRefreshToken && !token.Empty() && !hydra.IsToken(token) {
		f.auth0Token(w, r, who, token)
		return
	}
	e := f.toHydra(w, r, sent, who, routeToken)
	if f.opts.Remint != nil && e.status == http.StatusOK && sent.values.Get("grant_type") == grantRefreshToken {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), usedTime)
		defer cancel()
		f.opts.Remint.Used(ctx, token)
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

// auth0Token answers a request with a refresh token of Auth0. That of a client whose tokens are not
// re-minted may be good, and Auth0 is not asked about it: its answer would be for an issuer that
// the application does not know. So the application keeps the token, and is to try again.
func (f *Front) auth0Token(w http.ResponseWriter, r *http.Request, who caller, token secret.String) {
	if f.opts.Closed {
		f.refuse(w, routeToken, who, resultClosed, invalidGrant())
		return
	}
	enabled, err := f.enabled(r, who)
	switch {
	case err != nil:
		f.refuse(w, routeToken, who, resultUnsure, unavailable("The client could not be checked."))
	case !enabled:
		if f.strange.first(who.credentials.ClientID) {
			f.opts.Log.Warn("token front: a refresh token of Auth0 came from a client whose tokens are not exchanged: it was told to try again later",
				zap.String("client_id", shortened(who.credentials.ClientID)))
		}
		f.refuse(w, routeToken, who, resultNotEnabled, unavailable("The refresh tokens of this client are not exchanged yet."))
	default:
		f.remint(w, r, routeToken, who, token, f.opts.Remint.Refresh)
	}
}

// enabled reports whether the tokens of a client are re-minted. With AllClients, Hydra must have
// it: a stranger can name any.
func (f *Front) enabled(r *http.Request, who caller) (bool, error) {
	switch {
	case f.opts.Remint == nil:
		return false, nil
	case slices.Contains(f.opts.RemintClients, who.credentials.ClientID):
		return true, nil
	case f.opts.RemintClients[0] != AllClients:
		return false, nil
	}
	_, known, err := f.clients.get(r.Context(), who.credentials.ClientID)
	return known, err
}

// checkedSecret reports whether Hydra checks a secret of the client before Auth0 is asked. It does
// not check what comes for a public client, and an assertion only at the end.
func (c caller) checkedSecret() bool {
	return c.known && !c.credentials.Secret.Empty() && (c.client.Method == hydra.SecretPost || c.client.Method == hydra.SecretBasic)
}

// remint lets package remint answer. A network may send so many tokens without a client secret,
// and so many with a wrong one: with a right one, it is the server of an application, which sends
// those of all its users.
func (f *Front) remint(w http.ResponseWriter, r *http.Request, at route, who caller, token secret.String, ask func(context.Context, remint.Request) remint.Answer) {
	ip, checked := f.clientIP(r), who.checkedSecret()
	if !checked && !f.limits.Allow(ip) || checked && f.limits.Spent(ip) {
		f.refuse(w, at, who, resultLimited, tooMany())
		return
	}
	leave, is, no := f.enterAuth0(r)
	if no != nil {
		f.refuse(w, at, who, is, no)
		return
	}
	defer leave()
	request := remint.Request{Credentials: who.credentials, RefreshToken: token, ClientIP: ip}
	if f.opts.TrustedProxies > 0 { // else it is any text of the client's
		request.RequestID = shortened(r.Header.Get("X-Request-Id"))
	}
	answer := ask(r.Context(), request)
	if answer.Status == http.StatusUnauthorized && checked {
		f.limits.Allow(ip)
	}
	f.metrics.answered(at, resultRemint)
	if who.cors {
		setOrigin(w.Header(), who.origin)
	}
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body)
}

// refuse gives an answer of the front's own.
func (f *Front) refuse(w http.ResponseWriter, at route, who caller, is result, no *refusal) {
	f.metrics.answered(at, is)
	if who.cors {
		setOrigin(w.Header(), who.origin)
	}
	no.write(w)
}

// maxLoggedBytes bounds what a client says in the log.
const maxLoggedBytes = 64

func shortened(text string) string {
	if len(text) > maxLoggedBytes {
		return text[:maxLoggedBytes]
	}
	return text
}
