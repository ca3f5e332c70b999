package heap

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"

	"ferry/test/await"
)

const mebibyte = 1 << 20

// TestLimit: the limit is constant while little is in use. It grows with a burst of requests,
// and by more with what is kept for long.
func TestLimit(t *testing.T) {
	p := Policy{Limit: 60 * mebibyte, Slack: 4 * mebibyte, Share: 0.5}
	for name, c := range map[string]struct {
		live, stacks, other uint64
		want                float64 // MiB
	}{
		"nothing":        {0, 0, 0, 60},
		"little":         {10, 2, 8, 60},
		"a burst":        {25, 25, 8, 62 / 0.97},
		"a larger burst": {100, 100, 10, 214 / 0.97},
		"kept":           {40, 2, 8, 68 / 0.97},
		"both":           {60, 20, 8, 98 / 0.97},
	} {
		u := usage{c.live * mebibyte, c.stacks * mebibyte, c.other * mebibyte}
		if got, want := p.limit(u), int64(c.want*mebibyte); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if got := p.limit(usage{live: math.MaxUint64}); got <= 0 {
		t.Errorf("the limit overflows to %d", got)
	}
}

// TestGovern: the limit follows the memory in use, up and down, until it is stopped, and
// never exceeds the one that was there.
func TestGovern(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(256*mebibyte)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	stop := Govern(Policy{Limit: 64 * mebibyte, Slack: 8 * mebibyte, Share: 0.25, Percent: 400})
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
