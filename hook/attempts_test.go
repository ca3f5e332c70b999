package hook_test

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/hook"
	"ferry/outcome"
	"ferry/test/await"
	"ferry/upstream"
	"ferry/wire"
)

// delivered sets the id of a delivery, as Kratos 25.4 and later do.
func delivered(id string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Ory-Webhook-Trigger-Id", id) }
}

// clock is a clock that tests advance.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// TestRedelivery: a re-delivery gets the outcome of the first delivery for two minutes
// after its arrival.
func TestRedelivery(t *testing.T) {
	f := alice()
	time := &clock{now: time.Now()}
	h := start(t, f, func(o *hook.Options) { o.Now = time.Now })
	step := func(what, body, id, want string, asked int) {
		t.Helper()
		if got := h.post(t, body, delivered(id)); got.body != want || f.asked() != asked {
			t.Fatalf("%s: %+v, asked %d times, want %d", what, got, f.asked(), asked)
		}
	}
	f.askErr = &upstream.LoginError{Outcome: outcome.Unavailable}
	step("first", login(), "t-1", unavailable, 1)
	f.askErr = nil
	step("again", login(), "t-1", unavailable, 1)
	step("another password", strings.ReplaceAll(login(), canary, canary+"x"), "t-1", matched, 2)
	step("another delivery", login(), "t-2", matched, 3)
	step("again", login(), "t-2", matched, 3)
	f.identity.Active = false
	step("the identity was deactivated meanwhile", login(), "t-2", noMatch, 3)
	f.identity.Active = true
	f.identity.Pending = false
	step("the identity has a password meanwhile", login(), "t-2", unavailable, 3)
	f.identity.Pending = true
	f.identity.Binding.Subjects = []string{"auth0|bob"}
	step("the identity was bound to another user meanwhile", login(), "t-2", noMatch, 3)
	f.identity.Binding.Subjects = []string{aliceSub}
	time.advance(63 * second)
	step("the third delivery", login(), "t-2", matched, 3)
	time.advance(56 * second)
	step("after almost two minutes", login(), "t-2", matched, 3)
	time.advance(second)
	step("after two minutes", login(), "t-2", matched, 4)
}

const second = time.Second

// TestUnnamedRedelivery: Kratos 1.3.1 sends no delivery id. An identical login gets
// the outcome of the first for 100 s, and no other login does.
func TestUnnamedRedelivery(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
		kept bool
	}{
		"match":         {nil, matched, true},
		"mismatch":      {&upstream.LoginError{Outcome: outcome.Mismatch}, noMatch, true},
		"mfa_required":  {&upstream.LoginError{Outcome: outcome.MFARequired}, noMatch, true},
		"blocked":       {&upstream.LoginError{Outcome: outcome.Blocked}, noMatch, true},
		"denied":        {&upstream.LoginError{Outcome: outcome.Denied}, noMatch, true},
		"leaked":        {&upstream.LoginError{Outcome: outcome.Leaked}, noMatch, true},
		"throttled":     {&upstream.LoginError{Outcome: outcome.Throttled}, noMatch, true},
		"suspicious":    {&upstream.LoginError{Outcome: outcome.Suspicious}, unavailable, false},
		"limited":       {&upstream.LoginError{Outcome: outcome.Limited}, unavailable, false},
		"unavailable":   {&upstream.LoginError{Outcome: outcome.Unavailable}, unavailable, false},
		"misconfigured": {&upstream.LoginError{Outcome: outcome.Misconfigured}, unavailable, false},
		"garbled":       {&upstream.LoginError{Outcome: outcome.InvalidResponse}, unavailable, false},
		"unknown error": {io.ErrUnexpectedEOF, unavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := alice()
			f.askErr = c.err
			time := &clock{now: time.Now()}
			h := start(t, f, func(o *hook.Options) { o.Now, o.TrustedProxies = time.Now, 1 })
			step := func(what, body, want string, asked int) {
				t.Helper()
				if got := h.post(t, body); got.body != want || f.asked() != asked {
					t.Fatalf("%s: %+v, asked %d times, want %d", what, got, f.asked(), asked)
				}
			}
			step("first", login(), c.want, 1)
			asked := 1
			if !c.kept {
				asked++
			}
			step("again", login(), c.want, asked)
			if !c.kept {
				return
			}
			f.askErr = nil // for example, the password was reset at Auth0
			step("another password", strings.ReplaceAll(login(), canary, canary+"x"), matched, 2)
			step("another address", strings.TrimSuffix(login(), "}")+`,"client":{"ip":"203.0.113.9"}}`, matched, 3)
			time.advance(99 * second)
			step("the last delivery", login(), c.want, 3)
			time.advance(second)
			step("later", login(), matched, 4)
		})
	}
}

