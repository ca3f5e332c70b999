package remint

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/state"
)

const (
	// otherClients is the client in the metrics for all that are not re-minted.
	otherClients = "other"
	// maxClients bounds the clients in the metrics, where AllClients are re-minted.
	maxClients = 500
	// usesWait bounds the reading of the counts.
	usesWait = 2 * time.Second
)

type metrics struct {
	total *prometheus.CounterVec

	mu      sync.Mutex
	clients []string
}

func newMetrics(opts Options) (*metrics, error) {
	m := &metrics{total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ferry_remints_total",
		Help: "Requests with a refresh token of Auth0, by client, or other, and result: reminted, repeated, revoked, rejected, refused, invalid_client, not_enabled, closed, paused, misconfigured, unavailable.",
	}, []string{"client_id", "result"})}
	for _, one := range []prometheus.Collector{m.total, usesCollector{opts.Store, opts.Log}} {
		if err := opts.Metrics.Register(one); err != nil {
			return nil, fmt.Errorf("remint: register metrics: %w", err)
		}
	}
	for _, client := range append(slices.Clone(opts.Clients), otherClients) {
		if client != AllClients {
			m.add(client)
		}
	}
	return m, nil
}

// add makes the series of a client, with the value 0.
func (m *metrics) add(client string) {
	m.clients = append(m.clients, client)
	for _, is := range results() {
		m.total.WithLabelValues(client, string(is))
	}
}

// count counts a request. A caller may name any client, so only those of the settings and those
// that Hydra has become names.
func (m *metrics) count(clientID string, e end) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.clients, clientID) {
		if e.known && len(m.clients) < maxClients {
			m.add(clientID)
		} else {
			clientID = otherClients
		}
	}
	m.total.WithLabelValues(clientID, string(e.is)).Inc()
}

// usesCollector collects the counts of the store, which outlive the process and are those of all
// replicas.
type usesCollector struct {
	store interface {
		Uses(ctx context.Context) (map[string]state.RemintUse, error)
	}
	log *zap.Logger
}

func usesDesc() *prometheus.Desc {
	return prometheus.NewDesc("ferry_remint_uses", "How often applications got tokens of Hydra for a refresh token of Auth0, since the first time, over all replicas and restarts, by client.", []string{"client_id"}, nil)
}

func lastUseDesc() *prometheus.Desc {
	return prometheus.NewDesc("ferry_remint_last_use_timestamp_seconds", "When an application last got tokens of Hydra for a refresh token of Auth0, by client.", []string{"client_id"}, nil)
}

// Describe implements prometheus.Collector.
func (usesCollector) Describe(to chan<- *prometheus.Desc) {
	to <- usesDesc()
	to <- lastUseDesc()
}

// Collect implements prometheus.Collector. Without the store there are no such series.
func (c usesCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), usesWait) //nolint:forbidigo // a collector is given no context
	defer cancel()
	uses, err := c.store.Uses(ctx)
	if err != nil {
		c.log.Warn("remint: counts not read", zap.Error(err))
		return
	}
	for id, use := range uses {
		to <- prometheus.MustNewConstMetric(usesDesc(), prometheus.GaugeValue, float64(use.Count), id)
		to <- prometheus.MustNewConstMetric(lastUseDesc(), prometheus.GaugeValue, float64(use.Last.Unix()), id)
	}
}
