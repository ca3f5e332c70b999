// Package heap sets how much memory Go's garbage collector spends in a server that waits
// more than it computes.
//
//	little memory in use: garbage may fill it up to Limit, which saves CPU time
//	more in use, by a burst of waiting requests: the limit grows with it
//	more in use, by what is kept for long: garbage may be a share of it on top, or the
//	collector, which marks all of it each time, would run all the time
//
// There is no ballast: a process that is idle uses what it needs. The limit is the soft one
// of the runtime (GOMEMLIMIT), so that stacks count and free memory is returned.
package heap

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Policy says how much memory the runtime may use. The program's own file is not counted.
type Policy struct {
	// Limit is how much it may use, in bytes, as long as that leaves enough for garbage.
	Limit uint64
	// Slack is how much is left for garbage at least, in bytes. Share is the same as a share of
	// what is kept for long.
	Slack uint64
	Share float64
	// Percent is the GOGC value: below the limit the collector runs when the heap has grown
	// by it.
	Percent int
}

// usage is the memory in use that is not garbage, as of the last collection, in bytes.
type usage struct {
	live   uint64 // the live heap
	stacks uint64
	other  uint64 // what else the runtime needs
}

// headroom is the share of its limit that the runtime does not use.
const headroom = 0.03

// heapOfStack is how much a waiting login has on the heap for each byte of its stacks (20 and
// 10 KiB, measured with 1,000 of them).
const heapOfStack = 2

// limit returns the limit for what is in use. What requests in flight do not have is taken to
// be kept for long.
func (p Policy) limit(u usage) int64 {
	kept := u.live - min(u.live, heapOfStack*u.stacks)
	garbage := max(float64(p.Slack), p.Share*float64(kept))
	limit := (float64(u.live) + float64(u.stacks) + float64(u.other) + garbage) / (1 - headroom)
	return int64(min(max(limit, float64(p.Limit)), math.MaxInt64/2))
}

// Govern applies the policy after every collection, until stop is called. The limit that the
// runtime has already, such as the one of the container, is never exceeded.
func Govern(p Policy) (stop func()) {
	g := &governor{policy: p, most: debug.SetMemoryLimit(-1)}
	debug.SetGCPercent(p.Percent)
	g.adjust()
	g.arm()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.stopped = true
	}
}

// governor adjusts the limit.
type governor struct {
	policy Policy
	most   int64

	mu      sync.Mutex // held while the limit is set
	stopped bool
}

// arm makes the next collection call adjust: it collects an object that nothing refers to.
func (g *governor) arm() {
	sentinel := new([16]byte) // of a size that shares no memory with other objects
	runtime.AddCleanup(sentinel, func(g *governor) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.stopped {
			g.adjust()
			g.arm()
		}
	}, g)
}

func (g *governor) adjust() {
	if limit := min(g.policy.limit(used()), g.most); limit != debug.SetMemoryLimit(-1) {
		debug.SetMemoryLimit(limit)
	}
}

// used reads the usage.
func used() usage {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a runtime without this metric
		}
		return samples[i].Value.Uint64()
	}
	total, counted := value(2), value(1)+value(3)+value(4)+value(5)+value(6)
	return usage{live: value(0), stacks: value(1), other: total - min(total, counted)}
}

// memoryShare is the share of the memory of a container that the runtime may use.
const memoryShare = 0.9

// LimitToContainer sets the memory limit of the runtime to a share of what the container
// (cgroup) may use, unless GOMEMLIMIT is set. Without a limit of the container there is
// none.
func LimitToContainer() error {
	_, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memlimit.FromCgroup))
	if err == nil || errors.Is(err, memlimit.ErrNoLimit) || errors.Is(err, memlimit.ErrNoCgroup) || errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		return nil
	}
	return fmt.Errorf("read the memory limit of the container: %w", err)
}
