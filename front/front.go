// Package front is the token front: a reverse proxy before Hydra's public API that answers for a
// host at which applications expect Auth0.
//
//	Auth0's path                  becomes Hydra's (paths in route.go)
//	a JSON body                   becomes a form
//	client authentication         becomes the method that the client has at Hydra
//	a token of Auth0              is re-minted, revoked or used at Auth0; Hydra never sees it
//	the keys (JWKS)               are Hydra's, and Auth0's while the migration lasts
//	a preflight                   is answered; answers name the client's allowed origins only
//	everything else               passes on unchanged
//
// A token of Hydra has the prefix ory_rt_ or ory_at_, or is a JWT signed by one of Hydra's keys.
// The front decides nothing about tokens: package remint, Hydra and Auth0 do. What it cannot find
// out is answered as an outage, never as an invalid token: applications log their users out on
// that.
package front

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/hydra"
	"ferry/proxy"
	"ferry/remint"
	"ferry/secret"
)

// hydraTime bounds a request to Hydra with its answer.
const hydraTime = time.Minute

// AllClients in Options.RemintClients stands for every client of Hydra.
const AllClients = remint.AllClients

// registry reads clients: a *hydra.Client.
type registry interface {
	// OAuth2Client returns an *hydra.Error of kind Refused if there is no such client.
	OAuth2Client(ctx context.Context, id string) (hydra.OAuth2Client, error)
	// TokenClient returns the client of an access token of Hydra.
	TokenClient(ctx context.Context, token secret.String) (clientID string, err error)
}

// reminter replaces refresh tokens of Auth0: a *remint.Reminter.
type reminter interface {
	Refresh(ctx context.Context, req remint.Request) remint.Answer
	// Revoke revokes a refresh token of Auth0, and what it was replaced by.
	Revoke(ctx context.Context, req remint.Request) remint.Answer
	// Used is called for each refresh token of Hydra by which a client got new tokens.
	Used(ctx context.Context, token secret.String)
}

// Options configure a Front. Remint, RemintClients, TrustedProxies and Closed may be zero, and
// once the migration is closed Auth0 and its transport; the rest is required.
type Options struct {
	// Remint replaces refresh tokens of Auth0 of the clients in RemintClients, or of all clients
	// that Hydra has if that is AllClients alone; nil: none is replaced.
	Remint        reminter
	RemintClients []string
	// Auth0 is the tenant's own address, and Auth0Transport sends requests there. It must not
	// send any twice.
	Auth0          *url.URL
	Auth0Transport http.RoundTripper
	// Hydra is the public API.
	Hydra *url.URL
	// Transport sends requests to Hydra. It must never return the answer to one request for
	// another.
	Transport http.RoundTripper
	// Registry reads clients of Hydra.
	Registry registry
	// TrustedProxies is the number of proxies in front that append to X-Forwarded-For. 0: the
	// front is the outermost, and writes the header itself.
	TrustedProxies int
	// PerMinute limits the requests of one network with tokens of Auth0.
	PerMinute int
	// Closed ends the migration: Auth0 is no longer asked, and its tokens are invalid.
	Closed bool
	Log    *zap.Logger
	// Metrics takes the metrics.
	Metrics prometheus.Registerer
	// Now is the clock.
	Now func() time.Time
}

// Front is an http.Handler. It is safe for concurrent use.
type Front struct {
	opts    Options
	proxy   *httputil.ReverseProxy
	clients *clients
	limits  *proxy.Limits
	strange *onceAMinute // clients whose tokens are not re-minted, for the log
	metrics *metrics

	hydraKeys *keySet
	auth0Keys *keySet       // nil: the migration has ended
	auth0     chan struct{} // a place for each request that waits for Auth0
}

