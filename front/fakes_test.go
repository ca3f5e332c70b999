package front_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/front"
	"ferry/hydra"
	"ferry/secret"
	"ferry/test/proxytest"
	"ferry/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	appOrigin = "https://app.example.com"
	canary    = "canary-Zo8kq2"
)

// world is what the front calls, and what it was asked.
type world struct {
	mu      sync.Mutex
	clients map[string]hydra.OAuth2Client
	down    bool // the admin API
	read    []string
}

func (w *world) OAuth2Client(_ context.Context, id string) (hydra.OAuth2Client, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read = append(w.read, id)
	client, ok := w.clients[id]
	switch {
	case w.down:
		return client, &hydra.Error{Operation: "read client", Kind: hydra.Unavailable, Reason: "unreachable"}
	case !ok:
		return client, &hydra.Error{Operation: "read client", Kind: hydra.Refused, Status: http.StatusNotFound, Reason: "unknown_client"}
	}
	return client, nil
}

func (w *world) TokenClient(_ context.Context, token secret.String) (string, error) {
	if id, ok := strings.CutPrefix(token.Reveal(), "ory_at_"); ok {
		return id, nil
	}
	return "", &hydra.Error{Operation: "introspect token", Kind: hydra.Refused, Reason: "token_inactive"}
}

// rig is a token front before a Hydra of the test.
type rig struct {
	*world
	proxytest.Recorder // before Hydra

	front   *httptest.Server
	made    *front.Front
	auth0   proxytest.Recorder
	metrics *prometheus.Registry
	logs    *observer.ObservedLogs

	mu sync.Mutex
	// auth0Status is Auth0's answer to everything; 0: it works.
	auth0Status int
	now         time.Time
}

// newRig starts a front. answer is Hydra's; nil: 200 with the text hydra.
func newRig(t *testing.T, answer http.HandlerFunc, change func(*front.Options)) *rig {
	t.Helper()
	clients := map[string]hydra.OAuth2Client{}
	for id, method := range map[string]hydra.Method{"spa": hydra.None, "post": hydra.SecretPost, "basic": hydra.SecretBasic, "jwt": hydra.PrivateKeyJWT, "a%b+c": hydra.SecretBasic} {
		clients[id] = hydra.OAuth2Client{ID: id, Method: method, CORSOrigins: []string{appOrigin, "https://*.pages.example.com"}}
	}
	r := &rig{world: &world{clients: clients}, now: time.Now()}
	if answer == nil {
		answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hydra") }
	}
	core, logs := observer.New(zap.InfoLevel)
	r.metrics, r.logs = prometheus.NewRegistry(), logs
	opts := front.Options{
		Hydra: r.Run(t, answer), Transport: transport.New(transport.Options{}), Registry: r.world, PerMinute: 1000,
		Auth0: r.auth0.Run(t, r.answerAuth0), Auth0Transport: transport.New(transport.Options{}),
		Log: zap.New(core), Metrics: r.metrics, Now: r.clock,
	}
	if change != nil {
		change(&opts)
	}
	made, err := front.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.made = made
	r.front = httptest.NewServer(made)
	t.Cleanup(r.front.Close)
	return r
}

// answerAuth0 is the Auth0 of the tests.
func (r *rig) answerAuth0(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	status := r.auth0Status
	r.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	switch req.URL.Path {
	case "/userinfo":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "did=1")
		_, _ = io.WriteString(w, `{"sub":"auth0|kim"}`)
	case "/.well-known/jwks.json":
		_, _ = io.WriteString(w, `{"keys":[`+keyAuth0+`,`+keyBoth+`,{"kty":"oct","kid":"secret","k":"AAAA"}]}`)
	}
}

func (r *rig) setAuth0(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.auth0Status = status
}

// Public keys, with their ids.
const (
	keyHydra = `{"kty":"RSA","kid":"hydra-1","use":"sig","alg":"RS256","e":"AQAB","n":"` + modulus + `"}`
	keyAuth0 = `{"kty":"RSA","kid":"auth0-1","use":"sig","alg":"RS256","use_note":"x","e":"AQAB","n":"` + modulus + `"}`
	keyBoth  = `{"kty":"RSA","kid":"hydra-1","use":"sig","alg":"RS256","use_note":"y","e":"AQAB","n":"` + modulus + `"}`
	modulus  = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) later(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// send sends a request through the front.
func (r *rig) send(t *testing.T, method, path, body string, header ...string) proxytest.Answer {
	t.Helper()
	return proxytest.Send(t, method, r.front.URL+path, body, header...)
}

// form posts a form.
func (r *rig) form(t *testing.T, path, body string, header ...string) proxytest.Answer {
	t.Helper()
	return r.send(t, http.MethodPost, path, body, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

// counted returns how many requests of a route ended so.
func (r *rig) counted(t *testing.T, route, result string) float64 {
	t.Helper()
	return proxytest.Counter(t, r.metrics, "ferry_token_front_requests_total", map[string]string{"route": route, "result": result})
}

// checkSilent looks for a secret in logs and metrics.
func (r *rig) checkSilent(t *testing.T) {
	t.Helper()
	for _, entry := range r.logs.All() {
		for _, field := range entry.Context {
			if strings.Contains(field.String, canary) {
				t.Errorf("logged: %s", field.Key)
			}
		}
	}
	lines, err := testutil.GatherAndCount(r.metrics)
	if err != nil || lines == 0 {
		t.Fatalf("%d metrics, %v", lines, err)
	}
}
