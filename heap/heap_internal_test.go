package heap

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"

	"ferry/test/await"
)

const mebibyte = 1 << 20

// TestLimit: the limit is constant while little is in use, and grows by more than what is.
func TestLimit(t *testing.T) {
	p := Policy{Limit: 64 * mebibyte, Slack: 8 * mebibyte}
	for used, want := range map[uint64]int64{
		0: 64 * mebibyte, 30 * mebibyte: 64 * mebibyte, 56 * mebibyte: 64 * mebibyte,
		60 * mebibyte: 69 * mebibyte, 156 * mebibyte: 189 * mebibyte, 1056 * mebibyte: 1314 * mebibyte,
	} {
		if got := p.limit(used); got != want {
			t.Errorf("%d in use: %d, want %d", used, got, want)
		}
	}
	if got := p.limit(math.MaxUint64); got <= 0 {
		t.Errorf("the limit overflows to %d", got)
	}
}

// TestGovern: the limit follows the memory in use, up and down, until it is stopped, and
// never exceeds the one that was there.
func TestGovern(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(256*mebibyte)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	stop := Govern(Policy{Limit: 64 * mebibyte, Slack: 8 * mebibyte, Percent: 400})
	t.Cleanup(stop)
	collected := func(what string, ok func(int64) bool) {
		t.Helper()
		if !await.True(func() bool { runtime.GC(); return ok(debug.SetMemoryLimit(-1)) }) {
			t.Fatalf("%s: %d", what, debug.SetMemoryLimit(-1))
		}
	}
	collected("little in use", func(is int64) bool { return is == 64*mebibyte })
	large := make([]byte, 80*mebibyte)
	collected("more in use", func(is int64) bool { return is > 90*mebibyte && is < 256*mebibyte })
	runtime.KeepAlive(large)
	large = make([]byte, 220*mebibyte)
	collected("more than before", func(is int64) bool { return is == 256*mebibyte })
	runtime.KeepAlive(large)
	large = nil
	collected("little again", func(is int64) bool { return is == 64*mebibyte })
	if got := debug.SetGCPercent(100); got != 400 {
		t.Errorf("GOGC is %d", got)
	}
	stop()
	debug.SetMemoryLimit(77 * mebibyte)
	for range 5 {
		runtime.GC()
	}
	if got := debug.SetMemoryLimit(-1); got != 77*mebibyte {
		t.Errorf("%d after it was stopped", got)
	}
}

func TestLimitToContainer(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	if err := LimitToContainer(); err != nil {
		t.Error(err)
	}
	if debug.SetMemoryLimit(-1) <= 0 {
		t.Error("no limit was set, not even the highest")
	}
}
