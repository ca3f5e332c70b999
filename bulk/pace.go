package bulk

import (
	"context"
	"sync"
	"time"

	"ferry/kratos"
)

// The bounds between which batches follow Kratos' pace.
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

// pace is how much Kratos is asked at once: more while it answers well, half as much
// when it does not.
type pace struct {
	mu       sync.Mutex
	batch    int
	limit    int // requests at once
	most     int
	running  int
	released chan struct{} // closed and renewed when a request ends
}

func newPace(most int) *pace {
	return &pace{batch: firstBatch, limit: most, most: most, released: make(chan struct{})}
}

// size is how many rows a batch should have now.
func (p *pace) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batch
}

// enter waits until one more request may be made.
func (p *pace) enter(ctx context.Context) error {
	for {
		p.mu.Lock()
		if p.running < p.limit {
			p.running++
			p.mu.Unlock()
			return nil
		}
		released := p.released
		p.mu.Unlock()
		select {
		case <-released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	close(p.released)
	p.released = make(chan struct{})
}

// answered learns from a batch of so many rows that took so long.
func (p *pace) answered(rows int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case took < quickBatch && rows >= p.batch:
		p.batch = min(2*p.batch, kratos.MaxBatch)
	case took > slowBatch:
		p.batch = max(p.batch/2, smallestBatch)
	}
	p.limit = min(p.limit+1, p.most)
}

// troubled learns from a request that Kratos did not answer, or would not for now.
func (p *pace) troubled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batch = max(p.batch/2, smallestBatch)
	p.limit = max(p.limit/2, 1)
}
