package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapHeadroom is how much garbage a bulk run may leave before it is collected: the
	// same whether its indexes have a thousand entries or ten million. The runtime's own
	// way, as much as is alive, collects too often at first and keeps too much later.
	heapHeadroom = 64 << 20
	heapTick     = 100 * time.Millisecond

	gcPercentLeast, gcPercentMost = 10, 1600
	gcPercentDefault              = 100
)

// steadyHeap keeps the headroom until stop is called. An operator's own GOGC is left.
func steadyHeap(ctx context.Context) (stop func()) {
	was := debug.SetGCPercent(gcPercentMost)
	if was != gcPercentDefault {
		debug.SetGCPercent(was)
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(heapTick)
		defer tick.Stop()
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		percent := gcPercentMost
		for {
			select {
			case <-ctx.Done():
				debug.SetGCPercent(was)
				return
			case <-tick.C:
			}
			metrics.Read(sample)
			live := max(sample[0].Value.Uint64(), 1)
			next := min(max(int(heapHeadroom*100/live), gcPercentLeast), gcPercentMost) //nolint:gosec // at most heapHeadroom*100
			if next*10 < percent*9 || next*9 > percent*10 {
				percent = next
				debug.SetGCPercent(percent)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
