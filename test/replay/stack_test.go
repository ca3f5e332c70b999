// Package replay records every outcome of a login, with the simulator, the real Kratos
// and the program ferry, and replays the recording: to the same ferry, to one whose
// code was changed, and with the program demo alone.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"ferry/hook"
	"ferry/recording"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/kratostest"
)

const (
	hookKey      = "canary-hook-key-0123456789-0123456789"
	hashKey      = "log-hash-key-0123456789-0123456789"
	clientID     = "ferry"
	clientSecret = "canary-client-secret"
	users        = "Username-Password-Authentication"
)

// built is the folder of the programs: ferry, auth0sim and demo, and in changed a demo
// with a ferry in which one answer was changed in the code.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(built.dir)
		os.Exit(code)
	}))
}

func programs(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if _, built.err = kratostest.Binary(t.Context(), t.Output()); built.err != nil {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "ferry-replay-"); built.err != nil { //nolint:usetesting // it outlives the test that asks first
			return
		}
		overlay, err := changeAnswer()
		built.err = errors.Join(err,
			build(built.dir, "ferry/cmd/ferry", "ferry/cmd/auth0sim", "ferry/cmd/demo"),
			build(changed(), "-overlay="+overlay, "ferry/cmd/ferry", "ferry/cmd/auth0sim", "ferry/cmd/demo"))
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func changed() string { return filepath.Join(built.dir, "changed") }

func build(dir string, args ...string) error {
	args = append([]string{"build", "-buildvcs=false", "-o", dir + "/"}, args...)
	if out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// changeAnswer writes a compiler overlay in which a user blocked by Auth0's
// brute-force protection sees an outage.
func changeAnswer() (overlay string, err error) {
	source, err := filepath.Abs("../../hook/answer.go")
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	edited := strings.NewReplacer(
		"outcome.Throttled, outcome.Locked", "outcome.Locked",
		"case outcome.Suspicious,", "case outcome.Throttled, outcome.Suspicious,",
	).Replace(string(text))
	if strings.Count(edited, "outcome.Throttled") != 1 || edited == string(text) {
		return "", errors.New("hook/answer.go is not what this test changes")
	}
	file := filepath.Join(built.dir, "answer.go")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: file}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(built.dir, "overlay.json")
	return overlay, errors.Join(os.WriteFile(file, []byte(edited), 0o600), os.WriteFile(overlay, replace, 0o600))
}

// stack is the simulator and Kratos, with one ferry at a time.
type stack struct {
	sim    *auth0sim.Server
	kratos *kratostest.Kratos
	client *http.Client
	people int
}

func start(t *testing.T) *stack {
	t.Helper()
	limits := auth0sim.RelaxedSettings()
	s := &stack{client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	s.sim = auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		DefaultDirectory: users,
		Connections:      []auth0sim.Connection{{Name: users}},
		Apps:             []auth0sim.App{{ClientID: clientID, ClientSecret: clientSecret}},
	}})
	s.kratos = kratostest.Run(t, kratostest.Options{HookURL: "http://127.0.0.1:1/", HookKey: hookKey})
	return s
}

// ferry starts one from the folder of the programs; stop ends it.
func (s *stack) ferry(t *testing.T, dir string, settings ...string) (f *ferrytest.Ferry, stop func()) {
	t.Helper()
	f, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: filepath.Join(dir, "ferry"), Env: append([]string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0",
		"FERRY_HOOK_KEYS=" + hookKey, "FERRY_LOG_HASH_KEY=" + hashKey,
		"FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_BASE_URL=" + s.sim.URL(),
		"FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientSecret,
		"FERRY_AUTH0_REALMS=" + users, "FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL(),
	}, settings...)})
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return f, stop
}

// person creates a user at Auth0 with a bound, pending identity, unless change alters
// them.
func (s *stack) person(t *testing.T, change func(*auth0sim.User, *kratostest.IdentitySpec)) (email, password, identity string) {
	t.Helper()
	s.people++
	email, password = fmt.Sprintf("canary%d@example.org", s.people), fmt.Sprintf("canary-Passw0rd %d ö", s.people)
	user := auth0sim.User{ID: fmt.Sprintf("auth0|person%d", s.people), Connection: users, Email: email, EmailVerified: true, Password: password}
	entry := kratostest.IdentitySpec{
		Traits:        map[string]any{"email": email},
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": user.ID}},
		Pending:       true,
	}
	if change != nil {
		change(&user, &entry)
	}
	if _, err := s.sim.AddUser(user); err != nil {
		t.Fatal(err)
	}
	identity, err := s.kratos.CreateIdentity(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	return email, password, identity
}

// post makes a call as Kratos does.
func (s *stack) post(t *testing.T, url, body string, header map[string]string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+hookKey)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// replay replays a recording to a ferry with everything that the operator may know.
func (s *stack) replay(t *testing.T, f *ferrytest.Ferry, r record) map[recording.Verdict][]recording.Result {
	t.Helper()
	source, err := recording.OpenSource(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	logins := recording.NewLogins(r.private, func(text string) string { return hook.Hash(secret.New(hashKey), text) })
	if err := logins.Read(strings.NewReader(r.passwords)); err != nil {
		t.Fatal(err)
	}
	results := map[recording.Verdict][]recording.Result{}
	err = recording.Replay(t.Context(), recording.ReplayOptions{
		Target: f.HooksURL(), Key: secret.New(hookKey), Client: s.client, Restore: logins.Restore,
		Each:  func(r recording.Result) { results[r.Verdict] = append(results[r.Verdict], r) },
		Fault: func(err error) { t.Error(err) },
	}, source.Calls(func(int64) {}))
	if err != nil {
		t.Fatal(err)
	}
	return results
}
