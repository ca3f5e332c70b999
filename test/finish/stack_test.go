// Package finish ends migrations on the real Kratos, with the program ferry and the
// Auth0 simulator.
package finish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

func TestMain(m *testing.M) { built.Main(m) }

const (
	hookKey   = "hook-key-0123456789-0123456789-0123456789"
	directory = "main"
	closedEnv = "FERRY_MIGRATION_CLOSED=true"
)

// stack is Auth0, Kratos and ferry. Kratos reaches ferry through front, so that ferry
// can be restarted on another port.
type stack struct {
	t      *testing.T
	dir    string
	sim    *auth0sim.Server
	mail   *kratostest.Mailbox
	kratos *kratostest.Kratos
	ferry  *ferrytest.Ferry
	front  *front
}

func start(t *testing.T) *stack {
	t.Helper()
	limits := auth0sim.RelaxedSettings()
	s := &stack{t: t, dir: t.TempDir(), front: &front{}, mail: kratostest.NewMailbox(t)}
	s.sim = auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		DefaultDirectory: directory,
		Connections:      []auth0sim.Connection{{Name: directory}},
		Apps: []auth0sim.App{
			{ClientID: "ferry", ClientSecret: "secret"},
			{ClientID: "machine", ClientSecret: "machine-secret", ManagementScopes: []string{auth0sim.ScopeReadUsers}},
		},
	}})
	server := httptest.NewServer(s.front)
	t.Cleanup(server.Close)
	s.front.url = server.URL
	s.kratos = kratostest.Run(t, kratostest.Options{
		Dir: s.dir, HookURL: s.front.url + "/hooks/password-migration", AfterLoginURL: s.front.url + "/hooks/after-login", HookKey: hookKey, Mailbox: s.mail,
	})
	s.ferry = s.serve()
	s.front.to(t, s.ferry.HooksURL())
	return s
}

// env returns ferry's settings.
func (s *stack) env(more ...string) []string {
	return append([]string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_BASE_URL=" + s.sim.URL(),
		"FERRY_AUTH0_CLIENT_ID=ferry", "FERRY_AUTH0_CLIENT_SECRET=secret", "FERRY_AUTH0_REALMS=" + directory,
		"FERRY_AUTH0_MGMT_CLIENT_ID=machine", "FERRY_AUTH0_MGMT_CLIENT_SECRET=machine-secret",
		"FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL(),
	}, more...)
}

// serve starts another ferry.
func (s *stack) serve(more ...string) *ferrytest.Ferry {
	s.t.Helper()
	ferry, err := ferrytest.Start(s.t.Context(), ferrytest.Options{Binary: built.Ferry(s.t), Env: s.env(more...)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := ferry.Stop(); err != nil {
			s.t.Error(err)
		}
	})
	return ferry
}

// restart replaces ferry with one that has additional settings, as a rolling restart
// does.
func (s *stack) restart(t *testing.T, more ...string) {
	t.Helper()
	old := s.ferry
	s.ferry = s.serve(more...)
	s.front.to(t, s.ferry.HooksURL())
	if err := old.Stop(); err != nil {
		t.Error(err)
	}
}

// answer is the output and the exit status of a command.
type answer struct {
	stdout, stderr string
	code           int
}

// command prepares one of ferry's commands.
func (s *stack) command(ctx context.Context, t *testing.T, args ...string) (*exec.Cmd, func(error) answer) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, built.Ferry(t), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env(), &stdout, &stderr
	return cmd, func(err error) answer {
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	}
}

