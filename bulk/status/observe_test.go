package status_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ferry/bulk/status"
	"ferry/test/bulktest"
)

// metricsOf returns the URL of an admin listener with these metrics.
func metricsOf(t *testing.T, code int, text string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics/prometheus" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	at, err := status.MetricsURL(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

const (
	modeMetric = "# TYPE ferry_mode gauge\nferry_mode{mode=\"observe\"} 1\nferry_mode{mode=\"off\"} 0\nferry_mode{mode=\"on\"} 0\n"
	first      = modeMetric + `# TYPE ferry_observe_logins_total counter
ferry_observe_logins_total{outcome="observed",reason=""} 70
ferry_observe_logins_total{outcome="mismatch",reason="wrong_credentials"} 10
ferry_observe_logins_total{outcome="mfa_required",reason="mfa"} 5
ferry_observe_logins_total{outcome="oversize",reason="password_length"} 3
ferry_observe_logins_total{outcome="oversize",reason="request_size"} 1
ferry_observe_logins_total{outcome="unbound",reason=""} 1
# TYPE ferry_hook_reasons_total counter
ferry_hook_reasons_total{outcome="oversize",reason="password_length"} 4
ferry_hook_reasons_total{outcome="oversize",reason="request_size"} 1
# TYPE ferry_observe_seconds histogram
ferry_observe_seconds_bucket{le="0.1"} 0
ferry_observe_seconds_bucket{le="0.2"} 90
ferry_observe_seconds_bucket{le="+Inf"} 90
ferry_observe_seconds_sum 13
ferry_observe_seconds_count 90
# TYPE ferry_auth0_rate_limit gauge
ferry_auth0_rate_limit{header="x-ratelimit"} 100
# TYPE ferry_auth0_rate_limit_remaining gauge
ferry_auth0_rate_limit_remaining{header="x-ratelimit"} 80
# TYPE ferry_remint_uses gauge
ferry_remint_uses{client_id="spa"} 7
ferry_remint_uses{client_id="web"} 1
# TYPE ferry_remint_last_use_timestamp_seconds gauge
ferry_remint_last_use_timestamp_seconds{client_id="spa"} 1.7644e+09
ferry_remint_last_use_timestamp_seconds{client_id="web"} 1.7643e+09
`
	second = modeMetric + `# TYPE ferry_hook_reasons_total counter
ferry_hook_reasons_total{outcome="oversize",reason="password_length"} 2
# TYPE ferry_observe_logins_total counter
ferry_observe_logins_total{outcome="observed",reason=""} 10
# TYPE ferry_observe_seconds histogram
ferry_observe_seconds_bucket{le="0.1"} 10
ferry_observe_seconds_bucket{le="0.2"} 10
ferry_observe_seconds_bucket{le="+Inf"} 10
ferry_observe_seconds_sum 1
ferry_observe_seconds_count 10
# TYPE ferry_auth0_rate_limit_remaining gauge
ferry_auth0_rate_limit_remaining{header="x-ratelimit"} 60
ferry_auth0_rate_limit_remaining{header="auth0-ratelimit"} 7
# TYPE ferry_remint_uses gauge
ferry_remint_uses{client_id="spa"} 9
# TYPE ferry_remint_last_use_timestamp_seconds gauge
ferry_remint_last_use_timestamp_seconds{client_id="spa"} 1.7641e+09
`
)

// readMetrics reads the status with the metrics at these URLs.
func readMetrics(t *testing.T, urls ...string) (status.Status, error) {
	t.Helper()
	opts := statusOptions(bulktest.NewKratos(t), nil)
	opts.Metrics, opts.Client = urls, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return status.Read(t.Context(), opts)
}

// TestObserved: the status has what the ferries decided in mode observe, together.
func TestObserved(t *testing.T) {
	s, err := readMetrics(t, metricsOf(t, 200, first), metricsOf(t, 200, second))
	if err != nil {
		t.Fatal(err)
	}
	o := s.Observed
	if o == nil || o.Logins != 100 || *o.MatchRate != 0.8 || o.SecondFactors != 5 || o.TooLong != 3 || o.LongPasswords != 6 || o.Unbound != 1 || o.Outcomes["oversize"] != 4 || o.Modes["observe"] != 2 {
		t.Fatalf("%+v", o)
	}
	// 10 up to 0.1 s, and 90 evenly up to 0.2 s.
	if p50, p99 := *o.P50, *o.P99; p50 < 0.144 || p50 > 0.145 || p99 < 0.198 || p99 > 0.199 {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	var text strings.Builder
	if err := s.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ferry: 2 in mode observe\n",
		"      100 logins were decided in mode observe since ferry started: 80.0% would have matched\n",
		"       80 observed\n       10 mismatch\n        5 mfa_required\n        4 oversize\n        1 unbound\n",
		"5 need a second factor, 3 have a password that is too long, 1 are of unbound identities",
		"about 0.14 s (p50) and 0.2 s (p99)",
		"Auth0's rate limit: 7 requests remained at its last answer (auth0-ratelimit)\n",
		"Auth0's rate limit: 60 requests remained at its last answer (x-ratelimit)\n",
		"application spa got tokens of Hydra for a refresh token of Auth0 9 times, last on 2025-11-29T07:06:40Z\n" +
			"application web got tokens of Hydra for a refresh token of Auth0 1 times, last on 2025-11-28T03:20:00Z\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in:\n%s", want, text.String())
		}
	}
}

// TestObservedNothing: what is not known is left out.
func TestObservedNothing(t *testing.T) {
	s, err := readMetrics(t, metricsOf(t, 200, modeMetric))
	if err != nil {
		t.Fatal(err)
	}
	if o := s.Observed; o.MatchRate != nil || o.P50 != nil || o.P99 != nil || len(o.RateLimits) > 0 {
		t.Errorf("%+v", o)
	}
	slow := strings.Replace(first, `le="0.2"} 90`, `le="0.2"} 60`, 1)
	if s, err = readMetrics(t, metricsOf(t, 200, slow)); err != nil || s.Observed.P99 != nil || s.Observed.P50 == nil {
		t.Errorf("slow logins: %+v, %v", s.Observed, err)
	}
	if s, err = readMetrics(t); err != nil || s.Observed != nil {
		t.Errorf("without metrics: %+v, %v", s.Observed, err)
	}
}

// TestMetricsThatAreNone: what is not the admin listener of a ferry is an error.
func TestMetricsThatAreNone(t *testing.T) {
	for name, at := range map[string]string{
		"another program": metricsOf(t, 200, "# TYPE go_goroutines gauge\ngo_goroutines 1\n"),
		"no metrics":      metricsOf(t, 200, "<html>"),
		"an error":        metricsOf(t, 503, first),
		"too much":        metricsOf(t, 200, first+"#"+strings.Repeat("x", 16<<20-len(first)-2)+"\nferry_more 1\n"), // whole lines in the part
		"nothing there":   "http://127.0.0.1:1/metrics/prometheus",
	} {
		if _, err := readMetrics(t, metricsOf(t, 200, first), at); err == nil || !strings.Contains(err.Error(), "read the metrics of "+at) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, base := range []string{"", "127.0.0.1:4481", "ftp://127.0.0.1", "http://"} {
		if at, err := status.MetricsURL(base); err == nil {
			t.Errorf("%q is %s", base, at)
		}
	}
	if at, err := status.MetricsURL("http://ferry:4481/proxied/metrics"); err != nil || at != "http://ferry:4481/proxied/metrics" {
		t.Errorf("%s, %v", at, err)
	}
}
