package recording

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// The reasons for which a line is dropped.
const (
	droppedQueue           = "queue"    // calls arrive faster than the disk writes
	droppedStopped         = "stopped"  // writing failed, for example on a full disk
	droppedBroken          = "broken"   // the line cannot be encoded as JSON
	droppedUnauthenticated = "stranger" // too many calls without the key
)

type writerMetrics struct {
	written prometheus.Counter
	dropped *prometheus.CounterVec
	stopped prometheus.Gauge
}

func newWriterMetrics(registerer prometheus.Registerer) (*writerMetrics, error) {
	m := &writerMetrics{
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ferry_recording_lines_total", Help: "Hook calls that were recorded.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_recording_dropped_total", Help: "Hook calls that were not recorded, by reason: queue (the disk is slow), stopped (the disk cannot be written), stranger (too many calls without the key), broken.",
		}, []string{"reason"}),
		stopped: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ferry_recording_stopped", Help: "1 while recordings cannot be written.",
		}),
	}
	for _, c := range []prometheus.Collector{m.written, m.dropped, m.stopped} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("recording: register metrics: %w", err)
		}
	}
	for _, reason := range []string{droppedQueue, droppedStopped, droppedBroken, droppedUnauthenticated} {
		m.dropped.WithLabelValues(reason)
	}
	return m, nil
}