// New makes a Front; the error names what is missing.
func New(opts Options) (*Front, error) {
	switch {
	case opts.Hydra == nil || opts.Transport == nil || opts.Registry == nil:
		return nil, errors.New("front: Hydra's URL, a transport and a registry are required")
	case !opts.Closed && (opts.Auth0 == nil || opts.Auth0Transport == nil):
		return nil, errors.New("front: until the migration is closed, Auth0's URL and a transport are required")
	case opts.Remint != nil && len(opts.RemintClients) == 0:
		return nil, errors.New("front: the clients whose tokens are re-minted are required")
	case opts.PerMinute <= 0:
		return nil, errors.New("front: the limit must be more than 0")
	case opts.Log == nil || opts.Metrics == nil || opts.Now == nil:
		return nil, errors.New("front: log, metrics and clock are required")
	}
	if opts.Closed {
		opts.Auth0, opts.Auth0Transport = nil, nil
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	f := &Front{
		opts: opts, metrics: m, clients: newClients(opts.Registry, opts.Now), limits: proxy.NewLimits(opts.PerMinute, opts.Now),
		strange: newOnceAMinute(opts.Now), hydraKeys: newKeySet(opts.Hydra, opts.Transport, opts.Now), auth0: make(chan struct{}, maxAuth0),
	}
	if opts.Auth0 != nil {
		f.auth0Keys = newKeySet(opts.Auth0, opts.Auth0Transport, opts.Now)
	}
	f.proxy = proxy.New(proxy.Options{
		Target: opts.Hydra, Transport: opts.Transport, TrustedProxies: opts.TrustedProxies,
		ModifyResponse: f.settle, ErrorHandler: f.failed, Log: zap.NewStdLog(opts.Log.Named("token_front")),
	})
	return f, nil
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := routeOf(r.URL.Path)
	if isPreflight(r) && at.answersPreflights() {
		f.preflight(w, r, at)
		return
	}
	switch at {
	case routeToken:
		f.token(w, r)
	case routeRevoke:
		f.revoke(w, r)
	case routeLogout:
		f.logout(w, r)
	case routeLogoutDone:
		f.logoutDone(w, r)
	case routeUserinfo:
		f.userinfo(w, r)
	case routeKeys:
		f.keys(w, r)
	case routeAuthorize, routeOther:
		f.pass(w, r, &exchange{at: at})
	}
}

// exchange is what the front knows of a request that it passes on, for the answer.
type exchange struct {
	at route
	// cors: the headers of CORS are the front's, for this origin; empty: it is not allowed.
	cors   bool
	origin string
	// unsure: it is not known how the client authenticates at Hydra, so that a refusal of it may
	// be wrong.
	unsure bool
	// status is that of Hydra's answer; 0: there was none.
	status int
}

type exchangeKey struct{}

// pass passes a request on to Hydra.
func (f *Front) pass(w http.ResponseWriter, r *http.Request, e *exchange) {
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), exchangeKey{}, e), hydraTime)
	defer cancel()
	out := r.WithContext(ctx)
	if path := e.at.hydraPath(); path != "" {
		to := *r.URL
		to.Path, to.RawPath = path, ""
		out.URL = &to
	}
	f.proxy.ServeHTTP(w, out)
	if e.status != 0 {
		f.metrics.answered(e.at, resultHydra)
	}
}

var errUnsure = errors.New("it is unknown how the client authenticates")

// settle changes Hydra's answer: the headers of CORS, and a refusal that may be wrong.
func (f *Front) settle(response *http.Response) error {
	e, ok := response.Request.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil
	}
	if e.unsure && response.StatusCode == http.StatusUnauthorized {
		return errUnsure
	}
	e.status = response.StatusCode
	if e.cors {
		setOrigin(response.Header, e.origin)
	}
	return nil
}

// failed answers a request that Hydra did not answer.
func (f *Front) failed(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		e = &exchange{}
	}
	if e.cors {
		setOrigin(w.Header(), e.origin)
	}
	switch {
	case errors.Is(err, errUnsure):
		f.metrics.answered(e.at, resultUnsure)
		unavailable("The client could not be checked.").write(w)
		return
	case errors.Is(err, context.Canceled):
		f.metrics.answered(e.at, resultClientGone)
		w.WriteHeader(proxy.StatusClientClosed)
		return
	}
	f.metrics.answered(e.at, resultHydraUnreachable)
	f.opts.Log.Error("token front: Hydra did not answer", zap.Stringer("route", e.at), zap.Error(proxy.WithoutURL(err)))
	unavailable("The authorization server did not answer.").write(w)
}

// clientIP is the client's address; the zero value if it is unknown.
func (f *Front) clientIP(r *http.Request) netip.Addr {
	return proxy.ClientIP(r, f.opts.TrustedProxies)
}
