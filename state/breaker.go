package state

import (
	"sync"
	"time"
)

const (
	failuresToPause = 3
	pauseTime       = time.Second
)

// breaker is a circuit breaker, so that logins do not wait for a Redis that does not
// answer. After failuresToPause failures in a row it allows one call in each pauseTime,
// until one succeeds.
type breaker struct {
	mu       sync.Mutex
	failures int
	until    time.Time
}

func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < failuresToPause {
		return true
	}
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(pauseTime)
	return true
}

func (b *breaker) report(now time.Time, answered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if answered {
		b.failures = 0
		return
	}
	b.failures++
	b.until = now.Add(pauseTime)
}
