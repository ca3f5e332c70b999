package hook

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ferry/outcome"
)

// metrics count answers. No label names a person.
type metrics struct {
	outcomes *prometheus.CounterVec
	reasons  *prometheus.CounterVec
	callers  *prometheus.CounterVec
	took     *prometheus.HistogramVec
	kratos   prometheus.Histogram
	upstream prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}
	m := &metrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_hook_outcomes_total", Help: "Hook calls by route and outcome.",
		}, []string{"route", "outcome"}),
		reasons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_hook_reasons_total", Help: "Hook calls by outcome and the reason in the log; id_token_untrusted is one to be woken for.",
		}, []string{"outcome", "reason"}),
		callers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_hook_caller_faults_total", Help: "Hook calls refused for the caller's fault, by route and HTTP status.",
		}, []string{"route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ferry_hook_seconds", Help: "How long hook calls took, by route.", Buckets: buckets,
		}, []string{"route"}),
		kratos: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ferry_kratos_lookup_seconds", Help: "How long it took to find identities in Kratos.", Buckets: buckets,
		}),
		upstream: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ferry_auth0_seconds", Help: "How long Auth0 took to answer, all requests of one login together.", Buckets: buckets,
		}),
	}
	for _, c := range []prometheus.Collector{m.outcomes, m.reasons, m.callers, m.took, m.kratos, m.upstream} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("hook: register metrics: %w", err)
		}
	}
	for _, o := range outcome.All() {
		m.outcomes.WithLabelValues("password-migration", o.String())
	}
	return m, nil
}

func (m *metrics) answered(route string, o outcome.Outcome, took time.Duration, e *entry) {
	m.outcomes.WithLabelValues(route, o.String()).Inc()
	if e.reason != "" {
		m.reasons.WithLabelValues(o.String(), e.reason).Inc()
	}
	m.took.WithLabelValues(route).Observe(took.Seconds())
	if e.kratos > 0 {
		m.kratos.Observe(e.kratos.Seconds())
	}
	if e.upstream > 0 {
		m.upstream.Observe(e.upstream.Seconds())
	}
}

func (m *metrics) caller(route string, status int) {
	m.callers.WithLabelValues(route, http.StatusText(status)).Inc()
}
