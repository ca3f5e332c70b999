package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"ferry/test/auth0sim"
	"ferry/transport"
	"ferry/upstream"
)

// recorded returns an answer for a stub.
func recorded(status int, mediaType, retryAfter, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {mediaType}, "Retry-After": {retryAfter}},
		Body: io.NopCloser(bytes.NewReader([]byte(body))),
	}
}

// pipe is a network inside the process, so that waiting for it counts as blocked in a
// synctest bubble and the fake time advances.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipe) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipe) Close() error   { close(p.done); return nil }
func (p pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// bubble is a test whose simulator and client use the fake clock of synctest.
type bubble struct {
	*testing.T

	sim *auth0sim.Server
	m   *upstream.Management
}

// inBubble runs a test in a synctest bubble.
func inBubble(t *testing.T, perSecond float64, test func(bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim, err := auth0sim.New(auth0sim.Config{Tenant: managedTenant(auth0sim.ScopeUpdateUsers)})
		if err != nil {
			t.Fatal(err)
		}
		network := pipe{make(chan net.Conn), make(chan struct{})}
		srv := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: time.Hour}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(network) }()
		wire := transport.New(transport.Options{Dial: network.dial})
		test(bubble{t, sim, newManagement(t, sim, func(o *upstream.ManagementOptions) {
			o.BaseURL, o.Transport, o.PerSecond = "http://sim.test", wire, perSecond
		})})
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// TestLimitsAreWaitedOut: the client waits as long as the header says, from 1 to 10
// seconds, at most twice.
func TestLimitsAreWaitedOut(t *testing.T) {
	const midnight = 946684800 // when a bubble begins: 1 January 2000
	in := func(seconds int) string { return strconv.Itoa(midnight + seconds) }
	for name, c := range map[string]struct {
		header, value string
		path          string
		times         int
		waited        time.Duration
		fails         bool
	}{
		"reset":                  {"X-Ratelimit-Reset", in(3), auth0sim.PathUsers, 1, 3 * time.Second, false},
		"reset, twice":           {"X-Ratelimit-Reset", in(3), auth0sim.PathUsers, 2, 4 * time.Second, false},
		"reset long ago":         {"X-Ratelimit-Reset", "1", auth0sim.PathUsers, 1, time.Second, false},
		"reset too late":         {"X-Ratelimit-Reset", in(3600), auth0sim.PathUsers, 1, 10 * time.Second, false},
		"reset unreadable":       {"X-Ratelimit-Reset", "soon", auth0sim.PathUsers, 1, time.Second, false},
		"retry after":            {"Retry-After", "7", auth0sim.PathUsers, 1, 7 * time.Second, false},
		"retry after, too late":  {"Retry-After", "65535", auth0sim.PathUsers, 1, 10 * time.Second, false},
		"retry after, too large": {"Retry-After", "99999999999999999999", auth0sim.PathUsers, 1, time.Second, false},
		"retry after, a date":    {"Retry-After", "Sat, 01 Jan 2000 00:00:05 GMT", auth0sim.PathUsers, 1, 5 * time.Second, false},
		"no header":              {"X-Other", "1", auth0sim.PathUsers, 1, time.Second, false},
		"three times":            {"Retry-After", "2", auth0sim.PathUsers, 3, 4 * time.Second, true},
		"the token":              {"Retry-After", "2", auth0sim.PathToken, 2, 4 * time.Second, false},
		"the token, three times": {"Retry-After", "2", auth0sim.PathToken, 3, 4 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1000, func(b bubble) {
				began := time.Now()
				setFault(b.T, b.sim, auth0sim.Fault{
					Name: auth0sim.FaultAnswer, Status: 429, Path: c.path, Times: c.times,
					Headers: map[string]string{c.header: c.value}, Body: `{"errorCode":"too_many_requests"}`,
				})
				err := mark(b.Context(), b.m)
				if waited := time.Since(began).Truncate(time.Second); waited != c.waited {
					b.Errorf("waited %s, want %s", waited, c.waited)
				}
				if c.fails {
					if got := failure(b.T, err); got.Status != 429 || !got.Temporary {
						b.Errorf("got %+v", got)
					}
				} else if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// TestTheTenantsLimit: two waits suffice for the rate limit of the simulator.
func TestTheTenantsLimit(t *testing.T) {
	inBubble(t, 1000, func(b bubble) {
		if err := b.sim.Configure(func(s *auth0sim.Settings) { s.Management.Enabled = true }); err != nil {
			b.Fatal(err)
		}
		for range 7 {
			if err := mark(b.Context(), b.m); err != nil {
				b.Fatal(err)
			}
		}
		if n := b.sim.UserWrites(ada); n < 8 || n > 11 || b.sim.TokenRequests() != 1 {
			b.Errorf("%d writes for 7 marks", n)
		}
	})
}

// TestOwnLimit: ferry's own limit keeps it below the limit of Auth0.
func TestOwnLimit(t *testing.T) {
	inBubble(t, 2, func(b bubble) {
		if err := b.sim.Configure(func(s *auth0sim.Settings) { s.Management.Enabled = true }); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		for range 7 {
			if err := mark(b.Context(), b.m); err != nil {
				b.Fatal(err)
			}
		}
		if took := time.Since(began); took < 3*time.Second || took > 3100*time.Millisecond || b.sim.UserWrites(ada) != 7 {
			b.Errorf("took %s, %d writes", took, b.sim.UserWrites(ada))
		}
		ctx, cancel := context.WithTimeout(b.Context(), 100*time.Millisecond)
		defer cancel()
		if got := failure(b.T, mark(ctx, b.m)); got.Reason != "own_rate_limit" || !got.Temporary || b.sim.UserWrites(ada) != 7 {
			b.Errorf("got %+v", got)
		}
	})
}

// TestLimitBeyondTheDeadline: no wait goes beyond the deadline of the caller.
func TestLimitBeyondTheDeadline(t *testing.T) {
	for name, waits := range map[string]time.Duration{"known before": 2 * time.Second, "ends while waiting": 0} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1000, func(b bubble) {
				setFault(b.T, b.sim, auth0sim.Fault{
					Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerManagementTooManyRequests, Path: auth0sim.PathUsers,
					Headers: map[string]string{"Retry-After": "5"},
				})
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				if waits > 0 {
					ctx, cancel = context.WithTimeout(ctx, waits)
					defer cancel()
				} else {
					time.AfterFunc(3*time.Second, cancel)
				}
				began := time.Now()
				err := mark(ctx, b.m)
				got, took := failure(b.T, err), time.Since(began)
				want := upstream.ManagementError{Status: 429, Code: "too_many_requests", Temporary: true, Reason: "limited"}
				if got != want || b.sim.UserWrites(ada) != 1 {
					b.Errorf("got %+v, %+v", got, b.sim.Counters())
				}
				if gone := waits == 0; errors.Is(err, context.Canceled) != gone || gone != (took >= 3*time.Second) {
					b.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
}
