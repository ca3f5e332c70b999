package front_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// seen is a request as Hydra received it.
type seen struct {
	method, uri, host, body string
	header                  http.Header
	chunked                 bool
}

// rig is a token front before a Hydra of the test.
type rig struct {
	*world

	front   *httptest.Server
	made    *front.Front
	auth0   *httptest.Server
	metrics *prometheus.Registry
	logs    *observer.ObservedLogs

	mu      sync.Mutex
	seen    []seen
	atAuth0 []seen
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
	auth0 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.answerAuth0(w, req) }))
	t.Cleanup(auth0.Close)
	r.auth0 = auth0
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.seen = append(r.seen, seen{req.Method, req.RequestURI, req.Host, string(body), req.Header.Clone(), len(req.TransferEncoding) > 0})
		r.mu.Unlock()
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		answer(w, req)
	}))
	t.Cleanup(behind.Close)
	at, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	atAuth0, err := url.Parse(auth0.URL)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	r.metrics, r.logs = prometheus.NewRegistry(), logs
	opts := front.Options{
		Hydra: at, Transport: transport.New(transport.Options{}), Registry: r.world, PerMinute: 1000,
		Auth0: atAuth0, Auth0Transport: transport.New(transport.Options{}),
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
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	status := r.auth0Status
	r.atAuth0 = append(r.atAuth0, seen{req.Method, req.RequestURI, req.Host, string(body), req.Header.Clone(), len(req.TransferEncoding) > 0})
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

// askedAuth0 returns what Auth0 received.
func (r *rig) askedAuth0() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.atAuth0
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

// requests returns what Hydra received.
func (r *rig) requests() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// answered is an answer to a client.
type answered struct {
	status int
	header http.Header
	body   string
}

// send sends a request, with pairs of names and values of headers.
func (r *rig) send(t *testing.T, method, path, body string, header ...string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.front.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return answered{resp.StatusCode, resp.Header, string(text)}
}

// form posts a form.
func (r *rig) form(t *testing.T, path, body string, header ...string) answered {
	t.Helper()
	return r.send(t, http.MethodPost, path, body, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

// counted returns how many requests of a route ended so.
func (r *rig) counted(t *testing.T, route, result string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if family.GetName() == "ferry_token_front_requests_total" && labels["route"] == route && labels["result"] == result {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
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
