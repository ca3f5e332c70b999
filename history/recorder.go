package history

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
)

const (
	// recordEvery is how often the outcomes are taken from the metrics.
	recordEvery = time.Minute
	// endWait limits the last writing, when ferry stops.
	endWait = time.Second
	// RecentTime is how far Recent looks back at most.
	RecentTime = time.Hour

	metricReasons  = "ferry_hook_reasons_total"
	metricOutcomes = "ferry_hook_outcomes_total"
)

// RecorderOptions configure a Recorder. All are required.
type RecorderOptions struct {
	History *History
	// Metrics has the outcomes of logins: those of package hook.
	Metrics prometheus.Gatherer
	// Count returns the last count of Kratos; false: there is none.
	Count func() (Count, bool)
	Log   *zap.Logger
	Now   func() time.Time
}

// Recorder takes outcomes from the metrics, and counts, into a History.
type Recorder struct {
	opts RecorderOptions

	mu     sync.Mutex
	taken  counters   // what is in the history already
	recent []counters // one a minute, the oldest first
	count  time.Time  // of the last count in the history
}

// counters are the metrics at a time. They began at 0 with the process.
type counters struct {
	at       time.Time
	outcomes map[string]int
	reasons  map[Reason]int
}

// Reason is the reason of an outcome, as in the log.
type Reason struct{ Outcome, Reason string }

// Window is what happened in the time since Since.
type Window struct {
	Since    time.Time
	Outcomes map[string]int
	Reasons  map[Reason]int
}

// Sum is the number of logins with these outcomes; of all, if none is named.
func (w Window) Sum(outcomes ...string) int {
	sum := 0
	for _, one := range outcomes {
		sum += w.Outcomes[one]
	}
	if len(outcomes) == 0 {
		for _, n := range w.Outcomes {
			sum += n
		}
	}
	return sum
}

// NewRecorder makes a Recorder.
func NewRecorder(opts RecorderOptions) (*Recorder, error) {
	if opts.History == nil || opts.Metrics == nil || opts.Count == nil || opts.Log == nil || opts.Now == nil {
		return nil, errors.New("history: history, metrics, count, log and clock are required")
	}
	start := counters{at: opts.Now()}
	return &Recorder{opts: opts, taken: start, recent: []counters{start}}, nil
}

// Run records once a minute until ctx ends, and a last time then.
func (r *Recorder) Run(ctx context.Context) {
	ticker := time.NewTicker(recordEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.Record(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
			defer cancel()
			r.Record(last)
			return
		}
	}
}

// Record writes what is new into the history.
func (r *Recorder) Record(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := r.read()
	if err != nil {
		r.opts.Log.Warn("the latest outcomes could not be added to the history yet", zap.Error(err))
		return
	}
	r.opts.History.Add(ctx, now.at, now.since(r.taken).Outcomes)
	r.taken = now
	r.recent = append(r.recent, now)
	for len(r.recent) > 1 && now.at.Sub(r.recent[0].at) > RecentTime {
		r.recent = r.recent[1:]
	}
	if count, ok := r.opts.Count(); ok && count.At.After(r.count) {
		r.opts.History.Put(ctx, count)
		r.count = count.At
	}
}

// Recent returns what happened within the last time, which is RecentTime at most, or since
// the start. It is exact to the minute.
func (r *Recorder) Recent(within time.Duration) (Window, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := r.read()
	if err != nil {
		return Window{}, err
	}
	from := r.recent[0]
	for _, one := range r.recent {
		if now.at.Sub(one.at) < within {
			break
		}
		from = one
	}
	return now.since(from), nil
}

// read reads the metrics. The caller holds mu.
func (r *Recorder) read() (counters, error) {
	families, err := r.opts.Metrics.Gather()
	if err != nil {
		return counters{}, err
	}
	now := counters{at: r.opts.Now(), outcomes: map[string]int{}, reasons: map[Reason]int{}}
	for _, family := range families {
		switch family.GetName() {
		case metricOutcomes:
			for _, m := range family.GetMetric() {
				now.outcomes[label(m, "outcome")] += int(m.GetCounter().GetValue())
			}
		case metricReasons:
			for _, m := range family.GetMetric() {
				now.reasons[Reason{label(m, "outcome"), label(m, "reason")}] += int(m.GetCounter().GetValue())
			}
		}
	}
	return now, nil
}

// since returns what was added after earlier.
func (c counters) since(earlier counters) Window {
	w := Window{Since: earlier.at, Outcomes: map[string]int{}, Reasons: map[Reason]int{}}
	for outcome, n := range c.outcomes {
		if n -= earlier.outcomes[outcome]; n > 0 {
			w.Outcomes[outcome] = n
		}
	}
	for reason, n := range c.reasons {
		if n -= earlier.reasons[reason]; n > 0 {
			w.Reasons[reason] = n
		}
	}
	return w
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
