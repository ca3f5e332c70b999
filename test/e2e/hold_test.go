package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

// lookups passes ferry's requests on to Kratos' admin API, and counts the identities
// that it was told.
type lookups struct {
	proxy *httputil.ReverseProxy
	told  atomic.Int64
}

func startLookups(t *testing.T, to string) (l *lookups, at string) {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l = &lookups{proxy: httputil.NewSingleHostReverseProxy(target)}
	transport := &http.Transport{MaxIdleConnsPerHost: 100} // or a crowd makes a connection each time
	t.Cleanup(transport.CloseIdleConnections)
	l.proxy.Transport = transport
	srv := httptest.NewServer(l)
	t.Cleanup(srv.Close)
	return l, srv.URL
}

var onePath = regexp.MustCompile(`^/admin/identities/[0-9a-f-]{36}$`)

func (l *lookups) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.proxy.ServeHTTP(w, r)
	if r.Method == http.MethodGet && onePath.MatchString(r.URL.Path) {
		l.told.Add(1)
	}
}

// holding keeps Auth0 from answering until n logins have got as far as to ask it, or
// have ended, which ended counts. ferry must have FERRY_AUTH0_TIMEOUT=20s.
func (s *stack) holding(t *testing.T, n int64, ended *atomic.Int64) (release func()) {
	t.Helper()
	id, err := s.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Minute, Times: 1})
	if err != nil {
		t.Fatal(err)
	}
	before := s.lookups.told.Load()
	return func() {
		t.Helper()
		deadline := time.After(18 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for s.lookups.told.Load()-before+ended.Load() < n {
			select {
			case <-tick.C:
			case <-deadline:
				t.Errorf("%d logins of %d came as far", s.lookups.told.Load()-before, n)
				n = 0
			}
		}
		// Who was told is about to ask: who comes after them comes later.
		for range 3 {
			if status := s.callHook(t, "nobody@example.org", "x"); status != http.StatusFailedDependency {
				t.Errorf("nobody gets %d", status)
			}
		}
		if err := s.sim.ClearFault(id); err != nil {
			t.Error(err)
		}
	}
}

// logged waits until ferry has logged text.
func (s *stack) logged(ctx context.Context, text string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(s.ferry.Logs(), text) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("ferry does not log %s: %w", text, ctx.Err())
		}
	}
	return nil
}
