package limit_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"ferry/limit"
	"ferry/outcome"
)

// TestRestartAfterWrongClock: what was stored while the clock was fast does not stop logins for
// longer than a day once it is right again, and still counts.
func TestRestartAfterWrongClock(t *testing.T) {
	name := filepath.Join(t.TempDir(), limit.FileName)
	open := func() *replica { return start(t, func(o *limit.Options) { o.File = name }) }
	wrong := open()
	wrong.clock.advance(365 * 24 * time.Hour)
	for i := range 95 {
		wrong.times(t, 1, loginOf(fmt.Sprint("user ", i), ""), outcome.Mismatch)
	}
	right := open()
	right.refused(t, loginOf("ada", ""), outcome.Limited, limit.ReasonOwnAddress)
	right.clock.advance(864 * time.Second)
	right.times(t, 1, loginOf("ada", ""), outcome.Mismatch)
	right.refused(t, loginOf("ada", ""), outcome.Limited, limit.ReasonOwnAddress)
	right.clock.advance(24 * time.Hour)
	if n := sample(t, right.registry, "ferry_own_address_failed_logins", ""); n != 0 {
		t.Errorf("%v failed logins a day later", n)
	}
	right.times(t, 95, loginOf("ada", ""), outcome.Match)
}
