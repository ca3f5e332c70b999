package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/attempt"
	"ferry/gateway"
	"ferry/outcome"
	"ferry/provision"
	"ferry/secret"
	"ferry/test/proxytest"
	"ferry/transport"
	"ferry/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("down")

const (
	flow  = "0b8f3c52-5ad0-4a34-9b4c-8b1cf0e9c9a1"
	login = "/self-service/login?flow=" + flow
	right = "right"
)

// world is what the gateway calls, and what it was asked.
type world struct {
	mu        sync.Mutex
	known     map[string]bool
	knowsErr  error
	outcomes  map[string]outcome.Outcome // by realm; default: Match for the password right
	asked     []upstream.Credentials
	noLookUp  bool
	readyErr  error
	result    provision.Result
	resultErr error
	byLogin   []provision.Login
	looked    []string
	budget    int
	noUser    map[string]bool
	kept      []string
	keepErr   error
	panics    bool
}

func (w *world) Knows(_ context.Context, identifier string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[identifier], w.knowsErr
}

func (w *world) Verify(_ context.Context, l attempt.Login) (attempt.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.panics {
		panic("canary")
	}
	w.asked = append(w.asked, l.Credentials)
	o := w.outcomes[l.Credentials.Realm]
	switch {
	case o == outcome.Match || o == 0 && l.Credentials.Password.Reveal() == right:
		return attempt.Answer{Profile: upstream.Profile{Subject: "auth0|kim"}, Asked: true}, nil
	case o == 0:
		o = outcome.Mismatch
	}
	return attempt.Answer{Asked: true}, &upstream.LoginError{Outcome: o, Reason: "test"}
}

func (w *world) Ready(context.Context) error { return w.readyErr }

func (w *world) CanLookUp() bool { return !w.noLookUp }

func (w *world) ByLogin(_ context.Context, l provision.Login) (provision.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byLogin = append(w.byLogin, l)
	return w.result, w.resultErr
}

func (w *world) ByIdentifier(_ context.Context, door provision.Door, identifier string) (provision.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked = append(w.looked, string(door)+" "+identifier)
	return w.result, w.resultErr
}

func (w *world) Allow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.budget--
	return w.budget >= 0
}

func (w *world) NoUser(_ context.Context, email string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.noUser[email]
}

func (w *world) RememberNoUser(_ context.Context, email string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noUser[email] = true
	return nil
}

func (w *world) keep(_ context.Context, identifier string, password secret.String, _ upstream.Profile) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, identifier+" "+password.Reveal())
	return w.keepErr
}

// rig is a gateway before a Kratos of the test.
type rig struct {
	*world
	proxytest.Recorder // before Kratos

	gateway *gateway.Gateway
	front   *httptest.Server
	metrics *prometheus.Registry
	logs    *observer.ObservedLogs
}

// newRig starts a gateway. answer is Kratos'; nil: 200 with the text kratos.
func newRig(t *testing.T, answer http.HandlerFunc, change func(*gateway.Options)) *rig {
	t.Helper()
	r := &rig{world: &world{known: map[string]bool{}, outcomes: map[string]outcome.Outcome{}, noUser: map[string]bool{}, budget: 100, result: provision.Result{Created: true, Exists: true}}}
	if answer == nil {
		answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "kratos") }
	}
	at := r.Run(t, answer)
	core, logs := observer.New(zap.InfoLevel)
	r.metrics, r.logs = prometheus.NewRegistry(), logs
	opts := gateway.Options{
		Kratos: at, Transport: transport.New(transport.Options{}), MaxPasswordBytes: 72, PerMinute: 1000, Budget: r.world,
		Traits: func(context.Context) []string { return []string{"username", "email"} }, Identities: r.world, Attempts: r.world, Keep: r.keep,
		UsersFault: func(o outcome.Outcome) bool {
			return o == outcome.Mismatch || o == outcome.MFARequired || o == outcome.Blocked
		},
		Provisioner: r.world, Log: zap.New(core), Hash: func(string) string { return "hash" }, Metrics: r.metrics, Now: time.Now,
	}
	if change != nil {
		change(&opts)
	}
	var err error
	if r.gateway, err = gateway.New(opts); err != nil {
		t.Fatal(err)
	}
	r.front = httptest.NewServer(r.gateway)
	t.Cleanup(r.front.Close)
	return r
}

// send sends a request through the gateway.
func (r *rig) send(t *testing.T, method, path, body string, header ...string) proxytest.Answer {
	t.Helper()
	return proxytest.Send(t, method, r.front.URL+path, body, header...)
}

// post submits JSON.
func (r *rig) post(t *testing.T, path, body string, header ...string) proxytest.Answer {
	t.Helper()
	return r.send(t, http.MethodPost, path, body, append([]string{"Content-Type", "application/json"}, header...)...)
}

func passwordOf(identifier, password string) string {
	return `{"method": "password", "identifier": "` + identifier + `", "password": "` + password + `"}`
}

// counted returns how many submits ended so.
func (r *rig) counted(t *testing.T, route, result, request string) float64 {
	t.Helper()
	return proxytest.Counter(t, r.metrics, "ferry_gateway_submits_total", map[string]string{"route": route, "result": result, "request": request})
}
