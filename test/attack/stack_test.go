// Package attack attacks the program ferry over the wire: its listeners from outside, and
// ferry itself with the answers of Auth0 and Kratos. Auth0 is the simulator and Kratos a fake,
// so that the tests see what reaches them, byte for byte. What a single package can show is
// tested there; docs/security.md lists all of it.
package attack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/bulktest"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
)

func TestMain(m *testing.M) { built.Main(m) }

const (
	hookKey      = "canary-hook-key-8d0f6c1a-0123456789abcdef"
	otherKey     = "canary-other-key-41b7e2d9-0123456789abcde"
	clientSecret = "canary-client-secret-b4f09e"
	mgmtSecret   = "canary-mgmt-secret-0c77d1"
	clientID     = "ferry"
	users        = "Username-Password-Authentication"

	kim      = "canary.kim@example.org"
	password = "canary-Passw0rd <&>\"\\ ö🔑"
	subject  = "auth0|canarykim"
)

// stack is ferry between the simulator and a fake of Kratos.
type stack struct {
	sim    *auth0sim.Server
	kratos *bulktest.Kratos
	admin  *tappedServer // the fake's admin API
	public *tappedServer // a public API that answers every submit as Kratos does a wrong password
	ferry  *ferrytest.Ferry
	binary string // of ferry; empty: as built from the sources
	kim    string // the identity of a pending user

	hostile atomic.Pointer[http.HandlerFunc] // answers instead of the fake; nil: none
}

// start starts the stack with all listeners. settings override the usual ones; an empty
// value removes one.
func start(t *testing.T, settings ...string) *stack {
	t.Helper()
	s := prepare(t)
	s.run(t, settings...)
	return s
}

// prepare starts the stack without ferry.
func prepare(t *testing.T) *stack {
	t.Helper()
	limits := auth0sim.RelaxedSettings()
	s := &stack{kratos: bulktest.NewKratos(t)}
	s.sim = auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		DefaultDirectory: users,
		Connections:      []auth0sim.Connection{{Name: users}},
		Apps: []auth0sim.App{
			{ClientID: clientID, ClientSecret: clientSecret, TrustForwardedFor: true},
			{ClientID: "management", ClientSecret: mgmtSecret, ManagementScopes: []string{"read:users", "update:users"}},
		},
	}})
	if _, err := s.sim.AddUser(auth0sim.User{ID: subject, Connection: users, Email: kim, EmailVerified: true, Password: password}); err != nil {
		t.Fatal(err)
	}
	s.kim = s.kratos.Add(bulktest.Identity{
		SchemaID: "person", Hook: true, Traits: map[string]any{"email": kim},
		Admin: map[string]any{"auth0": map[string]any{"user_id": subject, "connection": users}},
	})
	s.admin = tapped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hostile := s.hostile.Load(); hostile != nil {
			(*hostile)(w, r)
			return
		}
		s.answer(w, r)
	}))
	s.public = tapped(t, http.HandlerFunc(publicAPI))
	return s
}

// answer answers as Kratos 1.3.1 without what the fake does not have: doctor asks for it.
func (s *stack) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/admin/version" || strings.HasPrefix(r.URL.Path, "/admin/identities/by/") {
		http.NotFound(w, r)
		return
	}
	s.kratos.ServeHTTP(w, r)
}

