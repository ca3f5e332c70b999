package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/await"
)

// lookups is a proxy for Kratos' admin API that counts how often ferry reads an
// identity, by its id or by an identifier.
type lookups struct {
	proxy *httputil.ReverseProxy
	down  atomic.Bool // it answers 503
	// before, if set, is called before the next request that creates identities.
	before atomic.Pointer[func()]

	mu   sync.Mutex
	told map[string]int64 // by id or identifier
}

func startLookups(t *testing.T, to string) (l *lookups, at string) {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l = &lookups{proxy: httputil.NewSingleHostReverseProxy(target), told: map[string]int64{}}
	transport := &http.Transport{MaxIdleConnsPerHost: 100} // so that bursts reuse connections
	t.Cleanup(transport.CloseIdleConnections)
	l.proxy.Transport = transport
	srv := httptest.NewServer(l)
	t.Cleanup(srv.Close)
	return l, srv.URL
}

func (l *lookups) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if creates := r.Method == http.MethodPost || r.Method == http.MethodPatch; creates && r.URL.Path == "/admin/identities" {
		if before := l.before.Swap(nil); before != nil {
			(*before)()
		}
	}
	l.proxy.ServeHTTP(w, r)
	if r.Method != http.MethodGet {
		return
	}
	asked, one := strings.CutPrefix(r.URL.Path, "/admin/identities/")
	if !one {
		asked = r.URL.Query().Get("credentials_identifier")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told[asked]++
}

// of returns how often ferry read the identity of a user.
func (l *lookups) of(p *person) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told[p.identity] + l.told[p.email]
}

// holding delays Auth0's answers until n first logins of a user have reached the point
// of asking it, or have ended, which ended counts. ferry must run with
// FERRY_AUTH0_TIMEOUT=20s.
func (p *person) holding(t *testing.T, n int64, ended *atomic.Int64) (release func()) {
	t.Helper()
	s := p.stack
	id, err := s.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Minute, Times: 1})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if !await.True(func() bool { return s.lookups.of(p)+ended.Load() >= n }) {
			t.Errorf("%d of %d logins reached Auth0", s.lookups.of(p), n)
		}
		// A login that has read the identity asks Auth0 next. Calls that complete after it
		// show that it had time to do so.
		for range 3 {
			if status := s.callHook(t, "nobody@example.org", "x"); status != http.StatusFailedDependency {
				t.Errorf("unknown user: status %d", status)
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
