package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	"go.uber.org/zap"

	"ferry/gateway/submit"
)

const (
	// ForwardAuthPath is the address of Traefik's forwardAuth: the submitted request is in
	// X-Forwarded-Method and X-Forwarded-Uri, its headers and its body are those of the call.
	ForwardAuthPath = "/forward-auth"
	// ExtAuthzPath is the path_prefix of Envoy's ext_authz: the call is the submitted request,
	// behind this prefix.
	ExtAuthzPath = "/ext-authz"
)

// partialBody is Envoy's header for a body that is not whole.
const partialBody = "X-Envoy-Auth-Partial-Body"

// Checks returns the handler for a proxy that asks before it passes a request on to Kratos. It
// acts as the gateway does and answers 200; if the gateway would not pass the request on, it
// gives the gateway's answer, which the proxy gives to the user. It never sees Kratos' answer:
// where that could be wrong, because it is unknown whether Kratos has the user, the login is
// an outage.
//
// Only the proxy may reach it: it believes the forwarded headers, and a stranger could tell by
// the time of an answer whether Kratos has a user.
func (g *Gateway) Checks() http.Handler {
	asked := &checks{gateway: Gateway{opts: g.opts, limits: g.limits, metrics: g.metrics}}
	asked.gateway.opts.TrustedProxies = max(g.opts.TrustedProxies, 1)
	return asked
}

// checks is the handler of Checks.
type checks struct {
	gateway Gateway
	noBody  sync.Once // a warning
}

// ServeHTTP implements http.Handler.
func (c *checks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	submitted, ok := submittedRequest(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	c.check(w, submitted)
}

// submittedRequest returns the request that the call is about. ok is false if it is not a call
// of a proxy.
func submittedRequest(r *http.Request) (submitted *http.Request, ok bool) {
	submitted = new(http.Request)
	*submitted = *r
	if r.URL.Path == ForwardAuthPath {
		uri, err := url.ParseRequestURI(r.Header.Get("X-Forwarded-Uri"))
		method := r.Header.Get("X-Forwarded-Method")
		submitted.Method, submitted.URL = method, uri
		return submitted, err == nil && method != ""
	}
	uri, found := strings.CutPrefix(r.RequestURI, ExtAuthzPath+"/")
	parsed, err := url.ParseRequestURI("/" + uri)
	submitted.URL = parsed
	return submitted, found && err == nil
}

// RouteOf returns the path at Kratos of a request that the gateway acts upon, or of one that a
// proxy asks the Checks about; empty: neither.
func RouteOf(r *http.Request) string {
	asked := r
	if submitted, ok := submittedRequest(r); ok {
		asked = submitted
	}
	if route, ok := submit.RouteOf(asked.Method, asked.URL); ok {
		return "/self-service/" + route.String()
	}
	return ""
}

// check acts and answers.
func (c *checks) check(w http.ResponseWriter, r *http.Request) {
	g := &c.gateway
	route, isSubmit := submit.RouteOf(r.Method, r.URL)
	if !isSubmit || g.opts.Closed || r.Header.Get(partialBody) == "true" {
		w.WriteHeader(http.StatusOK)
		return
	}
	s, ok, err := g.readTraced(w, r, route)
	switch {
	case err != nil:
		g.metrics.failed(faultIncomplete)
		g.refuse(w, r, badRequest())
		return
	case !ok:
		if r.ContentLength == 0 {
			c.noBody.Do(func() {
				g.opts.Log.Warn("gateway: a proxy asked about a form without its body: forwardBody (Traefik) or with_request_body (Envoy) may be missing", zap.String("route", route.String()))
			})
		}
		w.WriteHeader(http.StatusOK)
		return
	}
	verdict := g.act(r, s)
	if verdict.is == passUnsure {
		verdict.is = outage
	}
	g.metrics.acted(route.String(), verdict)
	switch verdict.is {
	case pass, passUnsure:
		w.WriteHeader(http.StatusOK)
	case outage:
		g.refuse(w, r, unavailable())
	case tooMany:
		g.refuse(w, r, tooManyRequests())
	}
}
