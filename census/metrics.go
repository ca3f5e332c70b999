package census

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"ferry/bulk/kind"
	"ferry/bulk/status"
)

const (
	resultOK     = "ok"
	resultFailed = "failed"
)

// metrics show the counts. No label contains user data.
type metrics struct {
	runs *prometheus.CounterVec
	took prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer, c *Census) (*metrics, error) {
	m := &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ferry_counts_total", Help: "Counts of the identities in Kratos (FERRY_COUNT_EVERY), by result: ok or failed.",
		}, []string{"result"}),
		took: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ferry_count_duration_seconds", Help: "How long the last count of the identities took, with its pauses; 0 before the first.",
		}),
	}
	for _, one := range []prometheus.Collector{m.runs, m.took, collector{c}} {
		if err := registerer.Register(one); err != nil {
			return nil, fmt.Errorf("census: register metrics: %w", err)
		}
	}
	m.runs.WithLabelValues(resultOK)
	m.runs.WithLabelValues(resultFailed)
	return m, nil
}

// maxConnections is how many connections have values of their own, those with the most
// identities; the others are shown together, as status.OtherConnections.
const maxConnections = 100

// collector collects the last count; nothing before the first.
type collector struct{ *Census }

func identitiesDesc() *prometheus.Desc {
	return prometheus.NewDesc("ferry_identities", "Identities in Kratos at the last count, by Auth0 connection and by how their users log in.", []string{"connection", "kind"}, nil)
}

func timeDesc() *prometheus.Desc {
	return prometheus.NewDesc("ferry_count_timestamp_seconds", "When the last count of the identities began, in Unix time. Missing before the first.", nil, nil)
}

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	to <- identitiesDesc()
	to <- timeDesc()
}

// Collect implements prometheus.Collector. Every connection has a value for every kind, so that
// a series does not end when its number becomes 0.
func (c collector) Collect(to chan<- prometheus.Metric) {
	last, counted := c.Last()
	if !counted {
		return
	}
	for name, kinds := range shown(last.Connections) {
		for _, how := range kind.All() {
			to <- prometheus.MustNewConstMetric(identitiesDesc(), prometheus.GaugeValue, float64(kinds[how]), name, string(how))
		}
	}
	to <- prometheus.MustNewConstMetric(timeDesc(), prometheus.GaugeValue, float64(last.At.UnixMilli())/1000)
}

// shown returns the counts by kind of the largest connections, and of the others together.
func shown(connections map[string]status.Connection) map[string]map[kind.Kind]int {
	names := slices.SortedFunc(maps.Keys(connections), func(a, b string) int {
		return cmp.Or(cmp.Compare(connections[b].Total, connections[a].Total), strings.Compare(a, b))
	})
	all := make(map[string]map[kind.Kind]int, min(len(names), maxConnections+1))
	for i, name := range names {
		label := name
		if i >= maxConnections {
			label = status.OtherConnections
		}
		if all[label] == nil {
			all[label] = map[kind.Kind]int{}
		}
		for how, n := range connections[name].Kinds {
			all[label][how] += n
		}
	}
	return all
}
