package audit

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// The reasons for which a record is dropped.
const (
	droppedQueue           = "queue"           // the disk has not taken a line for too long
	droppedStopped         = "stopped"         // ferry stopped before the disk took the line
	droppedBroken          = "broken"          // the record cannot be encoded as JSON
	droppedUnauthenticated = "unauthenticated" // too many calls without a valid key
)

type metrics struct {
	written prometheus.Counter
	dropped *prometheus.CounterVec
	stopped prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ferry_audit_records_total", Help: "Audit records that were written.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_audit_dropped_total", Help: "Audit records that were not written, by reason: queue, stopped, broken, unauthenticated.",
		}, []string{"reason"}),
		stopped: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ferry_audit_stopped", Help: "1 while the audit log cannot be written.",
		}),
	}
	for _, c := range []prometheus.Collector{m.written, m.dropped, m.stopped} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("audit: register metrics: %w", err)
		}
	}
	for _, reason := range []string{droppedQueue, droppedStopped, droppedBroken, droppedUnauthenticated} {
		m.dropped.WithLabelValues(reason)
	}
	return m, nil
}
