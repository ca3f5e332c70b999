package mode

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics show the mode, and count what was observed. No label contains user data.
type metrics struct {
	mode     *prometheus.GaugeVec
	limited  prometheus.Gauge
	changes  *prometheus.CounterVec
	files    *prometheus.GaugeVec
	observed *prometheus.CounterVec
	seconds  prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		mode: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ferry_mode", Help: "1 for the mode that this ferry has, 0 for the others.",
		}, []string{"mode"}),
		limited: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ferry_cohort_limited", Help: "1 while the cohort is not all users (FERRY_COHORT).",
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_mode_changes_total", Help: "Changes of the mode or the cohort since the start, by how they were made: file, sighup or admin.",
		}, []string{"by"}),
		files: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ferry_mode_file_valid", Help: "1 while the file of the mode, or of the cohort, can be used; 0 while ferry would not start with it.",
		}, []string{"file"}),
		observed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_observe_logins_total", Help: "Logins decided in mode observe, by outcome and reason. The outcome observed is a match that was not given.",
		}, []string{"outcome", "reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ferry_observe_seconds", Help: "How long the logins in mode observe took.",
			Buckets: []float64{.005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 1.5, 2, 3, 5, 8, 12, 20},
		}),
	}
	for _, c := range []prometheus.Collector{m.mode, m.limited, m.changes, m.files, m.observed, m.seconds} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("mode: register metrics: %w", err)
		}
	}
	for _, by := range []By{ByFile, BySignal, ByAdmin} {
		m.changes.WithLabelValues(string(by))
	}
	return m, nil
}

// show shows the values.
func (m *metrics) show(v values) {
	for _, mode := range All() {
		is := 0.0
		if mode == v.mode {
			is = 1
		}
		m.mode.WithLabelValues(mode.String()).Set(is)
	}
	limited := 0.0
	if !v.cohort.All() {
		limited = 1
	}
	m.limited.Set(limited)
}
