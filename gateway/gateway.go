// Package gateway is a reverse proxy in front of Kratos' public API that lets users log in
// whom Kratos does not have yet.
//
//	read a submitted form as Kratos does (package submit)
//	Kratos has the user, or nothing is to be done: pass the request on
//	login with a password: ask Auth0, once; if it is right, create the identity
//	recovery, verification, registration, login without a password: look the user up at
//	Auth0 by the e-mail address, and create the identity
//	pass the request on: Kratos finds the identity, and calls the migration hook
//
// It only ever adds identities, before Kratos sees the request. Kratos decides about
// everything, passwords included. Requests and answers pass unchanged, except where neither
// Kratos nor ferry can tell whether a password is right: then the answer is an outage.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"ferry/attempt"
	"ferry/audit"
	"ferry/gateway/submit"
	"ferry/outcome"
	"ferry/provision"
	"ferry/proxy"
	"ferry/secret"
	"ferry/tracing"
	"ferry/upstream"
)

const (
	// maxBodyBytes is the longest request that is read. Longer ones pass on unread.
	maxBodyBytes = 64 << 10
	// kratosTime bounds a request to Kratos with its answer, which may wait for three calls of
	// a hook.
	kratosTime = 2 * time.Minute
	// actTime bounds everything that ferry does before it passes a request on, so that the
	// proxies in front do not give up.
	actTime = 25 * time.Second
)

// identities tells whether Kratos has a user.
type identities interface {
	Knows(ctx context.Context, identifier string) (bool, error)
}

// verifier asks Auth0 about a login, once.
type verifier interface {
	Verify(ctx context.Context, login attempt.Login) (attempt.Answer, error)
}

// provisioner creates identities.
type provisioner interface {
	Ready(ctx context.Context) error
	CanLookUp() bool
	ByLogin(ctx context.Context, login provision.Login) (provision.Result, error)
	ByIdentifier(ctx context.Context, door provision.Door, identifier string) (provision.Result, error)
}

// budget bounds the look-ups of this process, and remembers for which addresses Auth0 has no
// user.
type budget interface {
	Allow() bool
	NoUser(ctx context.Context, email string) bool
	RememberNoUser(ctx context.Context, email string) error
}

// Options configure a Gateway. Kratos and Transport may be nil for Checks alone; ErrorURL,
// Realms, CustomRealms, TrustedProxies, ForwardClientIP, Closed and Modes may be zero, the rest is
// required.
type Options struct {
	// Kratos is the public API.
	Kratos *url.URL
	// Transport sends requests to Kratos. It must never return the answer to one request
	// for another.
	Transport http.RoundTripper
	// Realms are the connections that are asked about a user whom Kratos does not have, in
	// this order, each only if those before it rejected the password. Empty: the tenant's
	// default directory.
	Realms []string
	// CustomRealms are those of Realms to which the identifier is sent in the case in which
	// it was typed.
	CustomRealms []string
	// TrustedProxies is the number of proxies in front of the gateway that append to
	// X-Forwarded-For. 0: the gateway is the outermost, and writes the header itself.
	TrustedProxies int
	// ForwardClientIP sends the user's address to Auth0.
	ForwardClientIP bool
	// MaxPasswordBytes is the longest password that is sent to Auth0.
	MaxPasswordBytes int
	// ErrorURL is the page to which browsers are sent in an outage; empty: a plain page.
	ErrorURL string
	// Closed ends the migration: every request passes on.
	Closed bool
	// Modes says what ferry does with logins; nil: mode.On, for everyone.
	Modes modes
	// Traits are the traits of the identity schema that are identifiers or addresses.
	Traits func(context.Context) []string
	// PerMinute limits the requests of one network about users whom Kratos does not have.
	PerMinute int
	// Budget limits those that need the Management API, and is shared with all else in this
	// process that needs it.
	Budget budget

	// Enter waits for a turn to ask Auth0, and returns why there is none; nil: there is no bound.
	Enter func(ctx context.Context) (leave func(), refused string)

	Identities identities
	Attempts   verifier
	// Keep keeps a verified login for the migration hook.
	Keep func(ctx context.Context, identifier string, password secret.String, profile upstream.Profile) error
	// UsersFault reports whether Kratos is told of this outcome as wrong credentials. Every
	// other outcome except a match is an outage.
	UsersFault  func(outcome.Outcome) bool
	Provisioner provisioner
	// Audit takes an audit record of each decision; nil: there are none. It must not block.
	Audit func(audit.Record)
	Log   *zap.Logger
	// Hash stands for an identifier in the log.
	Hash    func(string) string
	Metrics prometheus.Registerer
	// Now is the clock.
	Now func() time.Time
}