// run runs one of ferry's commands, which must end with exit status 0 and print the texts.
func (s *stack) run(t *testing.T, args []string, texts ...string) answer {
	t.Helper()
	cmd, ended := s.command(t.Context(), t, args...)
	a := ended(cmd.Run())
	if a.code != 0 {
		t.Fatalf("ferry %s ends with %d: %s", strings.Join(args, " "), a.code, a.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(a.stdout+a.stderr, text) {
			t.Errorf("ferry %s does not say %q: %s%s", strings.Join(args, " "), text, a.stdout, a.stderr)
		}
	}
	return a
}

// finishArgs returns the arguments of a finish that does not wait.
func (s *stack) finishArgs(more ...string) []string {
	return append([]string{"finish", "--yes", "--wait", "0s", "--hook-url", s.front.url}, more...)
}

// person is a user at Auth0 with a pending identity.
type person struct {
	email, password, identity string
}

// pending creates users who never logged in.
func (s *stack) pending(t *testing.T, names ...string) []person {
	t.Helper()
	var people []person
	for _, name := range names {
		p := person{email: name + "@example.org", password: "Passw0rd of " + name}
		subject := "auth0|" + name
		if _, err := s.sim.AddUser(auth0sim.User{ID: subject, Connection: directory, Email: p.email, EmailVerified: true, Password: p.password}); err != nil {
			t.Fatal(err)
		}
		var err error
		if p.identity, err = s.kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
			Traits: map[string]any{"email": p.email}, Pending: true,
			MetadataAdmin:       map[string]any{"auth0": map[string]any{"user_id": subject, "connection": directory}},
			VerifiableAddresses: []kratostest.Address{{Value: p.email, Via: "email", Verified: true}},
		}); err != nil {
			t.Fatal(err)
		}
		people = append(people, p)
	}
	return people
}

// sees logs in and compares what the user sees.
func (s *stack) sees(t *testing.T, email, password, want string) {
	t.Helper()
	login, err := s.kratos.LoginAPI(t.Context(), email, password)
	if err != nil {
		t.Fatal(err)
	}
	if got := login.Sees(); got != want {
		t.Errorf("%s sees %q, want %q", email, got, want)
	}
}

// results returns the outcome and reason of each identity in a results file.
func (s *stack) results(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		var r struct {
			ID      string `json:"identity_id"`
			Outcome string `json:"outcome"`
			Reason  string `json:"reason"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if all[r.ID] != "" {
			t.Errorf("%s has two results", r.ID)
		}
		all[r.ID] = strings.TrimSpace(r.Outcome + " " + r.Reason)
	}
	return all
}

// front forwards Kratos' calls to ferry.
type front struct {
	url string

	mu    sync.Mutex
	proxy http.Handler
	held  chan struct{} // answers wait until it is closed
	calls chan struct{} // receives one for each answer that waits
}

func (f *front) to(t *testing.T, address string) {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{DisableKeepAlives: true},
		// Kratos repeats the call, as when nothing listens.
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ModifyResponse: func(*http.Response) error { f.wait(); return nil },
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proxy = proxy
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	proxy := f.proxy
	f.mu.Unlock()
	proxy.ServeHTTP(w, r)
}

// hold delays ferry's answers. waiting receives a value for each; release lets them
// and later ones pass.
func (f *front) hold() (waiting <-chan struct{}, release func()) {
	held, calls := make(chan struct{}), make(chan struct{}, 100)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held, f.calls = held, calls
	return calls, sync.OnceFunc(func() { close(held) })
}

// pass lets later answers pass; delayed ones stay delayed.
func (f *front) pass() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = nil
}

func (f *front) wait() {
	f.mu.Lock()
	held, calls := f.held, f.calls
	f.mu.Unlock()
	if held != nil {
		calls <- struct{}{}
		<-held
	}
}

// adminProxy is a proxy for Kratos' admin API; before is called with each request.
func (s *stack) adminProxy(t *testing.T, before func(*http.Request)) string {
	t.Helper()
	target, err := url.Parse(s.kratos.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: &http.Transport{DisableKeepAlives: true}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before(r)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func names(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%s%d", prefix, i))
	}
	return all
}

// same compares the printed forms of two identities.
func same(a, b kratostest.Identity) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }

// awaitTrue waits until done reports true.
func awaitTrue(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !await.True(done) {
		t.Fatal("timeout waiting for " + what)
	}
}
