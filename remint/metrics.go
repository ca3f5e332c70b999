package remint

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// otherClients is the client in the metrics for all that are not re-minted.
const otherClients = "other"

type metrics struct {
	clients []string
	total   *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer, clients []string) (metrics, error) {
	m := metrics{clients: clients, total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ferry_remints_total",
		Help: "Requests with a refresh token of Auth0, by client of FERRY_REMINT_CLIENTS, or other, and result: reminted, repeated, rejected, refused, invalid_client, not_enabled, closed, paused, misconfigured, unavailable.",
	}, []string{"client_id", "result"})}
	if err := to.Register(m.total); err != nil {
		return metrics{}, fmt.Errorf("remint: register metrics: %w", err)
	}
	for _, client := range append(slices.Clone(clients), otherClients) {
		for _, is := range results() {
			m.total.WithLabelValues(client, string(is))
		}
	}
	return m, nil
}

// count counts a request. Whoever calls may name any client, so the names are bounded.
func (m metrics) count(clientID string, is result) {
	if !slices.Contains(m.clients, clientID) {
		clientID = otherClients
	}
	m.total.WithLabelValues(clientID, string(is)).Inc()
}
