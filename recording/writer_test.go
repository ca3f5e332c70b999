package recording_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/recording"
	"ferry/secret"
)

const (
	canary   = "canary-Passw0rd ö"
	personal = "canary@example.org"
)

func options(tb testing.TB, dir string, change ...func(*recording.Options)) recording.Options {
	tb.Helper()
	opts := recording.Options{
		Dir: dir, Hash: func(string) string { return "0123456789abcdef" }, MaxBytes: 1 << 20, Keep: 7 * 24 * time.Hour,
		Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now,
	}
	for _, c := range change {
		c(&opts)
	}
	return opts
}

// running is a Writer that writes until stop is called.
type running struct {
	*recording.Writer
	stop func()
}

func begin(tb testing.TB, opts recording.Options) running {
	tb.Helper()
	w, err := recording.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	var run sync.WaitGroup
	run.Go(func() { w.Run(ctx) })
	stop := sync.OnceFunc(func() {
		cancel()
		run.Wait()
	})
	tb.Cleanup(stop)
	return running{w, stop}
}

// record records the calls and returns their lines.
func record(t *testing.T, opts recording.Options, calls ...recording.Event) []recording.Record {
	t.Helper()
	w := begin(t, opts)
	for _, call := range calls {
		w.Record(call)
	}
	w.stop()
	lines := linesIn(t, opts.Dir)
	if len(lines) != len(calls) {
		t.Fatalf("%d lines of %d calls", len(lines), len(calls))
	}
	return lines
}

