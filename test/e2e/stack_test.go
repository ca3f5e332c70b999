// Package e2e migrates users from the Auth0 simulator to the real Kratos with the
// program ferry. Each runs in a process or server of its own, as in production.
package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/wiring"
)

func TestMain(m *testing.M) { built.Main(m) }

const (
	hookKey      = "canary-hook-key-5e1d0c2b-0123456789abcdef"
	clientSecret = "canary-client-secret-77aa31"
	clientID     = "ferry"
	users        = "Username-Password-Authentication"
	legacy       = "legacy"
)

// stack is the simulator, Kratos and ferry, with a tap between Kratos and ferry that
// keeps ferry's answers.
type stack struct {
	t      *testing.T
	sim    *auth0sim.Server
	kratos *kratostest.Kratos
	ferry  *ferrytest.Ferry
	tap    *tap
	people int

	front *front           // before the gateway; nil: users reach Kratos directly
	apart *ferrytest.Ferry // the gateway, where it is another process than ferry

	lookups *lookups
	admin   string // address of the lookups proxy
}

// start starts the stack. settings override ferry's usual ones.
func start(t *testing.T, settings ...string) *stack {
	t.Helper()
	return startWith(t, nil, settings...)
}

// startWith lets edit change the parsed kratos.yml before Kratos starts.
func startWith(t *testing.T, edit func(config map[string]any), settings ...string) *stack {
	t.Helper()
	return startOn(t, func(k *kratostest.Options) { k.Edit = edit }, settings...)
}

