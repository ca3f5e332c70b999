// Package census counts the identities in Kratos from time to time while ferry serves, and
// shows the last count as metrics.
//
//	until the context ends:
//	    read every identity once, a page at a time, with a pause after each page
//	    keep the count, and tell those who wait for it
//	    pause: the interval, or a minute if the count failed
//
// There is one count at a time. It uses a client of its own and no login waits for it. It
// writes nothing to Kratos, and package bulk/status does the counting.
package census

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/prometheus/client_golang/prometheus"

	"ferry/bulk/status"
	"ferry/kratos"
)

const (
	// retryAfter is the pause after a count that failed, unless the interval is shorter.
	retryAfter = time.Minute
	// restShare bounds the share of the time in which Kratos works for a count: it rests
	// restShare times as long as it took for the page. restLeast bounds the rate if Kratos
	// is fast, to 2,000 identities a second.
	restShare = 3
	restLeast = 250 * time.Millisecond
	restMost  = time.Minute
)

// Rest returns the pause after a page that took so long. It is for [kratos.Options].
func Rest(took time.Duration) time.Duration {
	return min(max(restShare*took, restLeast), restMost)
}

// Options configure a Census. All are required.
type Options struct {
	// Kratos is the client of the count. It must not be the one of logins, and should rest
	// after each page: see Rest.
	Kratos *kratos.Client
	// Every is the time between the end of a count and the start of the next.
	Every   time.Duration
	Log     *zap.Logger
	Metrics prometheus.Registerer
	// Now is the clock.
	Now func() time.Time
}

// Census counts identities. It is safe for concurrent use.
type Census struct {
	opts    Options
	metrics *metrics
	failed  bool // the last count failed; of Run

	mu      sync.Mutex
	last    status.Status
	counted bool // there is a last count
	changed chan struct{}
}

// New makes a Census, which counts once Run is called.
func New(opts Options) (*Census, error) {
	if opts.Kratos == nil || opts.Every <= 0 || opts.Log == nil || opts.Metrics == nil || opts.Now == nil {
		return nil, errors.New("census: Kratos, interval, log, metrics and clock are required")
	}
	c := &Census{opts: opts, changed: make(chan struct{})}
	var err error
	if c.metrics, err = newMetrics(opts.Metrics, c); err != nil {
		return nil, err
	}
	return c, nil
}

// Last returns the last count that was completed; false if there is none yet. Its At is when
// it began.
func (c *Census) Last() (status.Status, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.counted
}

// Changed returns a channel that is closed when the next count is completed.
func (c *Census) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Run counts until ctx is done. It must be called once.
func (c *Census) Run(ctx context.Context) {
	for {
		pause := c.opts.Every
		err := c.count(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			pause = min(pause, retryAfter)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// count counts once. A failure is logged if the count before did not fail.
func (c *Census) count(ctx context.Context) error {
	started := c.opts.Now()
	current, err := status.Read(ctx, status.Options{Kratos: c.opts.Kratos, Progress: silent{}, Now: c.opts.Now})
	took := c.opts.Now().Sub(started)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		c.metrics.runs.WithLabelValues(resultFailed).Inc()
		if !c.failed {
			c.opts.Log.Warn("identities not counted: the last count is kept, and the next failures are not logged", zap.Error(err))
		}
		c.failed = true
		return err
	}
	c.failed = false
	c.metrics.runs.WithLabelValues(resultOK).Inc()
	c.metrics.took.Set(took.Seconds())
	c.publish(current)
	c.opts.Log.Info("identities counted", zap.Int("identities", current.Total), zap.Duration("took", took))
	return nil
}

// publish makes a count the last one.
func (c *Census) publish(current status.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.counted = current, true
	close(c.changed)
	c.changed = make(chan struct{})
}

// silent reports no progress.
type silent struct{}

// Start implements progress.Reporter.
func (silent) Start(string, int64) {}

// Add implements progress.Reporter.
func (silent) Add(int64) {}

// Say implements progress.Reporter.
func (silent) Say(string) {}

// Done implements progress.Reporter.
func (silent) Done() {}
