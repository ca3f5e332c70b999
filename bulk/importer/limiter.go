package importer

import (
	"context"
	"sync"
	"time"

	"ferry/kratos"
)

// The bounds of a batch.
const (
	firstBatch    = 50
	smallestBatch = 10
	// maxBatchBytes keeps a request far below what proxies let through.
	maxBatchBytes = 4 << 20
	// A batch that takes less than quickBatch may be twice as large, and one that takes
	// more than slowBatch is too large: Kratos' admin API ends requests after 120 s.
	quickBatch = 2 * time.Second
	slowBatch  = 20 * time.Second
)

// limiter bounds the size of batches and the number of requests at a time. Both grow while
// Kratos answers quickly and halve when it does not.
type limiter struct {
	mu       sync.Mutex
	batch    int
	limit    int // requests at once
	most     int
	running  int
	released chan struct{} // closed and renewed when a request ends
}

func newLimiter(most int) *limiter {
	return &limiter{batch: firstBatch, limit: most, most: most, released: make(chan struct{})}
}

// size returns the number of rows for the next batch.
func (l *limiter) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.batch
}

// acquire waits until one more request may be made.
func (l *limiter) acquire(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.running < l.limit {
			l.running++
			l.mu.Unlock()
			return nil
		}
		released := l.released
		l.mu.Unlock()
		select {
		case <-released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release ends a request that acquire allowed.
func (l *limiter) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	close(l.released)
	l.released = make(chan struct{})
}

// answered adjusts the limits after a batch that Kratos answered.
func (l *limiter) answered(rows int, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case took < quickBatch && rows >= l.batch:
		l.batch = min(2*l.batch, kratos.MaxBatch)
	case took > slowBatch:
		l.batch = max(l.batch/2, smallestBatch)
	}
	l.limit = min(l.limit+1, l.most)
}

// failed halves the limits after a request that Kratos did not answer, or refused for now.
func (l *limiter) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batch = max(l.batch/2, smallestBatch)
	l.limit = max(l.limit/2, 1)
}
