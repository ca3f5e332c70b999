// Package otlp sends the spans of package tracing to a collector by the OpenTelemetry protocol,
// over HTTP or gRPC.
//
// It starts a span for each request that arrives, in the trace of the caller's traceparent, and
// for each request to Kratos or Auth0. A span waits in a bounded queue and is sent in the
// background: a collector that is slow or down costs spans, and delays no call.
//
// Only attributes on a list leave the process. Headers, paths, addresses, sizes and the texts of
// errors do not.
//
// The OpenTelemetry libraries read the variables that say where the collector is and how spans
// are sampled and sent (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_SERVICE_NAME,
// OTEL_RESOURCE_ATTRIBUTES).
package otlp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.uber.org/zap"
)

// flushTime is how long Run waits for the collector at the end. It is less than what the server
// waits for its background work.
const flushTime = 1500 * time.Millisecond

// Options configure Traces. All are required except GRPC.
type Options struct {
	// GRPC sends over gRPC instead of HTTP.
	GRPC bool
	// Version is ferry's version.
	Version string
	Log     *zap.Logger
	Metrics prometheus.Registerer
}

// Traces sends spans. It is safe for concurrent use. A nil *Traces traces nothing.
type Traces struct {
	provider *trace.TracerProvider
}

// New returns Traces. It succeeds while the collector is down. ctx bounds the start.
//
// The error handler and the logger of the OpenTelemetry libraries, which are those of the whole
// process, write to Log from then on.
func New(ctx context.Context, opts Options) (*Traces, error) {
	if opts.Version == "" || opts.Log == nil || opts.Metrics == nil {
		return nil, errors.New("otlp: version, log and metrics are required")
	}
	log := opts.Log.Named("traces")
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("opentelemetry", zap.Error(err)) }))
	// Its messages quote the values of variables, which may be secrets.
	otel.SetLogger(funcr.New(func(string, string) {
		log.Warn("opentelemetry cannot use something, probably the value of an OTEL_ variable")
	}, funcr.Options{}))
	counted, err := newCounters(opts.Metrics)
	if err != nil {
		return nil, err
	}
	sender, err := newSender(ctx, opts.GRPC)
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("ferry"), semconv.ServiceVersion(opts.Version)),
		resource.WithFromEnv(),
	)
	if err != nil {
		log.Warn("OTEL_RESOURCE_ATTRIBUTES cannot be read completely")
	}
	return &Traces{provider: trace.NewTracerProvider(
		trace.WithBatcher(&exporter{next: sender, log: log, counters: counted, sending: make(chan struct{}, maxHanging)}),
		trace.WithResource(about),
	)}, nil
}

func newSender(ctx context.Context, grpc bool) (trace.SpanExporter, error) {
	if grpc {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

// Run waits until ctx ends, then sends what is queued, for flushTime at most.
func (t *Traces) Run(ctx context.Context) {
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(fmt.Errorf("the last spans were not sent: %w", err))
	}
}
