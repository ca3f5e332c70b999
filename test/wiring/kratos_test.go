package wiring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"ferry/test/kratostest"
	"ferry/test/process"
)

const (
	bootLimit = time.Minute
	bootTick  = 25 * time.Millisecond
	stopGrace = 10 * time.Second
)

// kratos is a real Kratos on a complete file. kratostest derives its own from the
// shipped one.
type kratos struct {
	t             *testing.T
	public, admin string
	client        *http.Client
}

// program runs a Kratos on a kratos.yml that is not changed. Addresses and the
// database are set in the environment.
type program struct {
	path, dir, file string
	env             []string
	public, admin   int
	log             *process.Log
}

func newProgram(t *testing.T, text []byte) program {
	t.Helper()
	path, err := kratostest.Binary(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := program{path: path, dir: dir, file: filepath.Join(dir, "kratos.yml"), public: freePort(t), admin: freePort(t), log: &process.Log{}}
	if err := os.WriteFile(p.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p program) command(args ...string) process.Command {
	return process.Command{
		Path: p.path, Args: append(args, "-c", p.file), Dir: p.dir, Output: p.log,
		Env: append([]string{
			"HOME=" + p.dir, "TMPDIR=" + p.dir,
			"DSN=sqlite://" + filepath.Join(p.dir, "kratos.sqlite") + "?_fk=true&mode=rwc&_busy_timeout=10000&_journal_mode=WAL&_txlock=immediate&lock=false",
			"SERVE_PUBLIC_PORT=" + strconv.Itoa(p.public), "SERVE_ADMIN_PORT=" + strconv.Itoa(p.admin),
			fmt.Sprintf("SERVE_PUBLIC_BASE_URL=http://127.0.0.1:%d/", p.public), fmt.Sprintf("SERVE_ADMIN_BASE_URL=http://127.0.0.1:%d/", p.admin),
		}, p.env...),
	}
}

// errTemplate means that Kratos does not accept a template for the migration hook
// (1.3.1).
var errTemplate = errors.New("kratos refuses the template")

// startKratos starts Kratos with additional environment variables and stops it with
// the test.
func startKratos(t *testing.T, text []byte, env ...string) (*kratos, error) {
	t.Helper()
	p := newProgram(t, text)
	p.env = env
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	if err := p.command("migrate", "sql", "-e", "--yes").Run(ctx); err != nil {
		t.Fatalf("migrate the database: %v\n%s", err, p.log.Tail(20))
	}
	running, err := p.command("serve", "--dev", "--sqa-opt-out").Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	k := &kratos{
		t: t, public: fmt.Sprintf("http://127.0.0.1:%d", p.public), admin: fmt.Sprintf("http://127.0.0.1:%d", p.admin),
		client: &http.Client{Transport: &http.Transport{}},
	}
	t.Cleanup(func() {
		k.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("kratos printed at last:\n%s", p.log.Tail(20))
		}
		if err := running.Stop(stopGrace); err != nil {
			t.Error(err)
		}
	})
	err = k.await(ctx, running)
	if err != nil && p.log.Contains(`additionalProperties "body" not allowed`) {
		err = errTemplate
	}
	return k, err
}

func (k *kratos) await(ctx context.Context, running *process.Process) error {
	ticker := time.NewTicker(bootTick)
	defer ticker.Stop()
	for !k.ready(ctx, k.public+"/health/ready") || !k.ready(ctx, k.admin+"/admin/health/ready") {
		select {
		case <-ticker.C:
		case <-running.Done():
			return errors.New("kratos ended while it started")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (k *kratos) ready(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	response, err := k.client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("odd address %s", listener.Addr())
	}
	return address.Port
}

// call sends JSON, if there is any, and decodes the JSON answer whatever its status.
func (k *kratos) call(method, address string, body, into any) int {
	k.t.Helper()
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			k.t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(k.t.Context(), method, address, &sent)
	if err != nil {
		k.t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	response, err := k.client.Do(request)
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		k.t.Fatalf("%s: status %d: %v", address, response.StatusCode, err)
	}
	return response.StatusCode
}

// pending creates a pending identity.
func (k *kratos) pending(email string, verified bool) (id string) {
	k.t.Helper()
	status := "pending"
	if verified {
		status = "completed"
	}
	var created struct{ ID string }
	code := k.call(http.MethodPost, k.admin+"/admin/identities", map[string]any{
		"schema_id": "person", "traits": map[string]any{"email": email},
		"credentials":          map[string]any{"password": map[string]any{"config": map[string]any{"use_password_migration_hook": true}}},
		"verifiable_addresses": []any{map[string]any{"value": email, "via": "email", "verified": verified, "status": status}},
	}, &created)
	if code != http.StatusCreated || created.ID == "" {
		k.t.Fatalf("create %s: status %d", email, code)
	}
	return created.ID
}

// login is Kratos' answer to a login as an app.
type login struct {
	status int
	Token  string `json:"session_token"`
	Error  struct{ ID string }
	UI     struct{ Messages []struct{ ID int } }
}

// unverified reports whether the login was refused because the address is not
// verified. 26.2 reports this in an error, 1.3.1 in the form.
func (l login) unverified() bool {
	const message = 4000010
	return l.Token == "" && (l.Error.ID == "session_verified_address_required" ||
		len(l.UI.Messages) == 1 && l.UI.Messages[0].ID == message)
}

func (k *kratos) login(email, password string) login {
	k.t.Helper()
	var flow struct{ UI struct{ Action string } }
	if code := k.call(http.MethodGet, k.public+"/self-service/login/api", nil, &flow); code != http.StatusOK {
		k.t.Fatalf("begin a login: status %d", code)
	}
	var got login
	got.status = k.call(http.MethodPost, flow.UI.Action, map[string]string{"method": "password", "identifier": email, "password": password}, &got)
	return got
}
