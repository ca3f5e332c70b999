package recording_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ferry/recording"
)

// unauthenticated is a call without the key whose headers are as long as recording
// keeps.
func unauthenticated() recording.Event {
	return recording.Event{
		Time: time.Now(), Route: "password-migration", Status: http.StatusUnauthorized, Outcome: recording.OutcomeCaller,
		Took: time.Hour, Header: http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "Content-Encoding": {"x"}, "Content-Length": {"1099511627776"},
			"User-Agent": {strings.Repeat("\xff", 1000)}, "Traceparent": {"x"},
			"Ory-Webhook-Request-Id": {uuid1}, "Ory-Webhook-Trigger-Id": {uuid1},
		},
	}
}

// TestUnauthenticatedFlood: calls without the key take a small part of the room.
// They do not displace logins, neither at once nor over time.
func TestUnauthenticatedFlood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		const size = 64 << 10
		opts := options(t, dir, func(o *recording.Options) { o.MaxBytes, o.Metrics = size, registry })
		w := begin(t, opts)
		w.Record(failed())
		calls := 1
		for range 6 * 24 {
			for range 200 {
				w.Record(unauthenticated())
				calls++
			}
			w.Record(failed()) // the flood does not fill the queue either
			calls++
			<-time.After(time.Hour)
		}
		w.stop()
		logins, unauthenticated := loginsIn(t, dir)
		if logins != 1+6*24 || unauthenticated == 0 {
			t.Errorf("%d logins and %d unauthenticated calls are left", logins, unauthenticated)
		}
		if held := bytesIn(t, dir); held > 3*size {
			t.Errorf("%d bytes are held", held)
		}
		written, dropped := metric(t, registry, "ferry_recording_lines_total"), metric(t, registry, "ferry_recording_dropped_total")
		if int(written+dropped) != calls || int(written) != logins+unauthenticated {
			t.Errorf("%v written and %v dropped of %d", written, dropped, calls)
		}
	})
}

// TestUnauthenticatedRecord: the line of such a call is not longer than the limits
// assume.
func TestUnauthenticatedRecord(t *testing.T) {
	t.Parallel()
	opts := options(t, t.TempDir())
	record(t, opts, unauthenticated())
	if info, err := os.Stat(recordings(t, opts.Dir)[0]); err != nil || info.Size() > 2<<10 || info.Size() < 1<<10 {
		t.Errorf("%v, %v", info, err)
	}
}

// loginsIn counts the lines of a directory, unauthenticated calls separately.
func loginsIn(t *testing.T, dir string) (logins, unauthenticated int) {
	t.Helper()
	for _, line := range linesIn(t, dir) {
		if line.Outcome == recording.OutcomeCaller {
			unauthenticated++
		} else {
			logins++
		}
	}
	return logins, unauthenticated
}

func bytesIn(t *testing.T, dir string) (sum int64) {
	t.Helper()
	for _, name := range recordings(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}
