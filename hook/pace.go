package hook

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"ferry/outcome"
	"ferry/tracing"
)

const (
	// paceSamples is how many wrong passwords are remembered. The distribution of so few
	// differs from that of all by some percent, which takes many logins to notice.
	paceSamples = 1024
	// Before the first wrong password, a refusal takes between firstDelay and twice that,
	// which is usual for Auth0.
	firstDelay = 200 * time.Millisecond
	// longestDelay bounds the delay of a refusal while Auth0 is slow.
	longestDelay = 5 * time.Second
)

// pace remembers how long the latest wrong passwords took, from the call to the answer, so that
// refusals without a request to Auth0 can take as long: the time of each is that of one of
// them, chosen at random. It is safe for concurrent use.
type pace struct {
	mu      sync.Mutex
	samples []time.Duration
	next    int
	stopped chan struct{}
	once    sync.Once
}

func newPace() *pace { return &pace{stopped: make(chan struct{})} }

// observe notes how long a wrong password took.
func (p *pace) observe(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.samples) < paceSamples {
		p.samples = append(p.samples, took)
		return
	}
	p.samples[p.next] = took
	p.next = (p.next + 1) % paceSamples
}

// draw returns how long a refusal is to take.
func (p *pace) draw() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.samples) == 0 {
		return firstDelay + rand.N(firstDelay) //nolint:gosec // no secret
	}
	return min(p.samples[rand.IntN(len(p.samples))], longestDelay) //nolint:gosec // no secret
}

// wait waits for that long, unless the caller leaves or ferry drains.
func (p *pace) wait(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-p.stopped:
	}
}

func (p *pace) stop() { p.once.Do(func() { close(p.stopped) }) }

// delay delays a refusal without a request to Auth0 until it has taken as long as a wrong
// password takes.
func (h *Handler) delay(ctx context.Context, o outcome.Outcome, e *call) {
	if !h.opts.DelayRefusals {
		return
	}
	took := h.opts.Now().Sub(e.Time)
	switch {
	case e.answeredByAuth0 && o == outcome.Mismatch:
		h.pace.observe(took)
	case !e.answeredByAuth0 && tellsByTime(o):
		if e.waited = h.pace.draw() - took; e.waited > 0 {
			_, span := tracing.Start(ctx, "delay refusal")
			h.pace.wait(ctx, e.waited)
			span.End()
			return
		}
		e.waited = 0
	}
}

// tellsByTime reports whether the outcome is one of the user's own, so that an early answer
// would tell which.
func tellsByTime(o outcome.Outcome) bool {
	switch o {
	case outcome.Mismatch, outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.Throttled, outcome.Locked,
		outcome.SubjectMismatch, outcome.Unbound, outcome.Inactive, outcome.NotPending, outcome.Oversize:
		return true
	case outcome.Match, outcome.Closed, outcome.Paused, outcome.Observed, outcome.Suspicious, outcome.Limited, outcome.Unavailable, outcome.Misconfigured, outcome.InvalidResponse:
	}
	return false
}
