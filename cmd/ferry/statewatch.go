package main

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// stateWatch counts the checks whether Redis answers, and logs each change once. It is safe for
// concurrent use.
type stateWatch struct {
	log   *zap.Logger
	up    prometheus.Gauge
	looks *prometheus.CounterVec

	mu    sync.Mutex
	known bool // false before the first check
	was   bool // up at the last check
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
	}
	for _, c := range []prometheus.Collector{w.up, w.looks} {
		if err := metrics.Register(c); err != nil {
			return nil, fmt.Errorf("register state metrics: %w", err)
		}
	}
	return w, nil
}

// beat notes the result of one check.
func (w *stateWatch) beat(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	up := err == nil
	changed := !w.known || up != w.was
	w.known, w.was = true, up
	if up {
		w.up.Set(1)
		w.looks.WithLabelValues("ok").Inc()
	} else {
		w.up.Set(0)
		w.looks.WithLabelValues("failed").Inc()
	}
	switch {
	case !changed:
	case up:
		w.log.Info("redis answers")
	default:
		w.log.Error("redis does not answer: profiles are lost and repeated deliveries may ask Auth0 again until it does", zap.Error(err))
	}
}
