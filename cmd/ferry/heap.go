package main

import (
	"math"
	"runtime/debug"

	"go.uber.org/zap"

	"ferry/config"
	"ferry/heap"
)

const (
	// bulkGCPercent lets a bulk run collect less often than by default, and keeps a dry run of a
	// million rows with hashes below 160 MiB.
	bulkGCPercent = 140
	// bulkMemoryLimit makes the collector run more often when the indexes of a large file
	// approach it. It is soft: above it, a run of more than about five million rows takes
	// more time, at most twice as much, and the memory that it needs.
	bulkMemoryLimit = 256 << 20

	// serveLimit and serveSlack keep 1,000 logins that wait for Auth0 below 96 MiB, with the
	// pages of the program. serveShare is for the results that are kept for two minutes: at
	// hundreds of logins per second ferry collects every one to two seconds.
	// servePercent is the GOGC value below the limit.
	serveLimit   = 58 << 20
	serveSlack   = 2 << 20
	serveShare   = 2
	servePercent = 400
)

// limitHeap configures the garbage collector for a bulk run. GOGC and GOMEMLIMIT in the
// environment take precedence.
func limitHeap() {
	if !config.SetsGOGC() {
		debug.SetGCPercent(bulkGCPercent)
	}
	if was := debug.SetMemoryLimit(bulkMemoryLimit); was != math.MaxInt64 {
		debug.SetMemoryLimit(was)
	}
}

// governHeap configures the garbage collector for serving. GOGC and GOMEMLIMIT in the
// environment take precedence: with GOGC nothing but the limit of the container is set, and
// with GOMEMLIMIT that one holds.
func governHeap(log *zap.Logger) (stop func()) {
	if err := heap.LimitToContainer(); err != nil {
		log.Warn("no memory limit", zap.Error(err))
	}
	switch {
	case config.SetsGOGC():
		return func() {}
	case config.SetsGOMEMLIMIT():
		debug.SetGCPercent(servePercent)
		return func() {}
	}
	return heap.Govern(heap.Policy{Limit: serveLimit, Slack: serveSlack, Share: serveShare, Percent: servePercent})
}
