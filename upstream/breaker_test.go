package upstream_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ferry/upstream"
)

// outages are the answers, or missing answers, of an Auth0 that is down.
func outages() map[string]func(g *guarded) {
	answers := func(answer http.HandlerFunc) func(*guarded) { return func(g *guarded) { g.tn.token = answer } }
	return map[string]func(g *guarded){
		"refused":       func(g *guarded) { g.down.Store(true) },
		"reset":         answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"hangs":         answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		"503":           answers(sendJSON(http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`)),
		"page":          answers(send(http.StatusBadGateway, "text/html", "<h1>502</h1>")),
		"firewall page": answers(send(http.StatusForbidden, "text/html", "<h1>denied</h1>")),
		"truncated":     answers(sendJSON(http.StatusOK, `{"access_token":"a`)),
		"/userinfo": func(g *guarded) {
			g.tn.token, g.tn.userinfo = sendJSON(http.StatusOK, `{"access_token":"at-1"}`), sendJSON(http.StatusBadGateway, `{}`)
		},
	}
}

// works repairs the tenant.
func (g *guarded) works() {
	g.down.Store(false)
	g.tn.token, g.tn.userinfo = wrongPassword(), sendJSON(http.StatusOK, `{"sub":"auth0|alice"}`)
}

// breaks makes five users fail.
func (g *guarded) breaks(outage func(*guarded)) {
	g.Helper()
	outage(g)
	for i := range 5 {
		if end, _ := g.login(user(i + 1)); strings.HasPrefix(end, "unavailable breaker") || end == "mismatch" {
			g.Fatalf("login %d: %s", i+1, end)
		}
	}
	g.expect(user(6), "unavailable breaker_open")
}

// TestBreaker: it opens when five users fail in a row, lets one login at a time through after
// five seconds, and closes when that one is answered.
func TestBreaker(t *testing.T) {
	for name, outage := range outages() {
		t.Run(name, func(t *testing.T) {
			inGuardedBubble(t, 0, func(g *guarded) {
				g.breaks(outage)
				advance(4900 * time.Millisecond)
				g.expect(user(7), "unavailable breaker_open")
				advance(200 * time.Millisecond)
				if end, _ := g.login(user(8)); strings.HasPrefix(end, "unavailable breaker") {
					g.Error("the probe:", end)
				}
				g.expect(user(9), "unavailable breaker_open") // the probe failed
				g.works()
				g.expect(user(9), "unavailable breaker_open")
				advance(5100 * time.Millisecond)
				g.probeAlone()
				for i := range 10 {
					g.expect(user(20+i), "mismatch")
				}
				if opened, closed := g.logs.FilterMessageSnippet("is open").Len(), g.logs.FilterMessageSnippet("is closed").Len(); opened != 2 || closed != 1 {
					g.Errorf("logged: opened %d times, closed %d times", opened, closed)
				}
			})
		})
	}
}

// probeAlone checks that no other login is verified during the probe, which is answered.
func (g *guarded) probeAlone() {
	g.Helper()
	release := make(chan struct{})
	g.tn.token = func(w http.ResponseWriter, r *http.Request) { <-release; wrongPassword()(w, r) }
	var probe sync.WaitGroup
	probe.Go(func() {
		if _, err := g.client.Verify(g.Context(), user(10)); err == nil || !strings.Contains(err.Error(), "mismatch") {
			g.Error("the probe:", err)
		}
	})
	synctest.Wait()
	sent := g.tn.count("/oauth/token")
	for i := range 10 {
		g.expect(user(20+i), "unavailable breaker_probing")
	}
	if g.guard.State().Breakers["users"] != "half-open" || g.tn.count("/oauth/token") != sent {
		g.Errorf("%v, %d logins asked beside the probe", g.guard.State(), g.tn.count("/oauth/token")-sent)
	}
	close(release)
	probe.Wait()
	synctest.Wait()
	g.works()
}

// TestBreakerOfOneConnection: a directory that is down does not stop the logins of others.
func TestBreakerOfOneConnection(t *testing.T) {
	inGuardedBubble(t, 0, func(g *guarded) {
		g.breaks(outages()["503"])
		g.works()
		other := user(7)
		other.Realm = "legacy"
		g.expect(other, "mismatch")
		g.expect(user(7), "unavailable breaker_open")
		if got := g.metric("ferry_auth0_breaker_state"); got != "map[legacy:0 users:2]" {
			g.Error(got)
		}
	})
}

// TestNoOutage: what opens no breaker, however many users it happens to.
func TestNoOutage(t *testing.T) {
	oauth := func(status int, code, text string) http.HandlerFunc {
		return sendJSON(status, fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, text))
	}
	unknown := func(h http.HandlerFunc) func(int) http.HandlerFunc {
		return func(int) http.HandlerFunc { return h }
	}
	for name, answer := range map[string]func(i int) http.HandlerFunc{
		"wrong passwords":          unknown(wrongPassword()),
		"second factors":           unknown(oauth(403, "mfa_required", "")),
		"blocked":                  unknown(oauth(401, "unauthorized", "user is blocked")),
		"denied":                   unknown(oauth(403, "access_denied", "no")),
		"leaked":                   unknown(oauth(401, "password_leaked", "")),
		"captchas":                 unknown(oauth(401, "requires_verification", "")),
		"throttled":                unknown(oauth(429, "too_many_attempts", "Your account has been blocked")),
		"a wrong secret":           unknown(oauth(401, "access_denied", "Unauthorized")),
		"a connection that is off": unknown(oauth(400, "invalid_request", "the connection was disabled")),
		"one answer between outages": func(i int) http.HandlerFunc {
			return map[bool]http.HandlerFunc{true: wrongPassword(), false: sendJSON(503, `{}`)}[i%5 == 4]
		},
	} {
		t.Run(name, func(t *testing.T) {
			inGuardedBubble(t, 0, func(g *guarded) {
				for i := range 40 {
					g.tn.token = answer(i)
					if end, asked := g.login(user(i + 1)); !asked {
						g.Fatalf("login %d: %s", i, end)
					}
				}
			})
		})
	}
}

// TestSlowFailures: failures more than a minute apart are no outage.
func TestSlowFailures(t *testing.T) {
	inGuardedBubble(t, 0, func(g *guarded) {
		g.tn.token = sendJSON(http.StatusServiceUnavailable, `{}`)
		for i := range 40 {
			g.expect(user(i+1), "unavailable server_fault")
			advance(16 * time.Second)
		}
	})
}

// TestOneUserIsNoOutage: whatever Auth0 answers about one user, or about all users of one or two
// networks, opens no breaker, and keeps none open.
func TestOneUserIsNoOutage(t *testing.T) {
	garbled := func(g *guarded) { g.tn.token = sendJSON(http.StatusOK, tokens("no token")) }
	networks := func(n int) func(int) upstream.Credentials {
		return func(i int) upstream.Credentials {
			c := user(i)
			c.From, c.ClientIP = user(1+i%n).From, netip.Addr{}
			return c
		}
	}
	for name, attacker := range map[string]func(int) upstream.Credentials{
		"one user": func(int) upstream.Credentials { return user(1) }, "one network": networks(1), "two networks": networks(2),
	} {
		t.Run(name, func(t *testing.T) {
			inGuardedBubble(t, 0, func(g *guarded) {
				garbled(g)
				for i := range 50 {
					g.expect(attacker(i+1), "garbled id_token_malformed")
				}
				g.works()
				g.expect(user(100), "mismatch")

				g.breaks(outages()["503"])
				advance(5100 * time.Millisecond)
				for i := range 50 {
					garbled(g)
					g.expect(attacker(i+1), "garbled id_token_malformed") // a probe
				}
				g.works()
				g.expect(user(100), "mismatch")
				g.expect(user(101), "mismatch")
			})
		})
	}
}

// TestOneNetworkStopsNoOther: random answers of every kind about the users of one network,
// which Auth0 was told or not, between good answers about others: those are always asked.
func TestOneNetworkStopsNoOther(t *testing.T) {
	seed := time.Now().UnixNano()
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	t.Log("seed", seed)
	nasty := []http.HandlerFunc{
		sendJSON(http.StatusOK, tokens("x")), sendJSON(http.StatusServiceUnavailable, `{}`), send(http.StatusForbidden, "text/html", "no"),
		sendJSON(http.StatusTooManyRequests, `{"error":"too_many_requests"}`), sendJSON(http.StatusTooManyRequests, `{"error":"too_many_logins"}`),
		sendJSON(http.StatusTooManyRequests, `{"error":"too_many_attempts"}`), sendJSON(http.StatusInternalServerError, `{"error":"access_denied"}`),
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, wrongPassword(),
	}
	inGuardedBubble(t, 0, func(g *guarded) {
		good := wrongPassword()
		if random.IntN(2) == 0 {
			good = sendJSON(http.StatusOK, tokens(sign(g.T, jose.RS256, "k1", key(), payload(g.T, nil))))
		}
		for range 500 {
			if random.IntN(4) > 0 {
				c := user(1 + random.IntN(200))
				c.From = user(1).From
				c.ClientIP = c.From
				header := http.Header{"X-Ratelimit-Remaining": {strconv.Itoa(random.IntN(3) - 1)}, "X-Ratelimit-Reset": {strconv.FormatInt(time.Now().Unix()+int64(random.IntN(60)), 10)}}
				g.tn.token = with(nasty[random.IntN(len(nasty))], header)
				g.login(c)
				continue
			}
			g.tn.token = good
			if end, asked := g.login(user(201 + random.IntN(50))); !asked {
				g.Fatalf("%s after answers about another network", end)
			}
			advance(time.Duration(random.IntN(1000)) * time.Millisecond)
		}
	})
}

// TestPanicReleasesTheProbe: after a panic in the probe, the next login is the probe.
func TestPanicReleasesTheProbe(t *testing.T) {
	inGuardedBubble(t, 0, func(g *guarded) {
		g.breaks(outages()["503"])
		advance(5100 * time.Millisecond)
		g.works()
		func() {
			defer func() {
				if recover() == nil {
					g.Error("no panic")
				}
			}()
			_, _ = g.client.Verify(nilContext(), user(50)) // context.WithTimeout panics
		}()
		g.expect(user(51), "mismatch")
	})
}

func nilContext() context.Context { return nil }
