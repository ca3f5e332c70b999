package otlp

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"ferry/tracing"
)

// The systems that ferry calls, as peer.service.
const (
	PeerAuth0  = "auth0"
	PeerKratos = "kratos"
	PeerHydra  = "hydra"
)

// Handler starts a span for each request with a route: the route function returns it, and it must
// not be the client's text; empty: the request is not traced. If trusted reports true, the span
// belongs to the trace of the request's traceparent. Else it begins a trace of its own, linked to
// that one: strangers do not decide what is sampled.
func (t *Traces) Handler(next http.Handler, route func(*http.Request) string, trusted func(*http.Request) bool) http.Handler {
	if t == nil {
		return next
	}
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trace.SpanFromContext(r.Context()).SetAttributes(tracing.HTTPRoute.String(route(r)))
		next.ServeHTTP(w, r)
	})
	return otelhttp.NewHandler(named, "",
		otelhttp.WithTracerProvider(t.provider),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithFilter(func(r *http.Request) bool { return route(r) != "" }),
		otelhttp.WithPublicEndpointFn(func(r *http.Request) bool { return !trusted(r) }),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return method(r) + " " + route(r) }),
	)
}

// Client returns a function that traces the requests of calls. The peer gets the traceparent only
// if propagate is true: it says which of its requests belong to one login. Requests that belong to
// no call are not traced. The result is nil if nothing is traced.
func (t *Traces) Client(peer string, propagate bool) func(http.RoundTripper) http.RoundTripper {
	if t == nil {
		return nil
	}
	sent := propagation.NewCompositeTextMapPropagator()
	if propagate {
		sent = propagation.TraceContext{}
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(next,
			otelhttp.WithTracerProvider(t.provider),
			otelhttp.WithPropagators(sent),
			otelhttp.WithFilter(func(r *http.Request) bool { return trace.SpanContextFromContext(r.Context()).IsValid() }),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return method(r) + " " + peer }),
			otelhttp.WithSpanOptions(trace.WithAttributes(tracing.PeerService.String(peer))),
		)
	}
}

// method is the method of a request, if it is a known one: a client may send any text.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "HTTP"
}
