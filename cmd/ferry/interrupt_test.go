package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const plainSchema = `{"type":"object","properties":{"traits":{"type":"object","properties":{"email":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}}}}}`

func fileWith(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestEndSignals(t *testing.T) {
	t.Parallel()
	names := func(args ...string) string {
		var names []string
		for _, signal := range endSignals(args) {
			names = append(names, signal.String())
		}
		return strings.Join(names, ", ")
	}
	const quiet, all = "interrupt, terminated", "interrupt, terminated, hangup"
	for _, args := range [][]string{nil, {"status"}, {"import", "serve"}} {
		if got := names(args...); got != all && got != quiet { // quiet under nohup
			t.Errorf("%v ends with %s", args, got)
		}
	}
	if got := names("serve"); got != quiet {
		t.Errorf("serve ends with %s", got)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	got := commandLine([]string{"import", "--users", "my users.ndjson", "--provider", "google-oauth2=google", "it's"})
	if want := `ferry import --users 'my users.ndjson' --provider google-oauth2=google 'it'\''s'`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// An interrupted command says so in words, and how to run it again.
func TestInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	arrived := make(chan struct{}, 1)
	kratos := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	defer kratos.Close()
	t.Setenv("FERRY_KRATOS_ADMIN_URL", kratos.URL)
	fileWith(t, "schema", plainSchema)
	fileWith(t, "users", `{"user_id":"auth0|1","email":"kim@example.org","blocked":false,"multifactor":[],"identities":[],"last_password_reset":null}`)
	for command, hint := range map[string]string{
		"import --users users --schema schema --results results": "hint: to continue where the run stopped, run the same command again: ferry import --users users --schema schema --results results\n",
		"import --users users --schema schema":                   "run the same command again: it skips users who have an identity",
		"reconcile --users users --schema schema --schema-id a":  "hint: to start again, run the same command: ferry reconcile --users users",
		"status": "hint: to start again, run the same command: ferry status\n",
		"runs":   "hint: to start again, run the same command: ferry runs\n",
		"plan":   "hint: to start again, run the same command: ferry plan\n",
		"finish": "hint: to start again, run the same command: ferry finish\n",
		"undo --run 6c3a8e4c-9f4b-4b6e-9a38-6a3f0f8e2c11":                          "hint: to start again, run the same command: ferry undo --run 6c3a",
		"rebind 6c3a8e4c-9f4b-4b6e-9a38-6a3f0f8e2c11 --to auth0|1 --reason ticket": "ferry: read the identities in Kratos: interrupted\n",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		var stdout, stderr bytes.Buffer
		code := run(ctx, strings.Fields(command), &stdout, &stderr)
		said := stderr.String()
		if code != exitFailed || !strings.Contains(said, "interrupted") || !strings.Contains(said, hint) || strings.Contains(said, "context canceled") {
			t.Errorf("%s: it ends with %d\n%s", command, code, said)
		}
		if strings.Contains(said, "created_pending") {
			t.Errorf("%s: it sums up nothing\n%s", command, said)
		}
		cancel()
	}
}

// TestNotInterrupted: a command that failed does not suggest to run it again.
func TestNotInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	kratos := httptest.NewServer(http.NotFoundHandler())
	defer kratos.Close()
	t.Setenv("FERRY_KRATOS_ADMIN_URL", kratos.URL)
	fileWith(t, "schema", plainSchema)
	fileWith(t, "users", `{"user_id":"auth0|1","email":"kim@example.org","blocked":false,"multifactor":[],"identities":[],"last_password_reset":null}`)
	for _, command := range []string{"reconcile --users users --schema schema --schema-id a", "status", "runs", "plan", "finish", "undo --run 6c3a8e4c-9f4b-4b6e-9a38-6a3f0f8e2c11"} {
		var stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(command), io.Discard, &stderr); code != exitFailed || strings.Contains(stderr.String(), "hint:") {
			t.Errorf("%s: it ends with %d\n%s", command, code, stderr.String())
		}
	}
}

// Without a directory of the system's, the one beside the files is taken; where there is
// none either, a command says so before it does anything.
func TestNoTemporaryDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(dir, "none"))
	users := fileWith(t, filepath.Join(dir, "users"), `{"user_id":"auth0|1","email":"kim@example.org","blocked":false,"multifactor":[],"identities":[],"last_password_reset":null}`)
	schema := fileWith(t, filepath.Join(dir, "schema"), plainSchema)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"import", "--dry-run", "--users", users, "--schema", schema}, &stdout, &stderr); code != exitOK {
		t.Errorf("beside the users it ends with %d\n%s", code, stderr.String())
	}
	for _, args := range [][]string{
		{"import", "--dry-run", "--users", "-", "--schema", schema},
		{"import", "--dry-run", "--users", users, "--schema", schema, "--temp-dir", filepath.Join(dir, "none")},
		{"reconcile", "--users", "-", "--schema", schema},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), args, &stdout, &stderr)
		said := stderr.String()
		if code != exitFailed || stdout.Len() > 0 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "with --temp-dir") {
			t.Errorf("%v: it ends with %d\n%s%s", args, code, stdout.String(), said)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "ferry-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// closer is a file whose end cannot be written.
type closer struct{ io.Writer }

func (closer) Close() error { return syscall.ENOSPC }

func TestErrorsOfCloseCount(t *testing.T) {
	t.Parallel()
	err := written(closer{io.Discard}, func(to io.Writer) error {
		_, err := to.Write([]byte("{}\n"))
		return err
	})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("it ends with %v", err)
	}
	if err := written(closer{io.Discard}, func(io.Writer) error { return net.ErrClosed }); !errors.Is(err, net.ErrClosed) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("it ends with %v", err)
	}
}
