package otlp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/test/await"
	"ferry/test/faultyhttp"
	"ferry/test/otlptest"
	"ferry/tracing"
	"ferry/tracing/otlp"
)

const (
	path   = "/hooks/password-migration"
	parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// world is Traces with a collector.
type world struct {
	traces  *otlp.Traces
	metrics *prometheus.Registry
	log     *observer.ObservedLogs
	// stop ends Run and waits for it.
	stop func()
}

func start(t *testing.T, collector string, grpc bool) *world {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
	core, log := observer.New(zap.InfoLevel)
	w := &world{metrics: prometheus.NewRegistry(), log: log}
	var err error
	w.traces, err = otlp.New(t.Context(), otlp.Options{GRPC: grpc, Version: "v1", Log: zap.New(core), Metrics: w.metrics})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var run sync.WaitGroup
	run.Go(func() { w.traces.Run(ctx) })
	w.stop = func() { cancel(); run.Wait() }
	t.Cleanup(w.stop)
	return w
}

// handler traces calls of path; only those with the key are trusted.
func (w *world) handler(next http.HandlerFunc) http.Handler {
	return w.traces.Handler(next,
		func(r *http.Request) string {
			if r.URL.Path == path {
				return path
			}
			return ""
		},
		func(r *http.Request) bool { return r.Header.Get("Authorization") == "key" })
}

func call(t *testing.T, handler http.Handler, method, to string, header ...string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, to, strings.NewReader("canary-body"))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	handler.ServeHTTP(httptest.NewRecorder(), req)
}

// TestBothProtocols: what is queued is sent when Run ends.
func TestBothProtocols(t *testing.T) {
	for name, grpc := range map[string]bool{"http": false, "grpc": true} {
		t.Run(name, func(t *testing.T) {
			collector := otlptest.Run(t)
			at := collector.URL()
			if grpc {
				at = collector.GRPC()
			}
			w := start(t, at, grpc)
			call(t, w.handler(func(_ http.ResponseWriter, r *http.Request) {
				_, span := tracing.Start(r.Context(), "step")
				tracing.Ended(span, "match", "because")
				span.End()
			}), http.MethodPost, path)
			w.stop()
			spans := collector.Spans()
			if len(spans) != 2 || spans[0].Name != "step" || spans[0].Attributes["ferry.outcome"] != "match" || spans[1].Name != "POST "+path || spans[0].Parent != spans[1].ID {
				t.Errorf("%+v", spans)
			}
			if n := testutil.CollectAndCount(w.metrics, "ferry_traces_spans_total"); n != 2 {
				t.Errorf("%d samples", n)
			}
		})
	}
}

// TestOnlyTrustedCallersJoin: a caller with the key decides which trace a call belongs to; the
// trace of another one is only linked. Requests without a route are not traced.
func TestOnlyTrustedCallersJoin(t *testing.T) {
	collector := otlptest.Run(t)
	w := start(t, collector.URL(), false)
	handler := w.handler(func(http.ResponseWriter, *http.Request) {})
	call(t, handler, http.MethodPost, path, "Traceparent", parent, "Authorization", "key")
	call(t, handler, http.MethodPost, path, "Traceparent", parent)
	call(t, handler, http.MethodGet, "/canary", "Traceparent", parent, "Authorization", "key")
	w.stop()
	spans := collector.Spans()
	if len(spans) != 2 {
		t.Fatalf("%+v", spans)
	}
	const trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	if joined := spans[0]; joined.Trace != trace || joined.Parent != caller {
		t.Errorf("%+v", joined)
	}
	if alone := spans[1]; alone.Trace == trace || alone.Parent != "" || !slices.Equal(alone.Links, []string{caller}) {
		t.Errorf("%+v", alone)
	}
}

// TestPeers: Kratos gets the trace, Auth0 does not. No request is traced outside of a call.
func TestPeers(t *testing.T) {
	collector := otlptest.Run(t)
	w := start(t, collector.URL(), false)
	got := map[string]string{}
	peer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got[r.URL.Path] = r.Header.Get("Traceparent") }))
	defer peer.Close()
	send := func(ctx context.Context, name string, propagate bool) {
		client := http.Client{Transport: w.traces.Client(name, propagate)(&http.Transport{DisableKeepAlives: true})}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, peer.URL+"/"+name+"?identifier=canary", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	call(t, w.handler(func(_ http.ResponseWriter, r *http.Request) {
		send(r.Context(), otlp.PeerKratos, true)
		send(r.Context(), otlp.PeerAuth0, false)
	}), http.MethodPost, path)
	send(t.Context(), "alone", true)
	w.stop()
	spans := collector.Spans()
	if len(spans) != 3 || spans[0].Name != "GET kratos" || spans[1].Name != "GET auth0" || spans[1].Attributes["peer.service"] != "auth0" || spans[1].Attributes["server.port"] == "" {
		t.Fatalf("%+v", spans)
	}
	if !strings.Contains(got["/kratos"], spans[0].Trace+"-"+spans[0].ID) || got["/auth0"] != "" || got["/alone"] != "" {
		t.Errorf("%v", got)
	}
}