// TestCallerDisconnects: a caller that disconnects does not cancel the login of
// another, and its own re-delivery finds the outcome.
func TestCallerDisconnects(t *testing.T) {
	f := alice()
	release := make(chan struct{})
	f.ask = func() { <-release }
	h := start(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+wire.MigrationPath, strings.NewReader(login()))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Ory-Webhook-Trigger-Id", "t-1")
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Error("it was answered")
		}
	}()
	wait(t, func() bool { return f.asked() == 1 })
	stays := make(chan answer)
	go func() { stays <- h.post(t, login()) }()
	wait(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.identifier) == 2 })
	cancel()
	<-left
	close(release)
	if got := <-stays; got.body != matched {
		t.Errorf("the caller that stayed: %+v", got)
	}
	got := h.post(t, login(), delivered("t-1"))
	if got.body != matched {
		t.Errorf("the re-delivery: %+v", got)
	}
	if f.asked() > 2 {
		t.Errorf("asked %d times", f.asked())
	}
}

// TestForwardedAddress: the address sent to Auth0 is the one that the trusted proxies
// added.
func TestForwardedAddress(t *testing.T) {
	for name, c := range map[string]struct {
		header  string
		proxies int
		want    string
	}{
		"one proxy":          {"203.0.113.9", 1, "203.0.113.9"},
		"forged on the left": {"192.0.2.66, 203.0.113.9", 1, "203.0.113.9"},
		"two proxies":        {"192.0.2.66,203.0.113.9,198.51.100.7", 2, "203.0.113.9"},
		"several lines":      {"192.0.2.66, 203.0.113.9, 198.51.100.7", 2, "203.0.113.9"},
		"IPv6":               {"2001:db8::1", 1, "2001:db8::1"},
		"IPv6 in brackets":   {"[2001:db8::1]:4711", 1, "2001:db8::1"},
		"IPv4 in IPv6":       {"::ffff:203.0.113.9", 1, "203.0.113.9"},
		"with port":          {"203.0.113.9:4711", 1, "203.0.113.9"},
		"no proxies":         {"203.0.113.9", 0, ""},
		"too few":            {"203.0.113.9", 2, ""},
		"none":               {"", 1, ""},
		"private":            {"10.0.0.1", 1, ""},
		"private IPv6":       {"fd00::1", 1, ""},
		"loopback":           {"127.0.0.1", 1, ""},
		"link-local":         {"169.254.1.1", 1, ""},
		"carrier NAT":        {"100.64.0.1", 1, ""},
		"unspecified":        {"0.0.0.0", 1, ""},
		"with zone":          {"fe80::1%eth0", 1, ""},
		"not an address":     {"unknown", 1, ""},
		"empty entry":        {"203.0.113.9, ", 1, ""},
		"header smuggling":   {"203.0.113.9\\r\\nX: y", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := alice()
			h := start(t, f, func(o *hook.Options) { o.TrustedProxies, o.ForwardClientIP = c.proxies, true })
			if got := h.post(t, `{"identifier":"a","password":"x","client":{"ip":"`+c.header+`"}}`); got.body != matched {
				t.Fatalf("%+v", got)
			}
			want := netip.Addr{}
			if c.want != "" {
				want = netip.MustParseAddr(c.want)
			}
			if got := f.sentCredentials[0].ClientIP; got != want {
				t.Errorf("Auth0 got %v, want %v", got, want)
			}
		})
	}
}

func TestAddressIsNotForwardedByDefault(t *testing.T) {
	f := alice()
	h := start(t, f, func(o *hook.Options) { o.TrustedProxies = 1 })
	h.post(t, `{"identifier":"a","password":"x","client":{"ip":"203.0.113.9"}}`)
	if got := f.sentCredentials[0].ClientIP; got.IsValid() {
		t.Errorf("Auth0 got %v", got)
	}
}

// TestCustomRealms: in a custom realm, where case matters, Auth0 gets the identifier
// as the trait spells it.
func TestCustomRealms(t *testing.T) {
	for realm, want := range map[string]string{"users": stored, "legacy": "Alice@Example.org"} {
		f := alice()
		f.identity.Trait = " Alice@Example.org"
		f.identity.Binding.Connection = realm
		h := start(t, f, func(o *hook.Options) { o.CustomRealms = []string{"legacy"} })
		h.post(t, login())
		if got := f.sentCredentials[0].Username; got != want {
			t.Errorf("%s was asked about %q, want %q", realm, got, want)
		}
	}
}

// wait waits until done returns true.
func wait(t *testing.T, done func() bool) {
	t.Helper()
	if !await.True(done) {
		t.Fatal("timed out")
	}
}
