package provision

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The results of a reading of Kratos for the register.
const (
	walkOK     = "ok"
	walkFailed = "failed"
)

// metrics show the users register. No label contains user data.
type metrics struct {
	complete, last prometheus.Gauge
	walks          *prometheus.CounterVec
}

// newMetrics registers the metrics; registerer may be nil.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		complete: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ferry_users_register_complete", Help: "1 while the users register has all users of Kratos and answers. While it is 0, no identity is created at a login.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ferry_users_register_timestamp_seconds", Help: "When the last complete reading of Kratos for the users register began, in Unix time; 0 before the first.",
		}),
		walks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_users_register_readings_total", Help: "Readings of all identities in Kratos for the users register, by result: ok or failed.",
		}, []string{"result"}),
	}
	m.walks.WithLabelValues(walkOK)
	m.walks.WithLabelValues(walkFailed)
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.complete, m.last, m.walks} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("provision: register metrics: %w", err)
		}
	}
	return m, nil
}

// walked notes a reading of Kratos.
func (m *metrics) walked(started time.Time, err error) {
	if err != nil {
		m.walks.WithLabelValues(walkFailed).Inc()
		return
	}
	m.walks.WithLabelValues(walkOK).Inc()
	m.last.Set(float64(started.Unix()))
	m.found(true)
}

// found notes whether the register is complete.
func (m *metrics) found(complete bool) {
	if complete {
		m.complete.Set(1)
		return
	}
	m.complete.Set(0)
}
