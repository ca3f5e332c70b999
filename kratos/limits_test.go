package kratos

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"ferry/jsonpatch"
	"ferry/outcome"
)

// limiter is an admin API that first answers 429, then with answer.
type limiter struct {
	*httptest.Server
	refusals []http.Header // the headers of each 429
	answer   string
	bodies   []string
}

func startLimiter(t *testing.T, answer string, refusals ...http.Header) *limiter {
	t.Helper()
	l := &limiter{refusals: refusals, answer: answer}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		l.bodies = append(l.bodies, string(body))
		if n := len(l.bodies); n <= len(l.refusals) {
			for name, values := range l.refusals[n-1] {
				w.Header()[name] = values
			}
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":{"code":429}}`)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, l.answer)
	}))
	t.Cleanup(l.Close)
	return l
}

// limitedClient waits for up to ten minutes on a clock that each wait advances at
// once.
func limitedClient(t *testing.T, l *limiter, wait time.Duration, slept *[]time.Duration) *Client {
	t.Helper()
	c, err := New(Options{AdminURL: l.URL, Timeout: time.Minute, Transport: l.Client().Transport, RateLimitWait: wait})
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []*http.Client{c.one.http, c.many.http} {
		d, _ := client.Transport.(deadline)
		if p, ok := d.next.(retrier); ok {
			p.now = func() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }
			p.sleep = func(ctx context.Context, wait time.Duration) error {
				*slept = append(*slept, wait)
				return ctx.Err()
			}
			client.Transport = deadline{p, d.timeout}
		}
	}
	return c
}

func after(name, value string) http.Header { return http.Header{name: {value}} }

const limitedIdentity = `{"id":"00000000-0000-4000-8000-000000000001","state":"active","traits":{},"metadata_public":null,"metadata_admin":null,` +
	`"credentials":{"password":{"identifiers":["kim@example.org"],"config":{"use_password_migration_hook":true}}}}`

// TestRateLimitIsWaitedFor: the client waits as long as the answer says, in any of its
// header formats.
func TestRateLimitIsWaitedFor(t *testing.T) {
	const ten = 10 * time.Minute
	for name, c := range map[string]struct {
		refusals []http.Header
		wait     time.Duration
		slept    []time.Duration
		fails    bool
	}{
		"seconds":        {[]http.Header{after("Retry-After", "7"), after("Retry-After", "0")}, ten, []time.Duration{7 * time.Second, time.Second}, false},
		"a date":         {[]http.Header{after("Retry-After", "Sat, 28 Nov 2026 12:01:30 GMT")}, ten, []time.Duration{90 * time.Second}, false},
		"a date gone":    {[]http.Header{after("Retry-After", "Sat, 28 Nov 2026 11:00:00 GMT")}, ten, []time.Duration{time.Second}, false},
		"Ory's reset":    {[]http.Header{after("X-Ratelimit-Reset", "43")}, ten, []time.Duration{43 * time.Second}, false},
		"not said":       {[]http.Header{nil, after("Retry-After", "soon"), nil}, ten, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, false},
		"beyond bounds":  {[]http.Header{after("Retry-After", "601")}, ten, nil, true},
		"again, beyond":  {[]http.Header{after("Retry-After", "400"), after("Retry-After", "201")}, ten, []time.Duration{400 * time.Second}, true},
		"at a login":     {[]http.Header{after("Retry-After", "1")}, 0, nil, true},
		"without limits": {nil, ten, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLimiter(t, limitedIdentity, c.refusals...)
			var slept []time.Duration
			_, err := limitedClient(t, l, c.wait, &slept).Read(t.Context(), "00000000-0000-4000-8000-000000000001")
			var fault *Error
			if c.fails != (errors.As(err, &fault) && fault.Status == http.StatusTooManyRequests && fault.Outcome == outcome.Unavailable) || !c.fails && err != nil {
				t.Errorf("got %v", err)
			}
			if !slices.Equal(slept, c.slept) || len(l.bodies) != len(c.slept)+1 {
				t.Errorf("waited %v, asked %d times", slept, len(l.bodies))
			}
		})
	}
}

// TestRateLimitIsWaitedForByEveryCall: batches and patches are sent again in full.
func TestRateLimitIsWaitedForByEveryCall(t *testing.T) {
	const id = "00000000-0000-4000-8000-000000000001"
	for name, c := range map[string]struct {
		answer string
		call   func(context.Context, *Client) error
	}{
		"walk":   {`[` + limitedIdentity + `]`, func(ctx context.Context, c *Client) error { return c.Walk(ctx, func(Record) error { return nil }) }},
		"owners": {`[]`, func(ctx context.Context, c *Client) error { _, err := c.Owners(ctx, "kim@example.org"); return err }},
		"exist":  {`[]`, func(ctx context.Context, c *Client) error { _, err := c.Exist(ctx, []string{id}); return err }},
		"patch": {limitedIdentity, func(ctx context.Context, c *Client) error {
			_, err := c.Patch(ctx, id, []jsonpatch.Op{{Op: "add", Path: "/traits/name", Value: "Kim"}})
			return err
		}},
		"schema":  {`{}`, func(ctx context.Context, c *Client) error { _, err := c.Schema(ctx, "preset://email"); return err }},
		"version": {`{"version":"v26.2.0"}`, func(ctx context.Context, c *Client) error { _, err := c.Version(ctx); return err }},
		"batch": {`{"identities":[]}`, func(ctx context.Context, c *Client) error {
			_, err := c.CreateBatch(ctx, [][]byte{[]byte(`{"traits":{}}`)})
			var fault *Error
			if errors.As(err, &fault) && fault.Reason == "batch_length" {
				return nil // it was answered; the fixed answer has no id of the item
			}
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLimiter(t, c.answer, after("Retry-After", "2"), nil)
			var slept []time.Duration
			if err := c.call(t.Context(), limitedClient(t, l, time.Minute, &slept)); err != nil {
				t.Error(err)
			}
			if len(slept) != 2 || len(l.bodies) < 3 || l.bodies[0] != l.bodies[1] || l.bodies[1] != l.bodies[2] {
				t.Errorf("waited %v, sent %q", slept, l.bodies)
			}
		})
	}
}

// TestRateLimitEndsWithItsCaller: the wait ends when the caller gives up.
func TestRateLimitEndsWithItsCaller(t *testing.T) {
	l := startLimiter(t, limitedIdentity, after("Retry-After", "200"))
	c, err := New(Options{AdminURL: l.URL, Timeout: time.Minute, Transport: l.Client().Transport, RateLimitWait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d, _ := c.one.http.Transport.(deadline)
	p, _ := d.next.(retrier)
	p.sleep = func(ctx context.Context, wait time.Duration) error {
		cancel()
		return sleep(ctx, wait)
	}
	c.one.http.Transport = deadline{p, d.timeout}
	var fault *Error
	if _, err := c.Read(ctx, "x"); !errors.As(err, &fault) || fault.Reason != "caller_gone" {
		t.Errorf("got %v", err)
	}
	short, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := sleep(short, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a wait that its caller will not see the end of: %v", err)
	}
}
