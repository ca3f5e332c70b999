package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"ferry/gateway"
	"ferry/outcome"
)

// TestTraces: the steps of a form are spans, and the span of the request says how it ended.
func TestTraces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set    func(*world)
		body   string
		spans  []string
		result string
		failed bool
	}{
		"created":    {nil, passwordOf("kim@example.org", "right"), []string{"read request", "look up identity", "create identity", "keep login"}, "created", false},
		"known":      {func(w *world) { w.known["kim@example.org"] = true }, passwordOf("kim@example.org", "right"), []string{"read request", "look up identity"}, "known", false},
		"Auth0 down": {func(w *world) { w.outcomes[""] = outcome.Unavailable }, passwordOf("kim@example.org", "right"), []string{"read request", "look up identity"}, "unavailable", true},
		"a code":     {nil, `{"method":"code","identifier":"kim@example.org"}`, []string{"read request", "look up identity", "look up and create identity"}, "created", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, nil)
			if c.set != nil {
				c.set(r.world)
			}
			names, whole := traced(t, r, c.body)
			if !slices.Equal(names, c.spans) {
				t.Errorf("spans %q", names)
			}
			attributes := attributesOf(whole)
			if attributes["ferry.outcome"] != c.result || (whole.Status().Code == codes.Error) != c.failed {
				t.Errorf("%v, %v", attributes, whole.Status())
			}
			lines := r.logs.FilterMessage("gateway").All()
			if c.result == "known" {
				return
			}
			if len(lines) != 1 || lines[0].ContextMap()["trace_id"] != whole.SpanContext().TraceID().String() || attributes["user.hash"] != "hash" {
				t.Errorf("%v, %v", lines, attributes)
			}
		})
	}
}

func attributesOf(span trace.ReadOnlySpan) map[string]string {
	attributes := map[string]string{}
	for _, a := range span.Attributes() {
		attributes[string(a.Key)] = a.Value.AsString()
	}
	return attributes
}

// traced submits a form. It returns the names of the steps, and the span of the request.
func traced(t *testing.T, r *rig, body string) (names []string, whole trace.ReadOnlySpan) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	ctx, span := provider.Tracer("test").Start(t.Context(), "request")
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/self-service/login?flow="+flow, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	if route := gateway.RouteOf(req); route != "/self-service/login" {
		t.Errorf("route %q", route)
	}
	r.gateway.ServeHTTP(httptest.NewRecorder(), req)
	span.End()
	ended := spans.Ended()
	for _, s := range ended[:len(ended)-1] {
		names = append(names, s.Name())
	}
	return names, ended[len(ended)-1]
}
