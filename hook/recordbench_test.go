package hook_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/crypto/nacl/box"

	"ferry/hook"
	"ferry/recording"
	"ferry/secret"
	"ferry/wire"
)

// startRecorder returns a Writer that writes to dir until the test ends. stop ends it
// after everything is written.
func startRecorder(tb testing.TB, dir string, key *[32]byte) (writer *recording.Writer, stop func()) {
	tb.Helper()
	writer, err := recording.New(recording.Options{
		Dir: dir, Key: key, Hash: func(text string) string { return hook.Hash(secret.New("log-hash-key"), text) },
		MaxBytes: 64 << 20, Keep: 7 * 24 * time.Hour, Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	stopped, end := context.WithCancel(context.WithoutCancel(tb.Context()))
	var run sync.WaitGroup
	run.Go(func() { writer.Run(stopped) })
	stop = sync.OnceFunc(func() { end(); run.Wait() })
	tb.Cleanup(stop)
	return writer, stop
}

// BenchmarkRecording measures what recording costs ferry: 10,000 pairs of logins, one
// without and one with recording. Everything runs in this process, with an Auth0 that
// answers at once, so work after the answer, mostly sealing, shows if there are too
// few cores. It reports both medians and their difference. BenchmarkRecording of
// test/e2e measures the cost for a user, with a real Kratos.
func BenchmarkRecording(b *testing.B) {
	public, _, err := box.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	right, _ := benchAuth0(b, 0)
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"Wrong email or password."}`)
	}))
	b.Cleanup(wrong.Close)
	for name, c := range map[string]struct{ auth0, want string }{"match": {right.URL, matched}, "mismatch, sealed": {wrong.URL, noMatch}} {
		b.Run(name, func(b *testing.B) {
			recorder, _ := startRecorder(b, b.TempDir(), public)
			plain := newCaller(b, ferryHandler(b, c.auth0))
			recorded := newCaller(b, ferryHandler(b, c.auth0, func(o *hook.Options) { o.Recorder = recorder }))
			const calls = 10_000
			var without, with []time.Duration
			for b.Loop() {
				for i := range calls {
					if i%2 == 0 {
						without, with = append(without, plain.login(b, c.want)), append(with, recorded.login(b, c.want))
					} else {
						with, without = append(with, recorded.login(b, c.want)), append(without, plain.login(b, c.want))
					}
				}
			}
			p50, recordedP50 := median(without), median(with)
			b.ReportMetric(float64(p50.Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(recordedP50.Nanoseconds()), "recorded-p50-ns")
			b.ReportMetric(100*(float64(recordedP50)/float64(p50)-1), "%more")
		})
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// caller posts logins over one connection.
type caller struct {
	url    string
	client *http.Client
	body   string
}

func newCaller(b *testing.B, handler http.Handler) *caller {
	b.Helper()
	srv := httptest.NewServer(handler)
	b.Cleanup(srv.Close)
	transport := &http.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	body, err := json.Marshal(map[string]any{
		"identifier": typed, "password": canary, "identity": map[string]any{"id": aliceID, "external_id": nil, "state": "active"},
		"flow": map[string]any{"id": aliceID}, "client": map[string]any{"ip": "192.0.2.1", "user_agent": "Mozilla/5.0"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return &caller{srv.URL, &http.Client{Transport: transport}, string(body)}
}

// login returns how long the answer took.
func (c *caller) login(b *testing.B, want string) time.Duration {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, c.url+wire.MigrationPath, strings.NewReader(c.body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	began := time.Now()
	resp, err := c.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	_ = resp.Body.Close()
	if err != nil || string(answer) != want {
		b.Fatalf("%s, %v", answer, err)
	}
	return took
}
