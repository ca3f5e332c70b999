package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// stateWatch counts the checks whether Redis answers, and logs each change once. It is not safe
// for concurrent use.
type stateWatch struct {
	log   *zap.Logger
	up    prometheus.Gauge
	looks *prometheus.CounterVec
	took  prometheus.Histogram
	last  string // result of the last check; empty before the first
}

func newStateWatch(log *zap.Logger, metrics prometheus.Registerer) (*stateWatch, error) {
	w := &stateWatch{
		log: log,
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ferry_state_up", Help: "1 while Redis answers, 0 while it does not. Missing where state is kept in memory.",
		}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_state_looks_total", Help: "How often ferry looked whether Redis answers, by result: ok or failed.",
		}, []string{"result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ferry_state_seconds", Help: "How long calls of Redis took.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5},
		}),
	}
	for _, c := range []prometheus.Collector{w.up, w.looks, w.took} {
		if err := metrics.Register(c); err != nil {
			return nil, fmt.Errorf("register state metrics: %w", err)
		}
	}
	return w, nil
}

// beat notes the result of one check.
func (w *stateWatch) beat(err error) {
	result, up := "ok", 1.0
	if err != nil {
		result, up = "failed", 0
	}
	w.up.Set(up)
	w.looks.WithLabelValues(result).Inc()
	switch {
	case result == w.last:
	case err == nil:
		w.log.Info("redis answers")
	default:
		w.log.Error("redis does not answer: profiles are lost and repeated deliveries may ask Auth0 again until it does", zap.Error(err))
	}
	w.last = result
}