// startOn lets change edit Kratos' options.
func startOn(t *testing.T, change func(*kratostest.Options), settings ...string) *stack {
	t.Helper()
	limits := auth0sim.RelaxedSettings()
	s := &stack{t: t, tap: &tap{}}
	s.sim = auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		DefaultDirectory: users,
		Connections:      []auth0sim.Connection{{Name: users}, {Name: legacy}, {Name: "google-oauth2", Strategy: "google-oauth2"}},
		APIs:             []auth0sim.API{{Identifier: "https://api.example"}},
		Apps:             []auth0sim.App{{ClientID: clientID, ClientSecret: clientSecret}},
	}})
	front := httptest.NewUnstartedServer(s.tap)
	front.Config.ConnState = s.tap.connection
	front.Start()
	t.Cleanup(front.Close)
	options := kratostest.Options{
		HookURL:        front.URL + "/hooks/password-migration",
		AfterLoginURL:  front.URL + "/hooks/after-login",
		HookKey:        hookKey,
		MigrateJsonnet: wiring.MigrateJsonnet("X-Forwarded-For"),
	}
	change(&options)
	if options.PublicBaseURL == "" && wantsGateway(settings) {
		s.front = startFront(t)
		options.UsersURL = s.front.url()
	}
	s.kratos = kratostest.Run(t, options)
	s.lookups, s.admin = startLookups(t, s.kratos.AdminURL())
	s.startGateway(settings)
	s.startFerry(settings...)
	t.Cleanup(func() {
		if err := s.ferry.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stack) startFerry(settings ...string) {
	s.t.Helper()
	ferry, err := ferrytest.Start(s.t.Context(), ferrytest.Options{
		Binary: built.Ferry(s.t),
		Env:    s.settings(s.gatewaySettings(settings)),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.ferry = ferry
	if s.front != nil && ferry.GatewayURL() != "" {
		s.front.forwardTo(s.t, ferry.GatewayURL())
	}
	s.tap.forwardTo(s.t, ferry.HooksURL())
}

// settings are ferry's usual settings, and those that override them.
func (s *stack) settings(others []string) []string {
	return settle(append([]string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_LOG_LEVEL=debug",
		"FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_BASE_URL=" + s.sim.URL(),
		"FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientSecret,
		"FERRY_AUTH0_REALMS=" + users + "," + legacy,
		"FERRY_AUTH0_TIMEOUT=6s",
		"FERRY_KRATOS_ADMIN_URL=" + s.admin,
	}, others...))
}

// settle makes later settings override earlier ones and drops those that end up empty.
func settle(settings []string) []string {
	values := map[string]string{}
	for _, setting := range settings {
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

// person is a user at Auth0 with a pending identity in Kratos.
type person struct {
	stack    *stack
	email    string
	password string
	subject  string
	identity string
}

// person creates a user. change may alter both sides before they are created.
func (s *stack) person(t *testing.T, change func(*auth0sim.User, *kratostest.IdentitySpec)) *person {
	t.Helper()
	s.people++
	p := &person{
		stack:    s,
		email:    fmt.Sprintf("canary%d@example.org", s.people),
		password: fmt.Sprintf("canary-Passw0rd %d ö🔑", s.people),
		subject:  fmt.Sprintf("auth0|canary.person%d@example.org", s.people), // a custom database may use such ids
	}
	user := auth0sim.User{ID: p.subject, Connection: users, Email: p.email, EmailVerified: true, Password: p.password}
	identity := kratostest.IdentitySpec{
		Traits:        map[string]any{"email": p.email},
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": p.subject}},
		Pending:       true,
	}
	if change != nil {
		change(&user, &identity)
	}
	if _, err := s.sim.AddUser(user); err != nil {
		t.Fatal(err)
	}
	p.password = user.Password
	var err error
	if p.identity, err = s.kratos.CreateIdentity(t.Context(), identity); err != nil {
		t.Fatal(err)
	}
	return p
}

// login logs in with one kind of client.
type login func(ctx context.Context, identifier, password string, edits ...kratostest.RequestEdit) (kratostest.Login, error)

// expect is the expected result of a login.
type expect struct {
	sees     string
	attempts int  // passwords of this user that reached Auth0
	hooks    int  // calls of ferry
	stored   bool // the hash is in Kratos afterwards
}

// check logs in and compares the result.
func (p *person) check(t *testing.T, by login, identifier, password string, want expect) {
	t.Helper()
	attempts, hooks := p.stack.attempts(), p.stack.tap.count()
	got, err := by(t.Context(), identifier, password)
	if err != nil {
		t.Fatal(err)
	}
	if got.Sees() != want.sees {
		t.Errorf("the user sees %q, want %q", got.Sees(), want.sees)
	}
	if n := p.stack.attempts() - attempts; n != want.attempts {
		t.Errorf("%d attempts reached Auth0, want %d", n, want.attempts)
	}
	if n := p.stack.tap.count() - hooks; n != want.hooks {
		t.Errorf("ferry was called %d times, want %d", n, want.hooks)
	}
	identity, err := p.stack.kratos.Get(t.Context(), p.identity)
	if err != nil {
		t.Fatal(err)
	}
	if stored := identity.HashedPassword != "" && !identity.Pending; stored != want.stored {
		t.Errorf("hash stored: %v (pending %v), want %v", stored, identity.Pending, want.stored)
	}
}

// attempts returns how many passwords reached Auth0, of all users.
func (s *stack) attempts() int { return s.sim.TokenRequests() }

// fault makes the simulator misbehave until the test ends.
func (s *stack) fault(t *testing.T, f auth0sim.Fault) {
	t.Helper()
	id, err := s.sim.SetFault(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.sim.ClearFault(id); err != nil {
			t.Error(err)
		}
	})
}

// get returns the body of a page of ferry's admin listener.
func (s *stack) get(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.ferry.AdminURL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

// checkSilence searches everything that ferry and Kratos printed or answered for
// secrets and user data.
func (s *stack) checkSilence(t *testing.T) {
	t.Helper()
	places := map[string]string{
		"ferry's log": s.ferry.Logs(), "ferry's answers": s.tap.kept(), "ferry's metrics": s.get(t, "/metrics/prometheus"),
		"ferry's version": s.get(t, "/version"), "Kratos' log": s.kratos.Logs(),
	}
	for _, word := range []string{"canary-Passw0rd", hookKey, clientSecret, "eyJ"} {
		if strings.Contains(s.tap.keptAfter(), word) {
			t.Errorf("%q is in an answer to the after-login hook", word)
		}
	}
	for place, text := range places {
		if text == "" {
			t.Errorf("%s is empty", place)
		}
		for line := range strings.Lines(text) {
			for _, word := range []string{"canary", url.QueryEscape("canary-Passw0rd 1"), "eyJ"} {
				if strings.Contains(strings.ToLower(line), strings.ToLower(word)) {
					t.Errorf("%q is in %s: %s", word, place, line)
				}
			}
		}
	}
}
