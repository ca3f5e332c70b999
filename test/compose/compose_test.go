// Package compose runs what deploy/compose/compose.yaml runs, as plain processes: the real
// Kratos with its environment and the secrets of setup.sh, two ferries behind one name, Redis
// with its file, PostgreSQL, and Prometheus with its rules. Only addresses differ, and Auth0 is
// the simulator. Grafana is not run.
// test/deploy checks the file itself.
package compose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/test/postgrestest"
	"ferry/test/process"
)

func TestMain(m *testing.M) { built.Main(m) }

const (
	root         = "../.."
	users        = "Username-Password-Authentication"
	clientID     = "ferry"
	clientSecret = "compose-client-secret"

	stopWait = 10 * time.Second
)

// file is the part of the compose file that is run here.
type file struct {
	Kratos   service            `yaml:"x-kratos"`
	Services map[string]service `yaml:"services"`
}

type service struct {
	Environment map[string]string `yaml:"environment"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
}

// installation is a directory in which setup.sh has run.
type installation struct {
	file
	dir    string            // deploy/compose
	values map[string]string // of .env
}

func install(t *testing.T) *installation {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"deploy/compose/compose.yaml", "deploy/compose/setup.sh", "deploy/compose/env.example", "kratos.yml.example"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	i := &installation{dir: filepath.Join(dir, "deploy/compose"), values: map[string]string{}}
	if out, err := exec.CommandContext(t.Context(), "sh", filepath.Join(i.dir, "setup.sh")).CombinedOutput(); err != nil {
		t.Fatalf("setup.sh: %v\n%s", err, out)
	}
	// A key that overrides a merged one counts as a duplicate.
	if err := yaml.UnmarshalWithOptions([]byte(i.read(t, "compose.yaml")), &i.file, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *installation) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(i.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (i *installation) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(i.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// env are the variables of a service, with the values of .env, and with replace applied to
// its addresses and paths.
func (i *installation) env(t *testing.T, variables map[string]string, replace ...string) []string {
	t.Helper()
	replacer := strings.NewReplacer(replace...)
	var env []string
	for name, value := range variables {
		value = regexp.MustCompile(`\$\{([A-Z0-9_]+):\?[^}]*\}`).ReplaceAllStringFunc(value, func(v string) string {
			name, _, _ := strings.Cut(v[2:], ":")
			if i.values[name] == "" {
				t.Errorf("%s has no value", name)
			}
			return i.values[name]
		})
		env = append(env, name+"="+replacer.Replace(value))
	}
	return env
}

// startRedis starts Redis with the file that the container has.
func (i *installation) startRedis(t *testing.T) (port string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(free.Addr().String())
	_ = free.Close()
	log := &process.Log{}
	redis, err := process.Command{
		Path: "/usr/bin/env", Env: []string{"PATH=" + os.Getenv("PATH")}, Output: log,
		Args: []string{"redis-server", filepath.Join(i.dir, "secrets/redis.conf"), "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir()},
	}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := redis.Stop(stopWait); err != nil {
			t.Error(err)
		}
	})
	if !await.True(func() bool { return log.Contains("Ready to accept connections") || redis.Exited() }) || redis.Exited() {
		t.Fatalf("redis does not start:\n%s", log)
	}
	return port
}

// loginsAtMost is how many users log in until each of two ferries was asked, one at random each
// time.
const loginsAtMost = 20

// TestStack: an installation of the compose file moves users, whichever ferry Kratos calls,
// and its health checks say what runs.
func TestStack(t *testing.T) {
	i := install(t)
	limits := auth0sim.RelaxedSettings()
	sim := auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		DefaultDirectory: users, Connections: []auth0sim.Connection{{Name: users}}, Apps: []auth0sim.App{{ClientID: clientID, ClientSecret: clientSecret}},
	}})
	i.values = map[string]string{
		"FERRY_AUTH0_DOMAIN": sim.Domain(), "FERRY_AUTH0_CLIENT_ID": clientID, "FERRY_AUTH0_REALMS": users,
		"KRATOS_PUBLIC_URL": "https://accounts.example.org/", "COURIER_SMTP_CONNECTION_URI": "smtps://user:password@mail.example.org:465/",
	}
	i.write(t, "secrets/auth0-client-secret", clientSecret+"\n")

	name := startName(t)
	kratos := i.startKratos(t, name)
	redis := i.startRedis(t)
	url := strings.Replace(i.read(t, "secrets/state-url"), "redis:6379", "127.0.0.1:"+redis, 1)
	i.write(t, "secrets/state-url", url)
	var ferries []*ferrytest.Ferry
	for range 2 {
		ferries = append(ferries, i.startFerry(t, sim, kratos))
	}
	name.set(ferries)
	monitor := i.startPrometheus(t, ferries)
	monitor.checkScraped(t)

	decided := func(ferry *ferrytest.Ferry) bool { return strings.Contains(ferry.Logs(), `"outcome":"match"`) }
	for n := range loginsAtMost {
		i.migrate(t, sim, kratos, n)
		if decided(ferries[0]) && decided(ferries[1]) {
			break
		}
	}
	for n, ferry := range ferries {
		if !decided(ferry) {
			t.Errorf("ferry %d was not asked:\n%s", n, ferry.Logs())
		}
		i.checkHealth(t, "ferry", 0, built.Ferry(t), "FERRY_ADMIN_LISTEN="+strings.TrimPrefix(ferry.AdminURL(), "http://"))
	}
	i.checkOtherHealth(t, kratos, redis)
	monitor.checkRules(t)

	// One of the two is replaced.
	if err := ferries[0].Stop(); err != nil {
		t.Error(err)
	}
	i.checkHealth(t, "ferry", 1, built.Ferry(t), "FERRY_ADMIN_LISTEN="+strings.TrimPrefix(ferries[0].AdminURL(), "http://"))
	i.migrate(t, sim, kratos, loginsAtMost)
	monitor.checkDown(t)
}

// startKratos starts Kratos with the environment of its container and the file of setup.sh.
func (i *installation) startKratos(t *testing.T, ferry *name) *kratostest.Kratos {
	t.Helper()
	env := i.env(t, i.Kratos.Environment, "ferry:4480", ferry.address(), "0.0.0.0", "127.0.0.1")
	// kratostest recognizes its Kratos by this address.
	env = slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, "SERVE_ADMIN_BASE_URL=") })
	database := postgrestest.Run(t, postgrestest.Options{})
	for line := range strings.Lines(i.read(t, "secrets/kratos.env")) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "DSN=") {
			if !strings.HasPrefix(line, "DSN=postgres://kratos:") || !strings.Contains(line, "@postgres:5432/kratos?") {
				t.Errorf("the DSN is %s", line)
			}
			line = "DSN=" + database.DSN()
		}
		env = append(env, line)
	}
	return kratostest.Run(t, kratostest.Options{DSN: database.DSN(), Env: env, PublicBaseURL: i.values["KRATOS_PUBLIC_URL"], AfterLoginURL: "http://127.0.0.1:9/replaced-by-the-environment", HookKey: "replaced-by-the-environment-0123456789"})
}

// startFerry starts a ferry with the environment of its container and the secrets of setup.sh.
func (i *installation) startFerry(t *testing.T, sim *auth0sim.Server, kratos *kratostest.Kratos) *ferrytest.Ferry {
	t.Helper()
	env := i.env(t, i.Services["ferry"].Environment,
		"0.0.0.0:4480", "127.0.0.1:0", "0.0.0.0:4481", "127.0.0.1:0", "/run/secrets", filepath.Join(i.dir, "secrets"),
		"http://kratos:4434", kratos.AdminURL(), "http://kratos:4433", kratos.PublicURL())
	ferry, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: append(env, "FERRY_AUTH0_BASE_URL="+sim.URL())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ferry.Stop(); err != nil {
			t.Error(err)
		}
	})
	return ferry
}

// migrate has a new user log in twice: Kratos has the password after the first time, and the
// name after ferry's second hook.
func (i *installation) migrate(t *testing.T, sim *auth0sim.Server, kratos *kratostest.Kratos, n int) {
	t.Helper()
	email, password := fmt.Sprintf("user%d@example.org", n), fmt.Sprintf("compose-Passw0rd %d", n)
	user := auth0sim.User{ID: "auth0|" + email, Connection: users, Email: email, EmailVerified: true, Password: password, GivenName: "Kim"}
	if _, err := sim.AddUser(user); err != nil {
		t.Fatal(err)
	}
	id, err := kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
		Traits: map[string]any{"email": email}, Pending: true, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": user.ID}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		login, err := kratos.LoginAPI(t.Context(), email, password)
		if err != nil || login.Sees() != kratostest.SeesSession {
			t.Fatalf("login of %s: %s, %v\n%s", email, login.Sees(), err, kratos.Logs())
		}
	}
	if !await.True(func() bool {
		identity, err := kratos.Get(t.Context(), id)
		return err == nil && !identity.Pending && identity.HashedPassword != "" && len(identity.VerifiableAddresses) == 1 && identity.VerifiableAddresses[0].Verified
	}) {
		t.Errorf("%s has not migrated with its profile", email)
	}
}

// checkHealth runs the health check of a service with another program for its first word.
func (i *installation) checkHealth(t *testing.T, service string, want int, program string, env ...string) {
	t.Helper()
	test := i.Services[service].Healthcheck.Test
	if len(test) < 2 || test[0] != "CMD" {
		t.Fatalf("the health check of %s is %q", service, test)
	}
	cmd := exec.CommandContext(t.Context(), program, test[2:]...)
	cmd.Env = append([]string{"PATH=/nowhere", "HOME=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != want {
		t.Errorf("%s: %q ends with %v, want status %d\n%s", service, test, err, want, out)
	}
}

// checkOtherHealth runs the health checks of Kratos and Redis.
func (i *installation) checkOtherHealth(t *testing.T, kratos *kratostest.Kratos, redisPort string) {
	t.Helper()
	binary, err := kratostest.Binary(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	last := len(i.Services["kratos"].Healthcheck.Test) - 1
	i.Services["kratos"].Healthcheck.Test[last] = kratos.AdminURL()
	i.checkHealth(t, "kratos", 0, binary)
	i.Services["kratos"].Healthcheck.Test[last] = "http://127.0.0.1:1"
	i.checkHealth(t, "kratos", 1, binary)

	test := i.Services["redis"].Healthcheck.Test
	script := strings.NewReplacer("$$", "$", "/run/secrets", filepath.Join(i.dir, "secrets"), "redis-cli", "redis-cli -p "+redisPort).Replace(test[1])
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput(); err != nil || test[0] != "CMD-SHELL" {
		t.Errorf("redis: %s: %v\n%s", script, err, out)
	}
	i.write(t, "secrets/redis-password", "another")
	if exec.CommandContext(t.Context(), "sh", "-c", script).Run() == nil {
		t.Error("redis: the health check succeeds with another password")
	}
}

// name is the name ferry of the containers' network. Every request goes to one of its
// addresses at random, and to the next if that does not answer.
type name struct {
	server *httptest.Server
	hosts  atomic.Pointer[[]string]
}

func startName(t *testing.T) *name {
	t.Helper()
	n := &name{}
	n.server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "ferry" },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: n.dial},
	})
	t.Cleanup(n.server.Close)
	return n
}

func (n *name) address() string { return n.server.Listener.Addr().String() }

func (n *name) set(ferries []*ferrytest.Ferry) {
	var hosts []string
	for _, ferry := range ferries {
		hosts = append(hosts, strings.TrimPrefix(ferry.HooksURL(), "http://"))
	}
	n.hosts.Store(&hosts)
}

func (n *name) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var faults error
	hosts := *n.hosts.Load()
	first := rand.IntN(len(hosts))
	for i := range hosts {
		conn, err := new(net.Dialer).DialContext(ctx, network, hosts[(first+i)%len(hosts)])
		if err == nil {
			return conn, nil
		}
		faults = errors.Join(faults, err)
	}
	return nil, faults
}
