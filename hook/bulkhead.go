package hook

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// queueTime is how long a login waits for its turn at most. It is within the time that the
// server allows for a login, and far below the 30 s after which Kratos gives up.
const queueTime = 2 * time.Second

// Reasons of a login that had no turn.
const (
	reasonQueueFull = "queue_full"
	reasonQueueTime = "queue_time"
)

// bulkhead bounds the logins that are decided at the same time, and those that wait for their
// turn. It is safe for concurrent use.
type bulkhead struct {
	turns    *semaphore.Weighted
	inFlight atomic.Int64
	waiting  atomic.Int64
	queue    int64
	refused  *prometheus.CounterVec
	waited   prometheus.Histogram
}

// newBulkhead makes a bulkhead of so many logins in flight, and so many that wait; nil if the
// first number is 0.
func newBulkhead(inFlight, queue int, metrics prometheus.Registerer) (*bulkhead, error) {
	if inFlight <= 0 {
		return nil, nil
	}
	b := &bulkhead{
		turns: semaphore.NewWeighted(int64(inFlight)), queue: int64(queue),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_logins_refused_total", Help: "Logins that were not decided because too many others were in flight, by reason: queue_full, queue_time.",
		}, []string{"reason"}),
	}
	b.waited = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ferry_login_queue_seconds", Help: "How long logins waited for their turn, of those that had none at once.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2},
	})
	gauge := func(name, help string, value *atomic.Int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value.Load()) })
	}
	for _, c := range []prometheus.Collector{
		b.refused, b.waited,
		gauge("ferry_logins_in_flight", "Logins that are being decided.", &b.inFlight),
		gauge("ferry_logins_queued", "Logins that wait until others have been decided.", &b.waiting),
	} {
		if err := metrics.Register(c); err != nil {
			return nil, fmt.Errorf("hook: register metrics: %w", err)
		}
	}
	b.refused.WithLabelValues(reasonQueueFull)
	b.refused.WithLabelValues(reasonQueueTime)
	return b, nil
}

// enter waits for a turn. If there is none, it returns why, as one word; otherwise the caller
// must call leave when the login is decided. A nil bulkhead has no bound.
func (b *bulkhead) enter(ctx context.Context) (leave func(), refused string) {
	if b == nil {
		return func() {}, ""
	}
	if !b.turns.TryAcquire(1) {
		if refused := b.wait(ctx); refused != "" {
			b.refused.WithLabelValues(refused).Inc()
			return nil, refused
		}
	}
	b.inFlight.Add(1)
	return func() {
		b.inFlight.Add(-1)
		b.turns.Release(1)
	}, ""
}

func (b *bulkhead) wait(ctx context.Context) (refused string) {
	defer b.waiting.Add(-1)
	if b.waiting.Add(1) > b.queue {
		return reasonQueueFull
	}
	started := time.Now()
	defer func() { b.waited.Observe(time.Since(started).Seconds()) }()
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	if b.turns.Acquire(ctx, 1) != nil {
		return reasonQueueTime
	}
	return ""
}
