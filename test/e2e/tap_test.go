package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// tap forwards requests to ferry and keeps the answers.
type tap struct {
	calls       atomic.Int64
	signUps     atomic.Int64 // calls of the after-registration hook
	connections atomic.Int64 // made by Kratos

	mu      sync.Mutex
	cut     int    // number of migration hook answers still to lose
	onCut   func() // called for each, instead of the answer
	late    chan struct{}
	trigger bool
	held    chan struct{}          // the after-login hook waits until it is closed
	noAfter bool                   // breaks the connections of the after-login hook
	other   *httputil.ReverseProxy // where that hook goes instead
	second  *httputil.ReverseProxy // where every other call of the migration hook goes instead
	forward *httputil.ReverseProxy
	answers bytes.Buffer
	after   bytes.Buffer // answers of the other hooks, which contain the profile
}

func (p *tap) forwardTo(t *testing.T, to string) {
	t.Helper()
	p.retarget(p.proxyTo(t, to))
}

// sendAfterLoginTo sends the after-login hook to another ferry.
func (p *tap) sendAfterLoginTo(t *testing.T, to string) {
	t.Helper()
	proxy := p.proxyTo(t, to)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.other = proxy
}

// spread sends every other call of the migration hook to another ferry.
func (p *tap) spread(t *testing.T, to string) {
	t.Helper()
	proxy := p.proxyTo(t, to)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.second = proxy
}

func (p *tap) target() *httputil.ReverseProxy {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forward
}

func (p *tap) retarget(proxy *httputil.ReverseProxy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forward = proxy
}

func (p *tap) proxyTo(t *testing.T, to string) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	transport := &http.Transport{DisableKeepAlives: true}
	proxy.Transport = transport
	proxy.ModifyResponse = p.keep
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	return proxy
}

func (p *tap) keep(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	if resp.Request.URL.Path == "/hooks/after-login" || resp.Request.URL.Path == "/hooks/after-registration" {
		fmt.Fprintln(&p.after, resp.Status, resp.Header, string(body))
		return nil
	}
	fmt.Fprintln(&p.answers, resp.Status, resp.Header, string(body))
	return nil
}

func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if r.URL.Path == "/hooks/after-login" {
		forward, broken, held := p.forward, p.noAfter, p.held
		if p.other != nil {
			forward = p.other
		}
		p.mu.Unlock()
		if held != nil {
			<-held
		}
		if broken {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/hooks/after-registration" {
		forward := p.forward
		p.mu.Unlock()
		p.signUps.Add(1)
		forward.ServeHTTP(w, r)
		return
	}
	n := p.calls.Add(1)
	forward, cut, onCut, late := p.forward, p.cut > 0, p.onCut, p.late
	if p.second != nil && n%2 == 0 {
		forward = p.second
	}
	p.cut, p.late, p.trigger = max(p.cut-1, 0), nil, r.Header.Get("Ory-Webhook-Trigger-Id") != ""
	p.mu.Unlock()
	if late != nil {
		<-late
	}
	if cut {
		forward.ServeHTTP(httptest.NewRecorder(), r)
		if onCut != nil {
			onCut()
		}
		panic(http.ErrAbortHandler)
	}
	forward.ServeHTTP(w, r)
}

// connection counts the connections that Kratos opens. It is an http.Server.ConnState.
func (p *tap) connection(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		p.connections.Add(1)
	}
}

// holdNext delays the next call of the migration hook until release is called.
func (p *tap) holdNext() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := make(chan struct{})
	p.late = late
	return sync.OnceFunc(func() { close(late) })
}

// holdAfterLogin delays the after-login hook until release is called.
func (p *tap) holdAfterLogin() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.held = held
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held = nil
		close(held)
	}
}

// breakAfterLogin makes ferry unreachable for the after-login hook.
func (p *tap) breakAfterLogin(broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noAfter = broken
}

// cutNext breaks Kratos' connection after each of the next n answers of ferry. Before
// each it calls also, unless that is nil.
func (p *tap) cutNext(n int, also func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.onCut = n, also
}

// sendsTriggerID reports whether the last call had a delivery id.
func (p *tap) sendsTriggerID() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trigger
}

func (p *tap) count() int { return int(p.calls.Load()) }

func (p *tap) kept() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers.String()
}

func (p *tap) keptAfter() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.after.String()
}
