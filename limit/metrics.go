package limit

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count refusals. No label contains user data.
type metrics struct {
	refused  *prometheus.CounterVec
	together prometheus.Counter
	faults   *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer, l *Limits) (*metrics, error) {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_limit_refusals_total", Help: "Logins refused without asking Auth0, by the limit that was reached, as in the log's reason.",
		}, []string{"reason"}),
		together: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ferry_throttled_together_total", Help: "Logins that Auth0 throttled together with those of other users: it limits ferry's address or the tenant.",
		}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_limit_faults_total", Help: "Failed operations on the counts in Redis, by operation: this process then limits by its own counts.",
		}, []string{"operation"}),
	}
	collectors := []prometheus.Collector{
		m.refused, m.together, m.faults,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ferry_own_address_failed_logins", Help: "Failed logins that Auth0 counts against ferry's own address, where it is not told the user's.",
		}, l.ownFailures),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ferry_own_address_failed_logins_max", Help: "Failed logins a day after which Auth0 blocks ferry's own address; ferry stops at 95 % of them. 0: no limit is set.",
		}, func() float64 { return float64(l.opts.SuspiciousIP) }),
	}
	for kind, table := range map[string]*table{"user_address": &l.counts.pairs, "user": &l.counts.users, "address": &l.counts.addresses} {
		collectors = append(collectors,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "ferry_limit_counters", Help: "Counters of failed logins in the memory of this process, by limit.", ConstLabels: prometheus.Labels{"limit": kind},
			}, func() float64 { return l.guarded(func() int { return len(table.records) }) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "ferry_limit_counters_evicted_total", Help: "Counters of failed logins that were dropped because there were too many, by limit.", ConstLabels: prometheus.Labels{"limit": kind},
			}, func() float64 { return l.guarded(func() int { return table.evicted }) }),
		)
	}
	for _, c := range collectors {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("limit: register metrics: %w", err)
		}
	}
	for _, operation := range []string{"take", "settle"} {
		m.faults.WithLabelValues(operation)
	}
	for _, reason := range []string{ReasonUserAddress, ReasonUser, ReasonAddress, ReasonOwnAddress, ReasonInFlight} {
		m.refused.WithLabelValues(reason)
	}
	return m, nil
}

// guarded reads a number under the lock.
func (l *Limits) guarded(read func() int) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(read())
}
