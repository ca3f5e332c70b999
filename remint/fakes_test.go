package remint_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
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

// signingKey is made once: it is slow.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

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

// memory is a store without a disk. It outlives the processes.
type memory struct {
	now func() time.Time

	mu     sync.Mutex
	values map[[32]byte]value
	uses   map[string]int
	fault  error // of every call
}

type value struct {
	text []byte
	ends time.Time
}

func (m *memory) Get(_ context.Context, key [32]byte) (text []byte, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	return v.text, ok && m.now().Before(v.ends), m.fault
}

func (m *memory) Put(_ context.Context, key [32]byte, text []byte, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == nil {
		m.values[key] = value{text, m.now().Add(keep)}
	}
	return m.fault
}

func (m *memory) Delete(_ context.Context, key [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
	return m.fault
}

func (m *memory) CountUse(_ context.Context, id string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uses[id]++
	return m.fault
}

func (m *memory) Uses(context.Context) (map[string]state.RemintUse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	uses := map[string]state.RemintUse{}
	for id, n := range m.uses {
		uses[id] = state.RemintUse{Count: int64(n), Last: m.now()}
	}
	return uses, m.fault
}

// left returns how many values there are.
func (m *memory) left() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.values {
		if m.now().Before(v.ends) {
			n++
		}
	}
	return n
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

// fakeAuth0 redeems refresh tokens and names their user.
type fakeAuth0 struct {
	url, issuer string
	now         func() time.Time

	mu       sync.Mutex
	rotates  bool
	leeway   time.Duration
	family   map[string]string    // every token: its family
	used     map[string]time.Time // when it was first redeemed
	revoked  map[string]bool      // families
	redeemed map[string]int
	number   int
	// revocations are the tokens that were to be revoked. It answers 503 unless revokes is true.
	revocations []string
	revokes     bool
	// answer replaces the answer to the next requests; nil: none.
	answer http.HandlerFunc
	// claims are added to the ID token.
	claims map[string]any
	scope  string
}

func newAuth0(t *testing.T, now func() time.Time) *fakeAuth0 {
	t.Helper()
	a := &fakeAuth0{
		issuer: "https://tenant.example.com/", now: now, revokes: true, family: map[string]string{"old": "f"}, used: map[string]time.Time{}, revoked: map[string]bool{},
		redeemed: map[string]int{}, scope: "openid profile email offline_access read:users",
	}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	a.url = srv.URL
	return a
}

func sendJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// ServeHTTP implements http.Handler.
func (a *fakeAuth0) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.URL.Path == "/.well-known/jwks.json":
		sendJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signingKey().Public(), KeyID: "1", Use: "sig", Algorithm: "RS256"}}})
	case r.URL.Path == "/oauth/revoke" && !a.revokes:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/oauth/revoke":
		if family, known := a.family[r.PostFormValue("token")]; known {
			a.revoked[family] = true
		}
		a.revocations = append(a.revocations, r.PostFormValue("token"))
	case r.URL.Path == "/userinfo":
		sendJSON(w, http.StatusOK, map[string]any{"sub": subject, "email": "alice@example.com"})
	case a.answer != nil:
		a.answer(w, r)
	default:
		a.token(w, r)
	}
}

func (a *fakeAuth0) token(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("refresh_token")
	refuse := func() {
		sendJSON(w, http.StatusForbidden, map[string]string{"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."})
	}
	family, known := a.family[token]
	a.redeemed[token]++
	first, again := a.used[token]
	if known && a.rotates && again && a.now().Sub(first) > a.leeway {
		a.revoked[family] = true
	}
	if !known || a.revoked[family] {
		refuse()
		return
	}
	if !again {
		a.used[token] = a.now()
	}
	answer := map[string]any{"access_token": a.accessToken(), "expires_in": 86400, "token_type": "Bearer", "scope": a.scope, "id_token": a.idToken(r.PostFormValue("client_id"))}
	if a.rotates {
		a.number++
		next := fmt.Sprintf("%s-%d", token, a.number)
		a.family[next] = family
		answer["refresh_token"] = next
	}
	sendJSON(w, http.StatusOK, answer)
}

func (a *fakeAuth0) signed(claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: signingKey(), KeyID: "1"}}, nil)
	if err != nil {
		panic(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err)
	}
	return text
}

func (a *fakeAuth0) accessToken() string {
	return a.signed(map[string]any{"aud": []string{"https://api.example.com", a.issuer + "userinfo"}, "sub": subject})
}

func (a *fakeAuth0) idToken(client string) string {
	claims := map[string]any{
		"iss": a.issuer, "aud": client, "sub": subject, "email": "alice@example.com", "email_verified": true, "https://example.com/plan": "pro",
		"iat": a.now().Unix(), "exp": a.now().Add(10 * time.Hour).Unix(), "sid": "s-1",
	}
	for name, value := range a.claims {
		claims[name] = value
	}
	return a.signed(claims)
}

