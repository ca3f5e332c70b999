// Package heap sets how much memory Go's garbage collector spends in a server that waits
// more than it computes.
//
//	little memory in use: garbage may fill it up to Limit, which saves CPU time
//	more in use, such as by a burst of waiting requests: the limit grows with it
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
	// Limit is how much it may use, in bytes, as long as Slack of it is for garbage.
	Limit, Slack uint64
	// Percent is the GOGC value: below the limit the collector runs when the heap has grown
	// by it.
	Percent int
}

// growth is by how much the limit grows with what is in use beyond it: a fifth of that is for
// garbage.
const growth = 1.25

// limit returns the limit for the memory that is in use and not garbage.
func (p Policy) limit(used uint64) int64 {
	limit := float64(p.Limit)
	if beyond := float64(used) + float64(p.Slack) - limit; beyond > 0 {
		limit += growth * beyond
	}
	return int64(min(limit, math.MaxInt64/2))
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

// used returns the memory in use that is not garbage, as of the last collection: the live
// heap, the stacks and what the runtime needs.
func used() uint64 {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
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
	total, heap := value(1), value(2)+value(3)+value(4)+value(5)
	return value(0) + total - min(total, heap)
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