// env returns the usual settings with those that override them. An empty one is left out.
func (s *stack) env(settings ...string) []string {
	values := map[string]string{}
	for _, setting := range append(s.settings(), settings...) {
		name, value, _ := strings.Cut(setting, "=")
		values[name] = value
	}
	var env []string
	for name, value := range values {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// run starts ferry.
func (s *stack) run(t *testing.T, settings ...string) {
	t.Helper()
	env := s.env(settings...)
	ferry, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: cmp.Or(s.binary, built.Ferry(t)), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-ferry.Done(): // the test ended it
		default:
			if err := ferry.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
	s.ferry = ferry
	if slices.ContainsFunc(env, func(setting string) bool { return strings.HasPrefix(setting, "FERRY_GATEWAY_LISTEN=") }) {
		s.await(t, "the users register", func() bool { return strings.Contains(ferry.Logs(), "the users register is complete") })
	}
}

func (s *stack) settings() []string {
	return []string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_FORWARD_AUTH_LISTEN=127.0.0.1:0",
		"FERRY_LOG_LEVEL=debug", "FERRY_HOOK_KEYS=" + hookKey + "," + otherKey,
		"FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_BASE_URL=" + s.sim.URL(),
		"FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientSecret, "FERRY_AUTH0_REALMS=" + users,
		"FERRY_AUTH0_MGMT_CLIENT_ID=management", "FERRY_AUTH0_MGMT_CLIENT_SECRET=" + mgmtSecret,
		"FERRY_KRATOS_ADMIN_URL=" + s.admin.URL, "FERRY_KRATOS_PUBLIC_URL=" + s.public.URL,
		"FERRY_TRUSTED_PROXIES=1", "FERRY_AUTH0_FORWARD_CLIENT_IP=true", "FERRY_GATEWAY_LOOKUPS_PER_SECOND=1000", "FERRY_GATEWAY_PER_MINUTE=100000",
		"FERRY_AUTH0_BRUTE_FORCE_ATTEMPTS=0", "FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=0", "FERRY_ATTEMPTS_PER_USER=0", // one user has all the wrong passwords
	}
}

func (s *stack) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !await.True(done) {
		logs := ""
		if s.ferry != nil {
			logs = s.ferry.Logs()
		}
		t.Fatalf("timeout waiting for %s; ferry: %s", what, logs)
	}
}

// passwords returns how many passwords reached Auth0.
func (s *stack) passwords() int { return s.sim.Attempts(subject) }

// publicAPI has an identity schema, and answers every submit as Kratos answers wrong
// credentials.
func publicAPI(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/schemas":
		_, _ = io.WriteString(w, `[{"id":"person","schema":{}}]`)
	case "/schemas/person":
		_, _ = io.WriteString(w, `{"$id":"person","type":"object","properties":{"traits":{"type":"object","properties":{"email":{"type":"string","format":"email",`+
			`"ory.sh/kratos":{"credentials":{"password":{"identifier":true}},"verification":{"via":"email"},"recovery":{"via":"email"}}}}}}}`)
	case "/nothing":
		http.NotFound(w, r)
	default:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"ui":{"messages":[{"id":4000006}]}}`)
	}
}

// tappedServer is a server that keeps every byte that it receives.
type tappedServer struct {
	*httptest.Server

	mu    sync.Mutex
	bytes bytes.Buffer
}

func tapped(t *testing.T, handler http.Handler) *tappedServer {
	t.Helper()
	s := &tappedServer{}
	s.Server = httptest.NewUnstartedServer(handler)
	s.Listener = tappedListener{s.Listener, s}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// received returns what arrived since the last call.
func (s *tappedServer) received() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.bytes.String()
	s.bytes.Reset()
	return text
}

type tappedListener struct {
	net.Listener

	server *tappedServer
}

func (l tappedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tappedConn{conn, l.server}, nil
}

type tappedConn struct {
	net.Conn

	server *tappedServer
}

func (c tappedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.bytes.Write(p[:n])
	return n, err
}

// answer is what a client reads.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %v %s", a.status, a.header, a.body) }

// client sends requests, and follows no redirects. It asks for no compression. It does not ask
// the server to close the connection, which would then not read the rest of a body that it
// refuses.
func client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post posts JSON with the hook key.
func post(t *testing.T, url, body string, change ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+hookKey)
	req.Header.Set("Content-Type", "application/json")
	for _, change := range change {
		change(req)
	}
	client := client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// raw writes bytes to a listener and reads until it closes the connection.
func raw(t *testing.T, url, request string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, request) }() // the listener may not read it all
	var got bytes.Buffer
	if _, err := io.Copy(&got, conn); err != nil && got.Len() == 0 && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("read: %v", err)
	}
	return got.String()
}