func recordings(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "ferry-*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// linesIn returns all lines in a directory and checks that each is whole.
func linesIn(t *testing.T, dir string) (lines []recording.Record) {
	t.Helper()
	for _, name := range recordings(t, dir) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 0 && text[len(text)-1] != '\n' {
			t.Errorf("%s ends in an incomplete line", name)
		}
		scanner := bufio.NewScanner(bytes.NewReader(text))
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			var line recording.Record
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Fatalf("%s: %v", scanner.Text(), err)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func failed() recording.Event {
	return recording.Event{
		Time: time.Date(2026, 11, 22, 1, 2, 3, 4, time.FixedZone("", 3600)), Route: "password-migration", Shape: "fixed",
		Header: http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "Content-Length": {"61"}, "User-Agent": {"Go-http-client/1.1"},
			"Ory-Webhook-Request-Id": {uuid1}, "Ory-Webhook-Trigger-Id": {"canary"}, "Traceparent": {"canary"},
			"Authorization": {"Bearer canary"}, "Cookie": {"canary"},
		},
		Body: json.RawMessage(`{"password":"[password]"}`), Identifier: personal, Password: secret.New(canary),
		Status: 403, Answer: `{"status":"no_match"}`, Outcome: "mismatch", Reason: "wrong_credentials", IdentityID: uuid1,
		IdentifierHash: "0123456789abcdef", UpstreamStatus: 403, UpstreamCode: "invalid_grant",
		Took: 1500 * time.Microsecond, KratosTook: 250 * time.Microsecond, UpstreamTook: time.Millisecond,
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	opts := options(t, t.TempDir())
	record(t, opts, failed())
	text, err := os.ReadFile(recordings(t, opts.Dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"v":1,"time":"2026-11-22T00:02:03.000000004Z","route":"password-migration","shape":"fixed",` +
		`"headers":{"Content-Length":"128","Content-Type":"application/json; charset=utf-8","Ory-Webhook-Request-Id":"` + uuid1 + `","Ory-Webhook-Trigger-Id":"#0123456789abcdef","Traceparent":"#0123456789abcdef","User-Agent":"Go-http-client/1.1"},` +
		`"body":{"password":"[password]"},"status":403,"answer":{"status":"no_match"},"outcome":"mismatch","reason":"wrong_credentials",` +
		`"identity_id":"` + uuid1 + `","identifier_hash":"0123456789abcdef","auth0_status":403,"auth0_error":"invalid_grant","took_ms":{"auth0":1,"kratos":0.25,"total":1.5}}` + "\n"
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

// TestCanary: without the private key a line does not reveal the user; with it, Open
// returns what was typed. A match is never sealed, even if the event holds the
// password.
func TestCanary(t *testing.T) {
	t.Parallel()
	public, private := keys(t)
	opts := options(t, t.TempDir(), func(o *recording.Options) { o.Key = public })
	right, proven := failed(), failed()
	right.Outcome = "match"
	proven.Outcome, proven.Password = "mfa_required", secret.String{}
	lines := record(t, opts, failed(), right, proven)
	text, err := os.ReadFile(recordings(t, opts.Dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(string(text)), "canary") {
		t.Errorf("personal data in %s", text)
	}
	if i, p, err := recording.Open(lines[0].Sealed, private); err != nil || i != personal || p != canary {
		t.Errorf("%q, %q, %v", i, p, err)
	}
	if lines[1].Sealed != "" {
		t.Error("a match is sealed")
	}
	if i, p, err := recording.Open(lines[2].Sealed, private); err != nil || i != personal || p != "" {
		t.Errorf("%q, %q, %v", i, p, err)
	}
}

func TestUnauthenticatedHeaders(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	call := recording.Event{Outcome: "caller", Header: http.Header{
		"Content-Type": {"text/" + long}, "Content-Length": {"-1"}, "User-Agent": {long}, "Traceparent": {long},
		"Ory-Webhook-Request-Id": {"\xff"},
	}}
	lines := record(t, options(t, t.TempDir()), call)
	for name, value := range lines[0].Headers {
		if len(value) > 256 {
			t.Errorf("%s has %d bytes", name, len(value))
		}
	}
	if _, there := lines[0].Headers["Content-Length"]; there || len(lines[0].Headers) != 4 {
		t.Errorf("%v", lines[0].Headers)
	}
}

// TestMediaTypes: parameters that ferry ignores are not recorded, and the recorded
// value means the same as the original.
func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"application/json":                          "application/json",
		"Application/JSON ;canary=1; CHARSET=UTF-8": "application/json; charset=UTF-8",
		`application/json; charset="utf-8"`:         "application/json; charset=utf-8",
		"application/json; charset=canary canary":   "#0123456789abcdef",
		"application/json; canary":                  "#0123456789abcdef",
		"canary@example.org":                        "#0123456789abcdef",
	} {
		call := recording.Event{Outcome: "caller", Header: http.Header{"Content-Type": {value}, "Content-Encoding": {"canary"}}}
		got := record(t, options(t, t.TempDir()), call)[0].Headers
		if got["Content-Type"] != want || got["Content-Encoding"] != "#0123456789abcdef" {
			t.Errorf("%s: %v, want %s", value, got, want)
		}
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	record(t, options(t, dir), failed())
	for path, want := range map[string]os.FileMode{dir: 0o700, recordings(t, dir)[0]: 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []func(*recording.Options){
		func(o *recording.Options) { o.Dir = "" }, func(o *recording.Options) { o.Hash = nil },
		func(o *recording.Options) { o.MaxBytes = 0 }, func(o *recording.Options) { o.Keep = 0 },
		func(o *recording.Options) { o.Log = nil }, func(o *recording.Options) { o.Metrics = nil }, func(o *recording.Options) { o.Now = nil },
	} {
		if _, err := recording.New(options(t, t.TempDir(), c)); err == nil || !strings.Contains(err.Error(), "required") {
			t.Errorf("err = %v", err)
		}
	}
}

// TestConcurrent: each of many concurrent calls is one whole line, or is counted as
// dropped.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	opts := options(t, t.TempDir(), func(o *recording.Options) { o.Metrics, o.MaxBytes = registry, 8<<10 })
	w := begin(t, opts)
	const callers, each = 8, 400
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				w.Record(failed())
			}
		})
	}
	all.Wait()
	w.stop()
	// The oldest files were removed; the metrics count all lines.
	linesIn(t, opts.Dir)
	written, dropped := metric(t, registry, "ferry_recording_lines_total"), metric(t, registry, "ferry_recording_dropped_total")
	if written+dropped != callers*each || written == 0 {
		t.Errorf("%v written, %v dropped", written, dropped)
	}
}

// metric returns the sum over a metric family.
func metric(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// TestNeverBlocks: while Run is not running, the queue fills; calls beyond it are
// dropped and counted.
func TestNeverBlocks(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	opts := options(t, t.TempDir(), func(o *recording.Options) { o.Metrics = registry })
	w, err := recording.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	for range 1100 {
		w.Record(failed())
	}
	if got := metric(t, registry, "ferry_recording_dropped_total"); got != 1100-1024 {
		t.Errorf("%v were dropped", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Run(ctx)
	if got := len(linesIn(t, opts.Dir)); got != 1024 {
		t.Errorf("%d lines were written at the end", got)
	}
}
