package upstream

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

// GuardState is the state of a Guard, for operators.
type GuardState struct {
	// Breakers are the states of the circuit breakers, closed, half-open or open, by connection.
	Breakers map[string]string
	// WaitsUntil is when Auth0's rate limit resets; zero if it is not used up.
	WaitsUntil time.Time
}

// State returns the state; that of a nil Guard says nothing.
func (g *Guard) State() GuardState {
	s := GuardState{Breakers: map[string]string{}}
	if g == nil {
		return s
	}
	for connection, state := range g.states() {
		s.Breakers[connection] = state.String()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opts.Now().Before(g.until) {
		s.WaitsUntil = g.until
	}
	return s
}

// states returns the states of the breakers, by connection.
func (g *Guard) states() map[string]gobreaker.State {
	g.mu.Lock()
	breakers := maps.Clone(g.breakers)
	g.mu.Unlock()
	states := map[string]gobreaker.State{}
	for realm, b := range breakers {
		states[connectionName(realm)] = b.gobreaker.State()
	}
	return states
}

// guardCollector collects what a Guard knows.
type guardCollector struct{ *Guard }

func description(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func breakerDesc() *prometheus.Desc {
	return description("ferry_auth0_breaker_state", "State of the circuit breaker towards Auth0, by connection: 0 closed, 1 half-open, 2 open.", "connection")
}

func waitDesc() *prometheus.Desc {
	return description("ferry_auth0_rate_limit_wait_seconds", "How long ferry does not ask Auth0, because its rate limit is used up; 0 if it is not.")
}

func limitDesc() *prometheus.Desc {
	return description("ferry_auth0_rate_limit", "Auth0's rate limit of logins, as the last answer told it, by header.", "header")
}

func remainingDesc() *prometheus.Desc {
	return description("ferry_auth0_rate_limit_remaining", "What remained of Auth0's rate limit, as the last answer told it, by header.", "header")
}

// Describe implements prometheus.Collector.
func (guardCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{breakerDesc(), waitDesc(), limitDesc(), remainingDesc()} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g guardCollector) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metric, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, value, labels...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		to <- metric
	}
	for connection, state := range g.states() {
		gauge(breakerDesc(), float64(state), connection)
	}
	g.mu.Lock()
	told, wait := maps.Clone(g.told), g.until.Sub(g.opts.Now())
	g.mu.Unlock()
	gauge(waitDesc(), max(wait, 0).Seconds())
	for header, said := range told {
		if said.limit != untold {
			gauge(limitDesc(), float64(said.limit), header)
		}
		if said.remaining != untold {
			gauge(remainingDesc(), float64(said.remaining), header)
		}
	}
}
