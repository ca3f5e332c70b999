package hook_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"ferry/hook"
	"ferry/test/await"
	"ferry/wire"
)

// bounded is a hook that decides one login at a time, and lets some wait.
func bounded(t *testing.T, f *fakes, queued int) *harness {
	t.Helper()
	return start(t, f, func(o *hook.Options) { o.InFlight, o.Queued = 1, queued })
}

// gauge returns a metric without labels.
func (h *harness) gauge(t *testing.T, name string) float64 {
	t.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func loginWith(password string) string {
	return `{"identifier":"` + typed + `","password":"` + password + `"}`
}

// TestBulkhead: logins beyond those in flight and in the queue end at once as an outage, and
// nothing is asked; the others are decided.
func TestBulkhead(t *testing.T) {
	f, release := alice(), make(chan struct{})
	f.ask = func() { <-release }
	h := bounded(t, f, 1)
	var running sync.WaitGroup
	running.Go(func() { h.post(t, loginWith("first")) })
	if !await.True(func() bool { return f.asked() == 1 }) {
		t.Fatal("no login is in flight")
	}
	waiting := make(chan answer, 1)
	running.Go(func() { waiting <- h.post(t, loginWith("second")) })
	if !await.True(func() bool { return h.gauge(t, "ferry_logins_queued") == 1 }) {
		t.Fatal("no login waits")
	}
	for range 3 {
		if got := h.post(t, loginWith("another")); got.status != http.StatusFailedDependency || got.body != `{"status":"unavailable"}` {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	// Only the first is decided, so the second waits until its time is over.
	if got := <-waiting; got.status != http.StatusFailedDependency || f.asked() != 1 {
		t.Errorf("the login that waited: %d %s, asked %d times", got.status, got.body, f.asked())
	}
	close(release)
	running.Wait()
	if got := h.post(t, loginWith("afterwards")); got.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
	h.close()
	log := h.logged()
	if strings.Count(log, `"reason":"queue_full"`) != 3 || strings.Count(log, `"reason":"queue_time"`) != 1 {
		t.Error(log)
	}
	if f.asked() != 2 || h.gauge(t, "ferry_logins_in_flight") != 0 || h.gauge(t, "ferry_logins_queued") != 0 {
		t.Errorf("asked %d times, or somebody still has a turn", f.asked())
	}
}

// TestQueuedLoginIsDecided: a login that waits gets the turn that becomes free.
func TestQueuedLoginIsDecided(t *testing.T) {
	f, release := alice(), make(chan struct{})
	f.ask = func() { <-release }
	h := bounded(t, f, 10)
	var running sync.WaitGroup
	for i := range 5 {
		running.Go(func() {
			if got := h.post(t, loginWith(fmt.Sprint("pass ", i))); got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	if !await.True(func() bool { return h.gauge(t, "ferry_logins_queued") == 4 && f.asked() == 1 }) {
		t.Fatal("no logins wait")
	}
	close(release)
	running.Wait()
	if f.asked() != 5 {
		t.Errorf("asked %d times", f.asked())
	}
}

// TestSlowClients: a client that sends its request slowly, or does not read the answer, takes
// no turn from others.
func TestSlowClients(t *testing.T) {
	f := alice()
	h := bounded(t, f, 0)
	head := "POST " + wire.MigrationPath + " HTTP/1.1\r\nHost: ferry\r\nContent-Type: application/json\r\nAuthorization: Bearer " + key + "\r\n"
	body := loginWith("slow")
	for name, sent := range map[string]string{
		"header":  head,
		"body":    head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body[:len(body)-1]),
		"reading": head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body),
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		if name == "reading" && !await.True(func() bool { return f.asked() == 1 && h.gauge(t, "ferry_logins_in_flight") == 0 }) {
			t.Fatal("the login is not decided")
		}
	}
	if got := h.post(t, loginWith("quick")); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}
