package history_test

import (
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/history"
)

// TestRecorder: the outcomes of the metrics reach their hour once each, the last hour is known
// by the minute, and a count is put in once.
func TestRecorder(t *testing.T) {
	t.Parallel()
	now := start
	clock := func() time.Time { return now }
	h, _ := open(t, history.Options{Now: clock})
	metrics := prometheus.NewRegistry()
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ferry_hook_outcomes_total"}, []string{"route", "outcome"})
	reasons := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ferry_hook_reasons_total"}, []string{"outcome", "reason"})
	metrics.MustRegister(outcomes, reasons)
	var last history.Count
	r, err := history.NewRecorder(history.RecorderOptions{
		History: h, Metrics: metrics, Log: zap.NewNop(), Now: clock,
		Count: func() (history.Count, bool) { return last, !last.At.IsZero() },
	})
	if err != nil {
		t.Fatal(err)
	}
	login := func(route, outcome, reason string) {
		outcomes.WithLabelValues(route, outcome).Inc()
		reasons.WithLabelValues(outcome, reason).Inc()
	}
	recent := func(within time.Duration) history.Window {
		t.Helper()
		w, err := r.Recent(within)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	login("password-migration", "match", "")
	login("gateway", "match", "")
	if w := recent(time.Hour); w.Sum() != 2 || w.Sum("match") != 2 || w.Since != start {
		t.Errorf("%+v", w)
	}
	for range 3 {
		now = now.Add(10 * time.Minute)
		login("password-migration", "unavailable", "timeout")
		last = count(start, 1, 1)
		r.Record(t.Context())
	}
	if got := h.Read(t.Context()); len(got.Hours) != 2 || got.Hours[0].Outcomes["match"] != 2 || got.Hours[0].Outcomes["unavailable"] != 2 || !maps.Equal(got.Hours[1].Outcomes, map[string]int{"unavailable": 1}) || len(got.Counts) != 1 {
		t.Errorf("%+v", got)
	}
	if w := recent(10 * time.Minute); w.Sum() != 1 || w.Reasons[history.Reason{Outcome: "unavailable", Reason: "timeout"}] != 1 || w.Since != start.Add(20*time.Minute) {
		t.Errorf("%+v", w)
	}
	now = now.Add(2 * time.Hour)
	r.Record(t.Context())
	if w := recent(time.Hour); w.Sum() != 0 {
		t.Errorf("%+v", w)
	}
}
