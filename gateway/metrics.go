package gateway

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what the gateway did. No label contains user data.
type metrics struct {
	acts   *prometheus.CounterVec
	faults *prometheus.CounterVec
	took   *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		acts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_gateway_submits_total", Help: "Forms submitted through the gateway, by route, result and what happened to the request: passed on or refused.",
		}, []string{"route", "result", "request"}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_gateway_faults_total", Help: "Requests through the gateway without an answer of Kratos, by reason.",
		}, []string{"reason"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ferry_gateway_seconds", Help: "How long the gateway took to handle a submitted form before it passed it on, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"route"}),
	}
	for _, c := range []prometheus.Collector{m.acts, m.faults, m.took} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("gateway: register metrics: %w", err)
		}
	}
	for _, reason := range []string{faultUnreachable, faultUnsure, faultClientGone, faultIncomplete} {
		m.faults.WithLabelValues(reason)
	}
	return m, nil
}

func (m *metrics) acted(route string, v verdict) {
	request := "passed"
	if v.is == outage || v.is == tooMany {
		request = "refused"
	}
	m.acts.WithLabelValues(route, v.reason, request).Inc()
}

// The results of a form that are neither an outcome of Auth0's answer nor those of package
// provision.
const (
	resultPasswordLength    = "password_length"
	resultIdentifierLength  = "identifier_length"
	resultKratosUnavailable = "kratos_unavailable"
	resultLimitedAddress    = "limited_address"
	resultNotCreated        = "not_created"
	resultPaused            = "paused"         // ferry is off
	resultOutside           = "outside_cohort" // the user is not in the cohort
	resultPanic             = "panic"
)

// The reasons for which a request got no answer of Kratos.
const (
	faultUnreachable = "kratos_unreachable" // it did not answer, or not in time
	faultUnsure      = "unsure"             // its answer may be wrong: see settle
	faultClientGone  = "client_gone"        // the client went away first
	faultIncomplete  = "incomplete"         // the client did not send the whole request
)

func (m *metrics) failed(reason string) { m.faults.WithLabelValues(reason).Inc() }