// Gateway is an http.Handler.
type Gateway struct {
	opts    Options
	proxy   *httputil.ReverseProxy
	limits  *proxy.Limits
	metrics *metrics
}

// New makes a Gateway; the error names what is missing.
func New(opts Options) (*Gateway, error) {
	switch {
	case (opts.Kratos == nil) != (opts.Transport == nil):
		return nil, errors.New("gateway: Kratos' URL needs a transport")
	case opts.Identities == nil || opts.Attempts == nil || opts.Provisioner == nil || opts.Keep == nil || opts.UsersFault == nil || opts.Budget == nil || opts.Traits == nil:
		return nil, errors.New("gateway: identities, attempts, provisioner, keep, user's fault, budget and traits are required")
	case opts.MaxPasswordBytes <= 0 || opts.PerMinute <= 0:
		return nil, errors.New("gateway: limits must be more than 0")
	case opts.Log == nil || opts.Hash == nil || opts.Metrics == nil || opts.Now == nil:
		return nil, errors.New("gateway: log, hash, metrics and clock are required")
	}
	if len(opts.Realms) == 0 {
		opts.Realms = []string{""}
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	g := &Gateway{opts: opts, limits: proxy.NewLimits(opts.PerMinute, opts.Now), metrics: m}
	if opts.Kratos != nil {
		g.proxy = g.newProxy()
	}
	return g, nil
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, isSubmit := submit.RouteOf(r.Method, r.URL)
	if !isSubmit || g.opts.Closed {
		g.pass(w, r)
		return
	}
	s, ok, err := g.readTraced(w, r, route)
	switch {
	case err != nil:
		g.metrics.failed(faultIncomplete)
		g.refuse(w, r, badRequest())
		return
	case !ok:
		g.pass(w, r)
		return
	}
	verdict := g.act(r, s)
	g.metrics.acted(route.String(), verdict)
	switch verdict.is {
	case pass:
		g.pass(w, r)
	case passUnsure:
		r.Header.Del("Accept-Encoding") // the answer is read
		g.pass(w, r.WithContext(context.WithValue(r.Context(), unsureKey{}, s.Flow)))
	case outage:
		g.refuse(w, r, unavailable())
	case tooMany:
		g.refuse(w, r, tooManyRequests())
	}
}

// pass passes a request on.
func (g *Gateway) pass(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), kratosTime)
	defer cancel()
	g.proxy.ServeHTTP(w, r.WithContext(ctx))
}

// readTraced is read, as a step of the trace.
func (g *Gateway) readTraced(w http.ResponseWriter, r *http.Request, route submit.Route) (s submit.Submit, ok bool, err error) {
	_, span := tracing.Start(r.Context(), "read request")
	defer span.End()
	s, ok, err = g.read(w, r, route)
	tracing.Failed(span, err)
	return s, ok, err
}

// read reads the submitted form, and leaves the request as it was. ok is false if it is too
// long, or if Kratos would read no identifier in it. An error means that the client did not
// send it.
func (g *Gateway) read(w http.ResponseWriter, r *http.Request, route submit.Route) (s submit.Submit, ok bool, err error) {
	body, whole, err := proxy.ReadBody(w, r, maxBodyBytes)
	if err != nil || !whole {
		return s, false, err
	}
	request := submit.Request{Route: route, Query: r.URL.RawQuery, ContentType: r.Header.Get("Content-Type"), Body: body}
	if route == submit.Registration {
		request.Traits = g.opts.Traits(r.Context())
	}
	s, ok = submit.Read(request)
	return s, ok, nil
}