// brokenTransport fails with an error that quotes the request.
type brokenTransport struct{}

func (brokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, errors.New("cannot send " + r.URL.String())
}

// TestNothingElseLeavesTheProcess: neither what a caller sends nor the texts of errors are in a
// span.
func TestNothingElseLeavesTheProcess(t *testing.T) {
	collector := otlptest.Run(t)
	w := start(t, collector.URL(), false)
	handler := w.handler(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		req, err := http.NewRequestWithContext(r.Context(), "CANARY-METHOD", "http://127.0.0.1:1/canary/path?canary=query", strings.NewReader("canary"))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("User-Agent", "canary")
		if resp, err := w.traces.Client(otlp.PeerKratos, true)(brokenTransport{}).RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
		rw.Header().Set("Canary", "canary")
		_, _ = io.WriteString(rw, "canary")
	})
	header := []string{"Authorization", "key", "Traceparent", parent, "User-Agent", "canary", "X-Forwarded-For", "203.0.113.9", "Baggage", "who=canary", "Tracestate", "who=canary"}
	call(t, handler, http.MethodPost, path+"?canary=1", header...)
	call(t, handler, "CANARY", "http://canary.example"+path, header[2:]...)
	w.stop()
	spans := collector.Spans()
	if len(spans) != 4 || !spans[0].Failed {
		t.Fatalf("%+v", spans)
	}
	raw := strings.ToLower(collector.Raw("ferry"))
	for _, word := range []string{"canary", "203.0.113.9", "192.0.2.1"} { // the last is httptest's client
		if at := strings.Index(raw, word); at >= 0 {
			t.Errorf("%q in a span: %q", word, raw[max(0, at-80):min(len(raw), at+40)])
		}
	}
}

// TestCollectorThatHangs: calls do not wait for it, also when the queue is full, and neither does
// the end of ferry.
func TestCollectorThatHangs(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	collector := otlptest.Run(t)
	collector.Hang()
	w := start(t, collector.URL(), false)
	handler := w.handler(func(http.ResponseWriter, *http.Request) {})
	for range 5000 { // the queue has room for 2048
		call(t, handler, http.MethodPost, path)
	}
	w.stop()
	if collector.Waiting() == 0 || len(collector.Spans()) > 0 {
		t.Errorf("%d requests waited, %d spans arrived", collector.Waiting(), len(collector.Spans()))
	}
}

// TestCollectorThatSwitchesProtocols: spans are sent again as soon as the collector answers.
func TestCollectorThatSwitchesProtocols(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "50")
	var answers atomic.Bool
	collector := faultyhttp.Run(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), func(*http.Request) faultyhttp.Fault {
		if answers.Load() {
			return faultyhttp.None
		}
		return faultyhttp.Switch
	})
	w := start(t, collector.URL, false)
	handler := w.handler(func(http.ResponseWriter, *http.Request) {})
	counted := func(result string) bool {
		call(t, handler, http.MethodPost, path)
		text, err := testutil.CollectAndFormat(w.metrics, expfmt.TypeTextPlain, "ferry_traces_spans_total")
		return err == nil && !strings.Contains(string(text), result+"\"} 0")
	}
	if !await.True(func() bool { return counted("failed") }) {
		t.Fatal("no spans failed")
	}
	answers.Store(true)
	if !await.True(func() bool { return counted("sent") }) {
		t.Fatal("no spans were sent afterwards")
	}
}

// TestCollectorThatIsDown: it is logged once and counted.
func TestCollectorThatIsDown(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
	w := start(t, down.URL, false)
	handler := w.handler(func(http.ResponseWriter, *http.Request) {})
	for range 2 {
		call(t, handler, http.MethodPost, path)
	}
	w.stop()
	want := "# HELP ferry_traces_spans_total Spans given to the OpenTelemetry collector, by result: sent or failed.\n# TYPE ferry_traces_spans_total counter\n" +
		"ferry_traces_spans_total{result=\"failed\"} 2\nferry_traces_spans_total{result=\"sent\"} 0\n"
	if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(want), "ferry_traces_spans_total"); err != nil {
		t.Error(err)
	}
	if n := w.log.FilterMessage("the collector does not take spans; logins go on").Len(); n != 1 {
		t.Errorf("logged %d times: %v", n, w.log.All())
	}
}

// TestValuesOfSettingsAreNotLogged: a broken variable is reported without its value.
func TestValuesOfSettingsAreNotLogged(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization%3DBearer canary")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "canary")
	w := start(t, "http://127.0.0.1:1", false)
	if w.log.Len() == 0 {
		t.Error("nothing is logged")
	}
	for _, line := range w.log.All() {
		if strings.Contains(line.Message, "canary") || len(line.Context) > 0 {
			t.Errorf("%+v", line)
		}
	}
}

// TestOff: nil traces nothing.
func TestOff(t *testing.T) {
	var off *otlp.Traces
	next := http.NotFoundHandler()
	if off.Client(otlp.PeerKratos, true) != nil || off.Handler(next, nil, nil) == nil {
		t.Error("something is traced")
	}
}
