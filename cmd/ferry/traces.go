package main

import (
	"context"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/config"
	"ferry/gateway"
	"ferry/secret"
	"ferry/tracing/otlp"
	"ferry/wire"
)

// newTraces returns what sends spans to the OpenTelemetry collector, or nil if the environment
// names none.
func newTraces(cfg *config.Config, log *zap.Logger, metrics prometheus.Registerer) (*otlp.Traces, error) {
	if !cfg.Traces.On {
		return nil, nil
	}
	traces, err := otlp.New(context.Background(), otlp.Options{GRPC: cfg.Traces.GRPC, Version: buildVersion(), Log: log, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	log.Info("sending traces", zap.Bool("grpc", cfg.Traces.GRPC))
	return traces, nil
}

// tracedHooks traces the calls of the hooks. Callers with the key decide which trace they belong
// to.
func tracedHooks(traces *otlp.Traces, next http.Handler, keys []secret.String) http.Handler {
	hooks := []string{wire.MigrationPath, wire.AfterLoginPath, wire.AfterRegistrationPath, wire.EnsurePath}
	route := func(r *http.Request) string {
		if slices.Contains(hooks, r.URL.Path) {
			return r.URL.Path
		}
		return ""
	}
	return traces.Handler(next, route, func(r *http.Request) bool { return secret.Presented(r, keys...) })
}

// tracedGateway traces the forms that the gateway acts upon. Without a proxy in front, a request
// and its traceparent come from a browser.
func tracedGateway(traces *otlp.Traces, next http.Handler, trusted bool) http.Handler {
	return traces.Handler(next, gateway.RouteOf, func(*http.Request) bool { return trusted })
}