// is says what happens to a request.
type is int

const (
	// pass passes it on.
	pass is = iota
	// passUnsure passes it on; if Kratos then says that the credentials are wrong, the answer
	// is an outage, because it is unknown whether Kratos has the user.
	passUnsure
	// outage answers that logins are unavailable.
	outage
	// tooMany answers that there are too many requests.
	tooMany
)

// verdict is what happens to a request, and why, as one word.
type verdict struct {
	is     is
	reason string
}

// act creates the identity, if there is one to create.
func (g *Gateway) act(r *http.Request, s submit.Submit) (v verdict) {
	ctx, cancel := context.WithTimeout(r.Context(), actTime)
	defer cancel()
	defer func() {
		if fault := recover(); fault != nil {
			// The value may quote what the user typed.
			g.opts.Log.Error("gateway: panic", zap.String("type", fmt.Sprintf("%T", fault)), zap.Stack("stack"))
			v = verdict{outage, resultPanic}
		}
	}()
	started := g.opts.Now()
	defer func() { g.metrics.took.WithLabelValues(s.Route.String()).Observe(g.opts.Now().Sub(started).Seconds()) }()
	if s.Route == submit.Login && !s.Password.Empty() {
		v = g.login(ctx, r, s)
	} else {
		v = g.lookUp(ctx, r, s)
	}
	g.logAct(r.Context(), s, v, g.opts.Now().Sub(started))
	return v
}

// logAct logs what became of a request, and notes it in the span of the request.
func (g *Gateway) logAct(ctx context.Context, s submit.Submit, v verdict, took time.Duration) {
	span := trace.SpanFromContext(ctx)
	if v.reason == provision.ReasonKnown {
		tracing.Ended(span, v.reason, "")
		return
	}
	hash := g.opts.Hash(s.Identifiers[0])
	fields := []zap.Field{
		zap.String("route", s.Route.String()), zap.String("method", s.Method), zap.String("result", v.reason),
		zap.String("identifier_hash", hash), zap.String("flow_id", s.Flow), zap.Duration("took", took),
	}
	if traceID, spanID := tracing.IDs(ctx); traceID != "" {
		fields = append(fields, zap.String("trace_id", traceID), zap.String("span_id", spanID))
	}
	g.opts.Log.Info("gateway", fields...)
	g.auditAct(ctx, s, v, hash)
	tracing.Ended(span, v.reason, "")
	tracing.User(span, hash)
	if v.is == outage || v.is == passUnsure {
		tracing.Failed(span, errOutage)
	}
}

// auditAct writes the audit record of what became of a request.
func (g *Gateway) auditAct(ctx context.Context, s submit.Submit, v verdict, hash string) {
	if g.opts.Audit == nil {
		return
	}
	r := audit.Record{
		Action: audit.GatewaySubmit, Actor: audit.Actor{Kind: audit.User}, Outcome: v.reason, Route: s.Route.String(), IdentifierHash: hash, FlowID: s.Flow,
	}
	if g.opts.Modes != nil {
		r.Mode = g.opts.Modes.Mode().String()
	}
	r.TraceID, r.SpanID = tracing.IDs(ctx)
	g.opts.Audit(r)
}

var errOutage = errors.New("outage")

// known reports whether Kratos has a user with one of the identifiers.
func (g *Gateway) known(ctx context.Context, identifiers []string) (known bool, err error) {
	ctx, span := tracing.Start(ctx, "look up identity")
	defer span.End()
	defer func() { tracing.Failed(span, err) }()
	for _, identifier := range identifiers {
		known, err := g.opts.Identities.Knows(ctx, identifier)
		if known || err != nil {
			return known, err
		}
	}
	return false, nil
}

// clientIP is the user's address; the zero value if it is unknown.
func (g *Gateway) clientIP(r *http.Request) netip.Addr {
	return proxy.ClientIP(r, g.opts.TrustedProxies)
}
