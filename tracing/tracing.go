// Package tracing makes the spans of the steps of a call.
//
// A step belongs to the span in its context, which package tracing/otlp puts there when a
// request arrives. Without one, tracing is off: no function here does anything, allocates
// anything or calls the clock. So a package needs no tracer among its options.
//
// A span holds no user data, only durations, outcomes, and the keyed hash of the identifier
// that the log has. Package tracing/otlp drops every other attribute before a span leaves the
// process.
package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name of the instrumentation.
const Scope = "ferry"

// The attributes that ferry sets. Those without the prefix ferry are OpenTelemetry's.
const (
	// Outcome and Reason are those of the log line.
	Outcome = attribute.Key("ferry.outcome")
	Reason  = attribute.Key("ferry.reason")
	// Asked is true if Auth0 was asked for this login, and not for an identical one before.
	Asked = attribute.Key("ferry.asked")
	// UserHash is the keyed hash of the identifier, identifier_hash in the log.
	UserHash = attribute.Key("user.hash")
	// HTTPRoute is the path of a hook.
	HTTPRoute = attribute.Key("http.route")
	// PeerService is auth0, kratos or hydra.
	PeerService = attribute.Key("peer.service")
	// DBSystem is redis, and DBOperation a group of commands, such as claim.
	DBSystem    = attribute.Key("db.system.name")
	DBOperation = attribute.Key("db.operation.name")
)

// Start starts a step of the call in ctx. The name is the same for every call.
func Start(ctx context.Context, name string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsValid() {
		return ctx, parent
	}
	return parent.TracerProvider().Tracer(Scope).Start(ctx, name)
}

// StartRedis starts a group of Redis commands.
func StartRedis(ctx context.Context, operation string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsValid() {
		return ctx, parent
	}
	return parent.TracerProvider().Tracer(Scope).Start(ctx, "redis "+operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(DBSystem.String("redis"), DBOperation.String(operation)))
}

// StartLinked starts work that no one waits for: a trace of its own, linked to the call in ctx.
func StartLinked(ctx context.Context, name string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsValid() {
		return ctx, parent
	}
	return parent.TracerProvider().Tracer(Scope).Start(ctx, name, trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(ctx)))
}

// Ended notes how a step or a call ended: one word each, empty: there is none.
func Ended(span trace.Span, outcome, reason string) {
	if !span.IsRecording() {
		return
	}
	if outcome != "" {
		span.SetAttributes(Outcome.String(outcome))
	}
	if reason != "" {
		span.SetAttributes(Reason.String(reason))
	}
}

// Failed notes that a step could not be done. The error itself may quote the other side, and is
// not in the span.
func Failed(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.SetStatus(codes.Error, "")
	}
}

// User notes the keyed hash of the identifier.
func User(span trace.Span, hash string) {
	if hash != "" && span.IsRecording() {
		span.SetAttributes(UserHash.String(hash))
	}
}

// IDs returns the ids of the trace and the span in ctx for the log; empty: there is none.
func IDs(ctx context.Context) (traceID, spanID string) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return "", ""
	}
	return span.TraceID().String(), span.SpanID().String()
}

const traceparent = "traceparent"

// Parent returns the span in ctx as a traceparent (W3C Trace Context), for Link; empty: there is
// none.
func Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	header := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, header)
	return header[traceparent]
}

// Link links the span in ctx to the one that Parent returned.
func Link(ctx context.Context, parent string) {
	span := trace.SpanFromContext(ctx)
	if parent == "" || !span.IsRecording() {
		return
	}
	linked := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparent: parent}))
	if !linked.Equal(span.SpanContext()) { // it is equal if the text is not valid
		span.AddLink(trace.Link{SpanContext: linked})
	}
}
