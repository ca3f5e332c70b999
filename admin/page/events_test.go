package page_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"ferry/admin/page"
	"ferry/test/await"
	"ferry/test/pagetest"
)

// viewer reads the events of a page.
type viewer struct {
	resp  *http.Response
	lines *bufio.Scanner
}

func (o *operator) watch(t *testing.T) *viewer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.URL+"/page/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &viewer{resp, bufio.NewScanner(resp.Body)}
}

// next returns the data of the next event with this name; empty: the stream has ended.
func (v *viewer) next(event string) string {
	for v.lines.Scan() {
		if v.lines.Text() == "event: "+event && v.lines.Scan() {
			return strings.TrimPrefix(v.lines.Text(), "data: ")
		}
	}
	return ""
}

// TestEvents: viewers hear when the page has changed, for longer than the server's time limits
// for a request, and the stream ends when the server stops.
func TestEvents(t *testing.T) {
	t.Parallel()
	o := start(t, pagetest.Empty(), nil)
	v := o.watch(t)
	if v.resp.StatusCode != http.StatusOK || v.resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Fatal(v.resp.Status)
	}
	seen := v.next("changed")
	_, text := o.send(t, http.MethodGet, "/", "")
	if seen == "" || !strings.Contains(text, `data-digest="`+seen+`"`) {
		t.Errorf("the event names %q, not the page", seen)
	}
	for _, s := range []pagetest.Situation{pagetest.Middle(), pagetest.Done()} {
		o.now.Store(&s)
		now := v.next("changed")
		if now == "" || now == seen {
			t.Fatalf("after a change: %q, before: %q", now, seen)
		}
		seen = now
	}
	stopped := make(chan error, 1)
	began := time.Now()
	go func() { stopped <- o.Config.Shutdown(t.Context()) }()
	if got := v.next("changed"); got != "" {
		t.Errorf("an event after the stop: %s", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// TestViewers: the number of viewers is bounded, and a viewer who leaves makes room.
func TestViewers(t *testing.T) {
	t.Parallel()
	o := start(t, pagetest.Empty(), nil)
	var viewers []*viewer
	for {
		v := o.watch(t)
		if v.resp.StatusCode != http.StatusOK {
			if v.resp.StatusCode != http.StatusServiceUnavailable || v.resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s", v.resp.Status)
			}
			break
		}
		if viewers = append(viewers, v); len(viewers) > 100 {
			t.Fatal("there is no limit")
		}
	}
	if len(viewers) != 20 {
		t.Errorf("%d viewers", len(viewers))
	}
	if resp, _ := o.send(t, http.MethodGet, "/", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the page: %s", resp.Status)
	}
	_ = viewers[0].resp.Body.Close()
	if !await.True(func() bool {
		v := o.watch(t)
		defer v.resp.Body.Close()
		return v.resp.StatusCode == http.StatusOK
	}) {
		t.Error("nobody may follow a viewer who left")
	}
}

// TestNew: what is required is required.
func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := page.New(page.Options{}); err == nil {
		t.Error("options that are not set are accepted")
	}
}
