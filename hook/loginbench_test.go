package hook_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/test/otlptest"
	"ferry/tracing/otlp"
	"ferry/wire"
)

// BenchmarkLogin is one login that matches, from the call of the hook to its answer. Auth0 is a
// server in this process that answers at once; Kratos and the state are in memory.
func BenchmarkLogin(b *testing.B) {
	auth0, _ := benchAuth0(b, 0)
	handler := ferryHandler(b, auth0.URL)
	b.Run("traces off", func(b *testing.B) { benchLogins(b, handler, 0) })
	b.Run("traces on", func(b *testing.B) {
		collector := otlptest.Run(b)
		b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL())
		traces, err := otlp.New(b.Context(), otlp.Options{Version: "bench", Log: zap.NewNop(), Metrics: prometheus.NewRegistry()})
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
		var run sync.WaitGroup
		run.Go(func() { traces.Run(ctx) })
		defer func() { stop(); run.Wait() }()
		benchLogins(b, traces.Handler(handler, func(*http.Request) string { return wire.MigrationPath }, func(*http.Request) bool { return true }), 1_000_000)
	})
}

// benchLogins calls the hook with one delivery after another.
func benchLogins(b *testing.B, handler http.Handler, first int) {
	b.Helper()
	b.ReportAllocs()
	for n := first; b.Loop(); n++ {
		benchLogin(b, handler, n)
	}
}

// benchLogin calls the hook with the nth delivery.
func benchLogin(b *testing.B, handler http.Handler, n int) {
	b.Helper()
	req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, wire.MigrationPath, strings.NewReader(`{"identifier":"`+typed+`","password":"`+canary+`"}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set(wire.HeaderTriggerID, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, req)
	if answer.Body.String() != matched {
		b.Fatalf("%d %s", answer.Code, answer.Body)
	}
}
