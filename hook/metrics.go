package hook

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ferry/attempt"
	"ferry/outcome"
	"ferry/upstream"
	"ferry/wire"
)

// metrics count answers. No label contains user data.
type metrics struct {
	outcomes *prometheus.CounterVec
	reasons  *prometheus.CounterVec
	callers  *prometheus.CounterVec
	took     *prometheus.HistogramVec
	after    *prometheus.CounterVec
	ensured  *prometheus.CounterVec
	signUps  *prometheus.CounterVec
	state    *prometheus.CounterVec
	migrated prometheus.Counter
	changed  prometheus.Counter
	unnoted  prometheus.Counter
	kratos   prometheus.Histogram
	upstream prometheus.Histogram
	kept     prometheus.Counter
	written  prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}
	m := &metrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_hook_outcomes_total", Help: "Hook calls by route and outcome.",
		}, []string{"route", "outcome"}),
		reasons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_hook_reasons_total", Help: "Hook calls by outcome and the reason in the log.",
		}, []string{"outcome", "reason"}),
		callers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_hook_caller_faults_total", Help: "Hook calls refused for the caller's fault, by route and HTTP status.",
		}, []string{"route", "status"}),
		after: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_after_login_total", Help: "After-login hook calls and later tries, by result.",
		}, []string{"result"}),
		ensured: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_ensure_total", Help: "Calls of /hooks/ensure, by result.",
		}, []string{"result"}),
		signUps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_sign_ups_total", Help: "Sign-ups at Kratos that the after-registration hook was asked about, by result.",
		}, []string{"result"}),
		state: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_state_faults_total", Help: "Failed operations on the state between the hooks, by operation.",
		}, []string{"operation"}),
		migrated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ferry_migrated_total", Help: "Identities that Kratos shows as migrated after a match.",
		}),
		changed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ferry_password_changed_meanwhile_total", Help: "Passwords that changed while a profile was written.",
		}),
		unnoted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ferry_write_back_failures_total", Help: "Migrations that could not be noted at Auth0.",
		}),
		kept: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ferry_profiles_kept_total", Help: "Profiles that the migration hook kept for the after-login hook.",
		}),
		written: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ferry_profile_write_seconds", Help: "How long one try to write a profile into an identity took.", Buckets: buckets,
		}),
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
	for _, c := range []prometheus.Collector{m.outcomes, m.reasons, m.callers, m.after, m.ensured, m.signUps, m.state, m.migrated, m.changed, m.unnoted, m.took, m.kratos, m.upstream, m.kept, m.written} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("hook: register metrics: %w", err)
		}
	}
	m.begin()
	return m, nil
}

// begin makes the series that alerts are about: without a first value of 0, Prometheus does not
// see the first event.
func (m *metrics) begin() {
	for _, o := range outcome.All() {
		m.outcomes.WithLabelValues(wire.RouteMigration, o.String())
	}
	m.reasons.WithLabelValues(outcome.InvalidResponse.String(), upstream.ReasonIDTokenUntrusted)
	m.reasons.WithLabelValues(outcome.InvalidResponse.String(), upstream.ReasonPanic)
	for _, result := range slices.Concat(AfterLoginOutcomes(), []string{resultWrittenLater, resultLost}) {
		m.after.WithLabelValues(result)
	}
	for _, operation := range slices.Concat([]string{operationKeep, operationTake, operationDone}, attempt.Operations()) {
		m.state.WithLabelValues(operation)
	}
}

// queues shows what waits in a profileSyncer.
func (m *metrics) queues(registerer prometheus.Registerer, s *profileSyncer) error {
	for _, c := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ferry_profiles_queued", Help: "Profiles that wait to be written after a first try failed.",
		}, func() float64 { return float64(len(s.queue)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ferry_write_backs_in_flight", Help: "Migrations that are being noted at Auth0 (FERRY_WRITE_BACK).",
		}, func() float64 { return float64(len(s.writeBacks)) }),
	} {
		if err := registerer.Register(c); err != nil {
			return fmt.Errorf("hook: register metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) answered(o outcome.Outcome, e *call) {
	m.outcomes.WithLabelValues(e.Route, o.String()).Inc()
	if e.Reason != "" {
		m.reasons.WithLabelValues(o.String(), e.Reason).Inc()
	}
	m.took.WithLabelValues(e.Route).Observe(e.Took.Seconds())
	if e.KratosTook > 0 {
		m.kratos.Observe(e.KratosTook.Seconds())
	}
	if e.UpstreamTook > 0 {
		m.upstream.Observe(e.UpstreamTook.Seconds())
	}
}

// afterLogin counts the result of an after-login call, or of a later try (took 0).
func (m *metrics) afterLogin(result string, took time.Duration) {
	m.after.WithLabelValues(result).Inc()
	if took > 0 {
		m.took.WithLabelValues(wire.RouteAfterLogin).Observe(took.Seconds())
	}
}

func (m *metrics) afterRegistration(result string, took time.Duration) {
	m.signUps.WithLabelValues(result).Inc()
	m.took.WithLabelValues(wire.RouteAfterRegistration).Observe(took.Seconds())
}

// The operations of the state of which package hook counts the failures.
const (
	operationKeep = "keep"
	operationTake = "take"
	operationDone = "done"
)

func (m *metrics) stateFault(operation string) { m.state.WithLabelValues(operation).Inc() }

func (m *metrics) migration() { m.migrated.Inc() }

func (m *metrics) passwordChanged() { m.changed.Inc() }

func (m *metrics) writeBackFailed() { m.unnoted.Inc() }

func (m *metrics) caller(route string, status int) {
	m.callers.WithLabelValues(route, strconv.Itoa(status)).Inc()
}
