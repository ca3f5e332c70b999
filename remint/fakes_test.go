package remint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/audit"
	"ferry/hydra"
	"ferry/kratos"
	"ferry/provenance"
	"ferry/provision"
	"ferry/remint"
	"ferry/secret"
	"ferry/state"
	"ferry/transport"
	"ferry/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clientID = "app"
	subject  = "auth0|alice"
	identity = "11111111-1111-4111-8111-111111111111"
)

// world is Auth0, Hydra, Kratos, the store and the clock. It outlives the processes of ferry.
type world struct {
	t     *testing.T
	auth0 *fakeAuth0
	hydra *fakeHydra
	store *memory

	mu      sync.Mutex
	now     time.Time
	records []kratos.Record
	byName  []kratos.Record // whom Auth0's tokens do not lead to
	users   func(subject string) (provision.Result, error)
	options func(*remint.Options)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)}
	w.auth0, w.hydra, w.store = newAuth0(t, w.time), newHydra(t), &memory{now: w.time, values: map[[32]byte]value{}, uses: map[string]int{}}
	w.records = []kratos.Record{{Identity: kratos.Identity{ID: identity, Active: true, Binding: provenance.Binding{Subjects: []string{subject}}}}}
	return w
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// Owners and ByExternalID are Kratos'.
func (w *world) Owners(_ context.Context, identifier string) ([]kratos.Record, error) {
	switch identifier {
	case "alice@example.com":
		return w.records, nil
	case "alice-by-name", "google:alice":
		return w.byName, nil
	}
	return nil, nil
}

func (w *world) ByExternalID(context.Context, string) (kratos.Record, bool, error) {
	return kratos.Record{}, false, nil
}

func (w *world) Ready(context.Context) error { return nil }

func (w *world) BySubject(_ context.Context, subject string) (provision.Result, error) {
	return w.users(subject)
}

// errDead is what a process gets that has been killed.
var errDead = errors.New("killed")

// process is one run of ferry. It is killed at its step number kill, before or after it is done;
// 0: it lives.
type process struct {
	*remint.Reminter

	w     *world
	kill  int
	after bool
	audit []audit.Record
	logs  *observer.ObservedLogs
	// metrics are those of the process.
	metrics *prometheus.Registry

	mu     sync.Mutex
	steps  int
	dead   bool
	killed string // the step
	// unwritten is true while Auth0 has redeemed a token, and its answer is not in the store.
	unwritten bool
	claims    map[[32]byte]bool
	next      *transport.Transport
}

// start starts a process.
func (w *world) start(kill int, after bool) *process {
	w.t.Helper()
	p := &process{w: w, kill: kill, after: after, claims: map[[32]byte]bool{}, next: transport.New(transport.Options{})}
	auth0, err := upstream.New(upstream.Options{
		Issuer: w.auth0.issuer, BaseURL: w.auth0.url, ClientID: "ferry", ClientAuth: upstream.NoSecret("ferry"), Scope: "openid",
		Timeout: 5 * time.Second, Transport: p, Now: w.time,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	at, err := hydra.New(hydra.Options{AdminURL: w.hydra.url, PublicURL: w.hydra.url, Timeout: 5 * time.Second, Transport: p})
	if err != nil {
		w.t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	p.logs, p.metrics = logs, prometheus.NewRegistry()
	opts := remint.Options{
		Clients: []string{clientID, "web"}, Auth0: auth0, Hydra: at, Identities: w, Store: p, Log: zap.New(core), Hash: func(string) string { return "hash" },
		Metrics: p.metrics, Now: w.time, Timeout: 10 * time.Second, Audit: func(r audit.Record) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.audit = append(p.audit, r)
		},
	}
	if w.users != nil {
		opts.Users = w
	}
	if w.options != nil {
		w.options(&opts)
	}
	if p.Reminter, err = remint.New(opts); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// refresh makes a request of the public client.
func (p *process) refresh(token string) remint.Answer {
	return p.Refresh(p.w.t.Context(), remint.Request{Credentials: hydra.Credentials{ClientID: clientID, Method: hydra.None}, RefreshToken: secret.New(token)})
}

// step does a step, unless the process is dead.
func (p *process) step(name string, do func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errDead
	}
	p.steps++
	last := p.steps == p.kill
	if last {
		p.dead, p.killed = true, name
	}
	p.mu.Unlock()
	if last && !p.after {
		return errDead
	}
	if err := do(); err != nil {
		return err
	}
	if last {
		return errDead
	}
	return nil
}

// RoundTrip sends a request.
func (p *process) RoundTrip(req *http.Request) (*http.Response, error) {
	var resp *http.Response
	err := p.step(req.Method+" "+req.URL.Path, func() (err error) {
		resp, err = p.next.RoundTrip(req)
		if err == nil && resp.StatusCode == http.StatusOK && req.URL.Path == "/oauth/token" {
			p.unwritten = true
		}
		return err
	})
	if err != nil && resp != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, err
}

// The store. A claim ends with its process.
func (p *process) Get(ctx context.Context, key [32]byte) (text []byte, ok bool, err error) {
	err = p.step("get", func() (err error) {
		text, ok, err = p.w.store.Get(ctx, key)
		return err
	})
	return text, ok, err
}

func (p *process) Put(ctx context.Context, key [32]byte, text []byte, keep time.Duration) error {
	return p.step("put", func() error {
		p.unwritten = false
		return p.w.store.Put(ctx, key, text, keep)
	})
}

func (p *process) Delete(ctx context.Context, key [32]byte) error {
	return p.step("delete", func() error { return p.w.store.Delete(ctx, key) })
}

func (p *process) Claim(_ context.Context, key [32]byte, _ time.Duration) (won bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	won = !p.claims[key]
	p.claims[key] = true
	return won, nil
}

func (p *process) Unclaim(_ context.Context, key [32]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.claims, key)
	return nil
}

func (p *process) Uses(ctx context.Context) (map[string]state.RemintUse, error) {
	return p.w.store.Uses(ctx)
}

func (p *process) CountUse(ctx context.Context, id string, at time.Time) error {
	return p.step("count", func() error { return p.w.store.CountUse(ctx, id, at) })
}

// use refreshes at Hydra with the token of an answer, as the front lets the client do, and
// returns the subject; empty: the chain does not work.
func (w *world) use(p *process, a remint.Answer) string {
	token := tokenOf(w.t, a)
	w.hydra.mu.Lock()
	subject := w.hydra.chains[token]
	if subject != "" {
		delete(w.hydra.chains, token)
		w.hydra.tokens(subject)
	}
	w.hydra.mu.Unlock()
	if subject != "" {
		p.Used(w.t.Context(), secret.New(token))
	}
	return subject
}

// tokenOf returns the refresh token of an answer; empty: there is none.
func tokenOf(t *testing.T, a remint.Answer) string {
	t.Helper()
	var said struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(a.Body, &said); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	return said.RefreshToken
}

// errorOf returns status and error code of an answer.
func errorOf(a remint.Answer) string {
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(a.Body, &said)
	return strings.TrimSpace(fmt.Sprint(a.Status, " ", said.Error))
}

// reasons returns results and reasons of the audit records.
func (p *process) reasons() []string {
	var all []string
	for _, r := range p.audit {
		all = append(all, strings.TrimSpace(r.Outcome+" "+r.Reason))
	}
	return slices.Clip(all)
}
