package auth0sim

import (
	"sync"
	"time"
)

// clock is a source of time that can be moved.
type clock struct {
	mu     sync.Mutex
	source func() time.Time
	offset time.Duration
}

func newClock(source func() time.Time) *clock {
	return &clock{source: source}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

func (c *clock) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = 0
}

// Now is the tenant's time.
func (s *Server) Now() time.Time { return s.clock.now() }

// Advance moves the tenant's time on by d, or back.
func (s *Server) Advance(d time.Duration) { s.clock.advance(d) }
