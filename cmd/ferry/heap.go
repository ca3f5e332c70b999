package main

import (
	"math"
	"runtime/debug"
)

const (
	// bulkGCPercent lets a bulk run collect less often than by default, and keeps a dry run of a
	// million rows with hashes below 160 MiB.
	bulkGCPercent = 160
	// bulkMemoryLimit makes the collector run more often when the indexes of a large file
	// approach it. It is soft: above it, a run of more than about five million rows takes
	// more time, at most twice as much, and the memory that it needs.
	bulkMemoryLimit = 256 << 20
)

// limitHeap configures the garbage collector for a bulk run. GOGC and GOMEMLIMIT in the
// environment take precedence.
func limitHeap() {
	if was := debug.SetGCPercent(bulkGCPercent); was != 100 {
		debug.SetGCPercent(was)
	}
	if was := debug.SetMemoryLimit(bulkMemoryLimit); was != math.MaxInt64 {
		debug.SetMemoryLimit(was)
	}
}
