package otlp

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	apitrace "go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"ferry/tracing"
)

// counters count spans.
type counters struct {
	sent, failed prometheus.Counter
}

func newCounters(registerer prometheus.Registerer) (counters, error) {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ferry_traces_spans_total", Help: "Spans given to the OpenTelemetry collector, by result: sent or failed.",
	}, []string{"result"})
	if err := registerer.Register(spans); err != nil {
		return counters{}, fmt.Errorf("otlp: register metrics: %w", err)
	}
	return counters{spans.WithLabelValues("sent"), spans.WithLabelValues("failed")}, nil
}

// maxHanging is how many exports may go on after their time has ended. Spans are dropped while
// there are so many.
const maxHanging = 4

var errHanging = errors.New("earlier exports have not ended")

// exporter sends spans without all that may be user data. It logs each change between success
// and failure once. It is not called concurrently.
type exporter struct {
	next     trace.SpanExporter
	log      *zap.Logger
	counters counters
	sending  chan struct{} // has room for maxHanging
	failing  bool
}

// ExportSpans implements trace.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	kept := make([]trace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		kept[i] = scrubbed{span}
	}
	err := e.send(ctx, kept)
	switch {
	case err != nil:
		e.counters.failed.Add(float64(len(spans)))
		if !e.failing {
			e.log.Warn("the collector does not take spans; logins go on", zap.Error(err))
		}
	default:
		e.counters.sent.Add(float64(len(spans)))
		if e.failing {
			e.log.Info("the collector takes spans again")
		}
	}
	e.failing = err != nil
	return nil
}

// send sends spans until ctx ends. The HTTP exporter of OpenTelemetry itself does not end with it
// if the collector answers 101 Switching Protocols: it reads a body without an end.
func (e *exporter) send(ctx context.Context, spans []trace.ReadOnlySpan) error {
	select {
	case e.sending <- struct{}{}:
	default:
		return errHanging
	}
	sent := make(chan error, 1)
	go func() {
		defer func() { <-e.sending }()
		sent <- e.next.ExportSpans(ctx, spans)
	}()
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown implements trace.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error { return e.next.Shutdown(ctx) }

// scrubbed is a span without events, and without the attributes and texts that may be user data.
type scrubbed struct{ trace.ReadOnlySpan }

// Attributes implements trace.ReadOnlySpan.
func (s scrubbed) Attributes() []attribute.KeyValue {
	var kept []attribute.KeyValue
	for _, a := range s.ReadOnlySpan.Attributes() {
		if isSafe(a.Key, s.SpanKind()) {
			kept = append(kept, a)
		}
	}
	return kept
}

// Events implements trace.ReadOnlySpan. ferry makes none; otelhttp records errors, whose text may
// quote the other side.
func (scrubbed) Events() []trace.Event { return nil }

// DroppedEvents implements trace.ReadOnlySpan.
func (scrubbed) DroppedEvents() int { return 0 }

// Links implements trace.ReadOnlySpan.
func (s scrubbed) Links() []trace.Link {
	links := s.ReadOnlySpan.Links()
	kept := make([]trace.Link, len(links))
	for i, link := range links {
		kept[i] = trace.Link{SpanContext: withoutState(link.SpanContext)}
	}
	return kept
}

// SpanContext implements trace.ReadOnlySpan.
func (s scrubbed) SpanContext() apitrace.SpanContext {
	return withoutState(s.ReadOnlySpan.SpanContext())
}

// Parent implements trace.ReadOnlySpan.
func (s scrubbed) Parent() apitrace.SpanContext { return withoutState(s.ReadOnlySpan.Parent()) }

// withoutState drops the trace state: a caller may put any text into it.
func withoutState(c apitrace.SpanContext) apitrace.SpanContext {
	return c.WithTraceState(apitrace.TraceState{})
}

// Status implements trace.ReadOnlySpan. The description is the text of an error.
func (s scrubbed) Status() trace.Status { return trace.Status{Code: s.ReadOnlySpan.Status().Code} }

// isSafe reports whether an attribute contains no user data.
func isSafe(key attribute.Key, kind apitrace.SpanKind) bool {
	switch key {
	case tracing.Outcome, tracing.Reason, tracing.Asked, tracing.UserHash, tracing.HTTPRoute, tracing.PeerService,
		tracing.DBSystem, tracing.DBOperation,
		"http.request.method", "http.response.status_code", "network.protocol.version", "url.scheme", "error.type":
		return true
	case "server.address", "server.port":
		// Of a request that arrived it is the Host header, which anyone may choose.
		return kind == apitrace.SpanKindClient
	}
	return false
}
