// Package await waits for conditions in tests.
package await

import "time"

// limit is far above what any condition needs, also on a busy machine.
const limit = 2 * time.Minute

// True polls done until it returns true. It returns false if that takes too long.
func True(done func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}
