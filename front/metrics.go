package front

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what became of requests. No label is text of a client.
type metrics struct{ requests *prometheus.CounterVec }

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ferry_token_front_requests_total", Help: "Requests to the token front, by route and result: hydra (Hydra's answer), another part that answered, or why there was no answer.",
	}, []string{"route", "result"})}
	if err := to.Register(m.requests); err != nil {
		return nil, fmt.Errorf("front: register metrics: %w", err)
	}
	for _, at := range routes() {
		m.requests.WithLabelValues(at.String(), string(resultHydra))
		m.requests.WithLabelValues(at.String(), string(resultHydraUnreachable))
	}
	m.requests.WithLabelValues(routeToken.String(), string(resultNotEnabled))
	return m, nil
}

// result is what became of a request, as one word.
type result string

const (
	resultHydra            result = "hydra"             // Hydra answered
	resultPreflight        result = "preflight"         // the front answered
	resultInvalidRequest   result = "invalid_request"   // it is none that can be passed on
	resultRemint           result = "remint"            // package remint answered
	resultAuth0            result = "auth0"             // Auth0 answered
	resultKeys             result = "keys"              // the front answered with the keys
	resultReturned         result = "returned"          // a browser goes back to the application
	resultLimited          result = "limited"           // too many requests of one network
	resultBusy             result = "busy"              // too many requests wait for Auth0
	resultAuth0Unreachable result = "auth0_unreachable" // it did not answer, or not in time
	resultAuth0Self        result = "auth0_is_self"     // Auth0's address is the front's own
	resultNotEnabled       result = "not_enabled"       // a refresh token of Auth0 that is not re-minted
	resultClosed           result = "closed"            // a token of Auth0 after the end of the migration
	resultUnsure           result = "client_unknown"    // the client could not be read
	resultHydraUnreachable result = "hydra_unreachable" // it did not answer, or not in time
	resultClientGone       result = "client_gone"       // the client went away first
)

func (m *metrics) answered(at route, is result) {
	m.requests.WithLabelValues(at.String(), string(is)).Inc()
}