// fakeHydra makes tokens by the headless flow.
type fakeHydra struct {
	url string

	mu      sync.Mutex
	clients map[string]map[string]any
	codes   map[string]map[string]any // what was granted
	chains  map[string]string         // refresh token: subject
	granted map[string]any            // by the last consent
	// revocations are the tokens that were to be revoked.
	revocations []string
	number      int
	// fault answers a request instead; false: it does not.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func newHydra(t *testing.T) *fakeHydra {
	t.Helper()
	h := &fakeHydra{codes: map[string]map[string]any{}, chains: map[string]string{}, clients: map[string]map[string]any{}}
	for id, method := range map[string]string{clientID: "none", "web": "client_secret_basic"} {
		h.clients[id] = map[string]any{
			"client_id": id, "token_endpoint_auth_method": method, "redirect_uris": []string{"https://app.example.com/cb"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"scope": "openid offline_access profile email", "audience": []string{"https://api.example.com"},
		}
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

// ServeHTTP implements http.Handler. What a step knows travels in the challenges, as in Hydra.
func (h *fakeHydra) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != nil && h.fault(w, r) {
		return
	}
	query := r.URL.Query()
	back := func(values url.Values) {
		w.Header().Set("Location", "https://issuer.example.com/oauth2/auth?"+values.Encode())
		w.WriteHeader(http.StatusFound)
	}
	accept := func(kind string) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		text, _ := json.Marshal(body)
		sendJSON(w, http.StatusOK, map[string]string{"redirect_to": "https://issuer.example.com/oauth2/auth?" + url.Values{kind + "_verifier": {query.Get(kind+"_challenge") + "\n" + string(text)}}.Encode()})
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/admin/clients/"):
		client, found := h.clients[strings.TrimPrefix(r.URL.Path, "/admin/clients/")]
		if !found {
			sendJSON(w, http.StatusNotFound, map[string]string{"error": "Unable to locate the resource"})
			return
		}
		sendJSON(w, http.StatusOK, client)
	case r.URL.Path == "/admin/oauth2/auth/requests/login/accept":
		accept("login")
	case r.URL.Path == "/admin/oauth2/auth/requests/consent/accept":
		accept("consent")
	case r.URL.Path == "/oauth2/token":
		h.token(w, r)
	case r.URL.Path == "/oauth2/revoke":
		h.revocations = append(h.revocations, r.PostFormValue("token"))
		delete(h.chains, r.PostFormValue("token"))
	case query.Get("login_verifier") != "":
		_, err := r.Cookie("csrf")
		if err != nil {
			back(url.Values{"error": {"request_forbidden"}})
			return
		}
		back(url.Values{"consent_challenge": {query.Get("login_verifier")}})
	case query.Get("consent_verifier") != "":
		parts := strings.Split(query.Get("consent_verifier"), "\n")
		var login, consent map[string]any
		_ = json.Unmarshal([]byte(parts[1]), &login)
		_ = json.Unmarshal([]byte(parts[2]), &consent)
		h.number++
		code := fmt.Sprint("ory_ac_", h.number)
		consent["subject"], consent["amr"] = login["subject"], login["amr"]
		h.codes[code], h.granted = consent, consent
		back(url.Values{"code": {code}, "state": {parts[0]}})
	default:
		http.SetCookie(w, &http.Cookie{Name: "csrf", Value: "1", Secure: true})
		back(url.Values{"login_challenge": {query.Get("state")}})
	}
}

func (h *fakeHydra) token(w http.ResponseWriter, r *http.Request) {
	id, password, basic := r.BasicAuth()
	if !basic {
		id = r.PostFormValue("client_id")
	}
	if client, found := h.clients[id]; !found || client["token_endpoint_auth_method"] == "client_secret_basic" && password != "s3cret" {
		sendJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	if code, found := h.codes[r.PostFormValue("code")]; found {
		delete(h.codes, r.PostFormValue("code"))
		subject, _ := code["subject"].(string)
		sendJSON(w, http.StatusOK, h.tokens(subject))
		return
	}
	subject, found := h.chains[r.PostFormValue("refresh_token")]
	if !found {
		sendJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	delete(h.chains, r.PostFormValue("refresh_token"))
	sendJSON(w, http.StatusOK, h.tokens(subject))
}

func (h *fakeHydra) tokens(subject string) map[string]any {
	h.number++
	next := fmt.Sprint("ory_rt_", h.number)
	h.chains[next] = subject
	return map[string]any{"access_token": fmt.Sprint("ory_at_", h.number), "id_token": "a.b.c", "refresh_token": next, "expires_in": 3599, "scope": "openid offline_access", "token_type": "bearer"}
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

func (a *fakeAuth0) set(change func(*fakeAuth0)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

func (a *fakeAuth0) times(token string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.redeemed[token]
}

func (h *fakeHydra) set(change func(*fakeHydra)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

// reasons returns results and reasons of the audit records.
func (p *process) reasons() []string {
	var all []string
	for _, r := range p.audit {
		all = append(all, strings.TrimSpace(r.Outcome+" "+r.Reason))
	}
	return slices.Clip(all)
}
