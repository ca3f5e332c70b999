package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ferry/outcome"
	"ferry/secret"
	"ferry/transport"
	"ferry/upstream"
)

// guarded is a tenant and a client with a guard, both on the fake clock of synctest. By
// default the tenant says that every password is wrong.
type guarded struct {
	*testing.T

	tn      *tenant
	client  *upstream.Client
	guard   *upstream.Guard
	metrics *prometheus.Registry
	logs    *observer.ObservedLogs
	down    atomic.Bool // no connection to the tenant
}

// inGuardedBubble runs a test in a synctest bubble.
func inGuardedBubble(t *testing.T, perSecond int, test func(g *guarded)) {
	t.Helper()
	key() // slow, and the clock would advance
	synctest.Test(t, func(t *testing.T) {
		g := &guarded{T: t, tn: &tenant{calls: map[string]int{}}, metrics: prometheus.NewRegistry()}
		g.tn.token = wrongPassword()
		g.tn.jwks = sendJSON(http.StatusOK, keySet("k1", key()))
		g.tn.userinfo = sendJSON(http.StatusOK, `{"sub":"auth0|alice"}`)
		network := pipe{make(chan net.Conn), make(chan struct{})}
		srv := &http.Server{Handler: http.HandlerFunc(g.tn.serve), ReadHeaderTimeout: time.Hour}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(network) }()
		wire := transport.New(transport.Options{Dial: func(ctx context.Context, network_, address string) (net.Conn, error) {
			if g.down.Load() {
				return nil, &net.OpError{Op: "dial", Net: network_, Err: syscall.ECONNREFUSED}
			}
			return network.dial(ctx, network_, address)
		}})
		core, logs := observer.New(zapcore.InfoLevel)
		g.logs = logs
		var err error
		if g.guard, err = upstream.NewGuard(upstream.GuardOptions{PerSecond: perSecond, Log: zap.New(core), Metrics: g.metrics, Now: time.Now}); err != nil {
			t.Fatal(err)
		}
		if g.client, err = upstream.New(upstream.Options{
			Issuer: issuer, BaseURL: "http://tenant.test", ClientID: clientID, ClientAuth: upstream.SecretPost(clientID, secret.New("client-secret")),
			Scope: "openid", Timeout: 8 * time.Second, Transport: wire, Now: time.Now, Guard: g.guard,
		}); err != nil {
			t.Fatal(err)
		}
		test(g)
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func wrongPassword() http.HandlerFunc {
	return sendJSON(http.StatusForbidden, `{"error":"invalid_grant","error_description":"Wrong email or password."}`)
}

// with adds headers to an answer.
func with(answer http.HandlerFunc, header http.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		answer(w, r)
	}
}

// user returns the credentials of user i, in a network of their own that Auth0 is told.
func user(i int) upstream.Credentials {
	ip := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
	return upstream.Credentials{Username: fmt.Sprintf("user-%d@example.org", i), Password: secret.New(canary), Realm: "users", ClientIP: ip, From: ip}
}

// login verifies, and returns the outcome and the reason in one word; asked tells whether
// the password was sent.
func (g *guarded) login(c upstream.Credentials) (end string, asked bool) {
	g.Helper()
	before := g.tn.count("/oauth/token")
	_, err := g.client.Verify(g.Context(), c)
	synctest.Wait() // the tenant is done with it
	asked = g.tn.count("/oauth/token") > before
	var loginErr *upstream.LoginError
	switch {
	case err == nil:
		return "match", asked
	case !errors.As(err, &loginErr):
		g.Fatal(err)
	case loginErr.Outcome == outcome.Mismatch:
		return "mismatch", asked
	}
	if upstream.Unsent(loginErr.Reason) == asked {
		g.Errorf("%v, asked: %v", loginErr, asked)
	}
	return loginErr.Outcome.String() + " " + loginErr.Reason, asked
}

// advance waits on the fake clock.
func advance(d time.Duration) { <-time.After(d) }

// expect checks the end of a login.
func (g *guarded) expect(c upstream.Credentials, want string) {
	g.Helper()
	if end, _ := g.login(c); end != want {
		g.Errorf("%s, want %s", end, want)
	}
}

// metric returns the values of a metric by its only label.
func (g *guarded) metric(name string) string {
	g.Helper()
	families, err := g.metrics.Gather()
	if err != nil {
		g.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				values[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return fmt.Sprint(values)
}

// TestOwnRateLimit: no more requests are made than the operator allows, those for /userinfo
// and keys included, and a login beyond that is refused at once.
func TestOwnRateLimit(t *testing.T) {
	inGuardedBubble(t, 4, func(g *guarded) {
		for range 4 {
			g.expect(user(1), "mismatch")
		}
		g.expect(user(1), "limited own_rate_limit")
		advance(time.Second)
		g.tn.token = sendJSON(http.StatusOK, `{"access_token":"at-1"}`) // /userinfo tells whose
		began, matches := time.Now(), 0
		for time.Since(began) < 10*time.Second {
			if end, _ := g.login(user(2)); end == "match" {
				matches++
			}
			advance(10 * time.Millisecond)
		}
		all := g.tn.count("/oauth/token") + g.tn.count("/userinfo") - 4
		if all > 4*11+1 || matches < 4*10/2 {
			g.Errorf("%d requests in 10 seconds, %d matches", all, matches)
		}
		if got := g.metric("ferry_auth0_refusals_total"); strings.Contains(got, "own_rate_limit:0") || !strings.Contains(got, "breaker_open:0") {
			g.Error(got)
		}
	})
}

// TestAuth0RateLimit: once Auth0 has told two users that nothing remains, nobody is asked
// about until it resets; a time that is not believable does not stop logins.
func TestAuth0RateLimit(t *testing.T) {
	in := func(seconds int) string { return strconv.Itoa(946684800 + seconds) } // a bubble begins on 1 January 2000
	classic := func(remaining, reset string) http.Header {
		return http.Header{"X-Ratelimit-Limit": {"30"}, "X-Ratelimit-Remaining": {remaining}, "X-Ratelimit-Reset": {reset}}
	}
	tooMany := sendJSON(http.StatusTooManyRequests, `{"error":"too_many_requests"}`)
	ok := wrongPassword()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		header http.Header
		want   time.Duration
	}{
		"something remains":              {ok, classic("1", in(20)), 0},
		"nothing remains":                {ok, classic("0", in(20)), 20 * time.Second},
		"nothing remains, an outage":     {sendJSON(http.StatusServiceUnavailable, `{}`), classic("0", in(20)), 20 * time.Second},
		"in the past":                    {ok, classic("0", "1"), 0},
		"negative reset":                 {ok, classic("0", "-1"), 0},
		"negative remaining":             {ok, classic("-1", in(20)), 0},
		"too late":                       {ok, classic("0", in(61)), 0},
		"huge":                           {ok, classic("0", "9223372036854775807"), 0},
		"more than huge":                 {ok, classic("0", "99999999999999999999"), 0},
		"not a number":                   {ok, classic("0", "soon"), 0},
		"a number with a fraction":       {ok, classic("0.0", in(20)), 0},
		"no reset":                       {ok, http.Header{"X-Ratelimit-Remaining": {"0"}}, 0},
		"remaining, twice":               {ok, http.Header{"X-Ratelimit-Remaining": {"0", "0"}, "X-Ratelimit-Reset": {in(20)}}, 0},
		"reset, twice":                   {ok, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {in(20), in(20)}}, 0},
		"another clock":                  {ok, http.Header{"Date": {"Sat, 01 Jan 2000 01:00:00 GMT"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {in(3620)}}, 20 * time.Second},
		"Auth0-RateLimit":                {ok, http.Header{"Auth0-Ratelimit": {`"login";q=100;r=0;t=12`}}, 12 * time.Second},
		"Auth0-RateLimit, the tightest":  {ok, http.Header{"Auth0-Ratelimit": {`b=per_hour;q=100;r=99;t=50,b=per_second;q=30;r=0;t=2`}}, 2 * time.Second},
		"Auth0-RateLimit, older form":    {ok, http.Header{"Auth0-Ratelimit": {`limit=30, remaining=0, reset=7`}}, 7 * time.Second},
		"Auth0-RateLimit, remains":       {ok, http.Header{"Auth0-Ratelimit": {`"login";q=100;r=5;t=12`}}, 0},
		"Auth0-RateLimit, negative":      {ok, http.Header{"Auth0-Ratelimit": {`"login";q=100;r=-1;t=12`}}, 0},
		"Auth0-RateLimit, twice":         {ok, http.Header{"Auth0-Ratelimit": {`r=0;r=0;t=12`}}, 0},
		"Auth0-RateLimit, huge":          {ok, http.Header{"Auth0-Ratelimit": {`r=0;t=4000000000000`}}, 0},
		"Auth0-RateLimit, nonsense":      {ok, http.Header{"Auth0-Ratelimit": {`=;,==,r;t;"`}}, 0},
		"429":                            {tooMany, nil, time.Second},
		"429, reset":                     {tooMany, classic("0", in(20)), 20 * time.Second},
		"429, retry after":               {tooMany, http.Header{"Retry-After": {"30"}}, 30 * time.Second},
		"429, retry after, a date":       {tooMany, http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:00:40 GMT"}}, 40 * time.Second},
		"429, retry after, a past date":  {tooMany, http.Header{"Retry-After": {"Fri, 31 Dec 1999 00:00:40 GMT"}}, time.Second},
		"429, retry after, twice":        {tooMany, http.Header{"Retry-After": {"30", "30"}}, time.Second},
		"429, retry after, negative":     {tooMany, http.Header{"Retry-After": {"-30"}}, time.Second},
		"429, retry after, a day":        {tooMany, http.Header{"Retry-After": {"86400"}}, time.Minute},
		"429, retry after, huge":         {tooMany, http.Header{"Retry-After": {"99999999999999999999"}}, time.Second},
		"429, retry after, not a number": {tooMany, http.Header{"Retry-After": {"NaN"}}, time.Second},
		"429, reset in a year":           {tooMany, classic("0", in(31_536_000)), time.Minute},
		"the tenant's limit":             {sendJSON(http.StatusInternalServerError, `{"error":"access_denied","error_description":"Global limit has been reached"}`), nil, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inGuardedBubble(t, 0, func(g *guarded) {
				g.tn.token = with(c.answer, c.header)
				g.waits(c.want)
			})
		})
	}
}

// waits checks for how long nobody is asked about, after two users were.
func (g *guarded) waits(want time.Duration) {
	g.Helper()
	for i := range 2 {
		if end, asked := g.login(user(i)); !asked {
			g.Fatal(end)
		}
	}
	g.tn.token = wrongPassword()
	if want > 0 {
		advance(want - time.Millisecond)
		g.expect(user(3), "limited auth0_rate_limit")
		if g.guard.State().WaitsUntil.IsZero() || g.logs.FilterMessageSnippet("rate limit is used up").Len() != 1 {
			g.Errorf("%+v, %v", g.guard.State(), g.logs.All())
		}
		advance(time.Millisecond)
	}
	g.expect(user(3), "mismatch")
	if !g.guard.State().WaitsUntil.IsZero() {
		g.Errorf("%+v", g.guard.State())
	}
}

// TestRateLimitMetrics: what the last answer told, as metrics.
func TestRateLimitMetrics(t *testing.T) {
	inGuardedBubble(t, 0, func(g *guarded) {
		g.tn.token = with(wrongPassword(), http.Header{"X-Ratelimit-Limit": {"30"}, "X-Ratelimit-Remaining": {"29"}, "Auth0-Ratelimit": {"r=7;t=1"}})
		g.login(user(1))
		if got := g.metric("ferry_auth0_rate_limit_remaining") + g.metric("ferry_auth0_rate_limit"); got != "map[auth0-ratelimit:7 x-ratelimit:29]map[x-ratelimit:30]" {
			g.Error(got)
		}
	})
}

// TestLimitsOfOneUser: what Auth0 says of one user or one address stops no other user.
func TestLimitsOfOneUser(t *testing.T) {
	nothing := http.Header{"X-Ratelimit-Limit": {"10"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"946684840"}}
	tooMany := func(code, text string) http.HandlerFunc {
		return with(sendJSON(http.StatusTooManyRequests, fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, text)), nothing)
	}
	const blocked = "Your account has been blocked after multiple consecutive login attempts."
	sameNetwork := func(i int) upstream.Credentials {
		c := user(i)
		c.ClientIP, c.From = user(1).ClientIP, user(1).From
		return c
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		from   func(int) upstream.Credentials
	}{
		"one user's rate":                  {tooMany("too_many_logins", ""), user},
		"one user is blocked":              {tooMany("too_many_attempts", blocked), user},
		"an address that Auth0 was told":   {tooMany("too_many_attempts", ""), user},
		"one user, nothing remains":        {with(wrongPassword(), nothing), func(int) upstream.Credentials { return user(1) }},
		"one user, 429":                    {tooMany("too_many_requests", ""), func(int) upstream.Credentials { return user(1) }},
		"one network, 429":                 {tooMany("too_many_requests", ""), sameNetwork},
		"one network, nothing remains":     {with(wrongPassword(), nothing), sameNetwork},
		"/userinfo, a limit for each user": {sendJSON(http.StatusOK, `{"access_token":"at-1"}`), user},
	} {
		t.Run(name, func(t *testing.T) {
			inGuardedBubble(t, 0, func(g *guarded) {
				g.tn.userinfo = with(sendJSON(http.StatusTooManyRequests, `{}`), nothing)
				g.tn.token = c.answer
				for i := range 20 {
					g.login(c.from(i + 1))
				}
				g.tn.token = wrongPassword()
				g.expect(user(100), "mismatch")
			})
		})
	}
	t.Run("one user, and another after an answer without a limit", func(t *testing.T) {
		inGuardedBubble(t, 0, func(g *guarded) {
			for i := range 2 {
				g.tn.token = tooMany("too_many_requests", "")
				g.login(user(i + 1))
				g.tn.token = wrongPassword()
				g.expect(user(100), "mismatch")
			}
		})
	})
}
