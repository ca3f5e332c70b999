package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/admin"
	"ferry/config"
	"ferry/recording"
)

const (
	replayTestKey = "canary-hook-key-0123456789-0123456789"
	recordedLine  = `{"v":1,"time":"2026-11-22T01:02:03Z","route":"password-migration","body":{"identifier":"#00","password":"[password]"},` +
		`"status":403,"answer":{"status":"no_match"},"outcome":"OUTCOME","reason":"wrong_credentials","identifier_hash":"HASH","took_ms":{}}`
	// hashOfAda is the log's hash of ada@example.org under the key of the tests.
	hashOfAda = "76f71817bc48cdad"
)

// fakeFerry is the two listeners of a ferry that answers every call alike.
type fakeFerry struct {
	hooks, admin *httptest.Server
	bodies       []string
	recordings   string // where it says that it records
}

func newFakeFerry(t *testing.T, status int, body string, loopback bool) *fakeFerry {
	t.Helper()
	f := &fakeFerry{}
	f.hooks = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			f.bodies = append(f.bodies, r.Header.Get("Authorization")+" "+string(text))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(f.hooks.Close)
	f.admin = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/upstream" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		_ = json.NewEncoder(w).Encode(admin.Upstream{Loopback: loopback, Hooks: f.hooks.Listener.Addr().String(), Recordings: f.recordings})
	}))
	t.Cleanup(f.admin.Close)
	return f
}

// replayed runs `ferry replay` and returns its exit status as main has it.
func replayed(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, said bytes.Buffer
	cmd := replayCommand(&out, &said)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	switch err := cmd.ExecuteContext(t.Context()).(type) { //nolint:errorlint // work returns it as it is
	case nil:
	case failedError:
		status = exitFailed
		said.WriteString(err.Error())
	default:
		status = exitUsage
		said.WriteString(err.Error())
	}
	if all := out.String() + said.String(); strings.Contains(all, "canary") {
		t.Errorf("a secret was printed: %s", all)
	}
	return status, out.String(), said.String()
}

func replayFiles(t *testing.T) (dir string) {
	t.Helper()
	t.Setenv("FERRY_HOOK_KEYS", replayTestKey)
	t.Setenv("FERRY_LOG_HASH_KEY", "log-hash-key-log-hash-key-log-hash-key")
	dir = t.TempDir()
	with := func(outcome, hash string) string {
		return strings.NewReplacer("OUTCOME", outcome, "HASH", hash).Replace(recordedLine) + "\n"
	}
	for name, text := range map[string]string{
		"calls.ndjson":     with("mismatch", hashOfAda) + with("blocked", hashOfAda) + with("mismatch", "00"),
		"passwords.ndjson": `{"identifier":"ada@example.org","password":"canary"}`,
		"body.json":        `{"identifier":"ada@example.org","password":"canary"}`,
		"torn.ndjson":      `{"v":1,`,
		"private.key":      "canary",
		"sub/notes.md":     "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReplay(t *testing.T) {
	dir := replayFiles(t)
	calls, passwords := filepath.Join(dir, "calls.ndjson"), "--passwords="+filepath.Join(dir, "passwords.ndjson")
	for name, c := range map[string]struct {
		answer         int
		word           string
		args           []string
		status, made   int
		stdout, stderr string
	}{
		"as recorded": {403, `{"status":"no_match"}`, []string{calls, passwords}, exitOK, 2, "", "2 answered as recorded\n        1 skipped: no password"},
		"otherwise":   {424, `{"status":"unavailable"}`, []string{calls, passwords}, exitFailed, 2, "", "2 answers differ from the recorded ones; --diff shows them"},
		"diff": {
			424, `{"status":"unavailable"}`,
			[]string{calls, passwords, "--diff"},
			exitFailed, 2,
			"  - 403 no_match\n  + 424 unavailable\n    recorded: mismatch, reason wrong_credentials, identifier_hash", "2 answered differently",
		},
		"json": {
			403, `{"status":"no_match"}`,
			[]string{calls, passwords, "--json"},
			exitOK, 2,
			`{"summary":{"calls":3,"same":2,"differ":0,"answered":0,"failed":0,"unreadable":0,"passed_over":0,"skipped":{"no password":1}}}`, "",
		},
		"repeated":          {403, `{"status":"no_match"}`, []string{calls, passwords, "--repeat=3", "--concurrency=1", "--rate=1000"}, exitOK, 6, "", "6 answered as recorded"},
		"only":              {403, `{"status":"no_match"}`, []string{calls, passwords, "--only=blocked"}, exitOK, 1, "", "2 skipped: other outcome"},
		"only, many":        {403, `{"status":"no_match"}`, []string{calls, passwords, "--only=blocked,nothing_kept", "--only=written"}, exitOK, 1, "", "2 skipped: other outcome"},
		"a body":            {200, `{"status":"password_match"}`, []string{filepath.Join(dir, "body.json")}, exitOK, 1, "", "1 answered, with no recorded answer to compare"},
		"without passwords": {403, "x", []string{calls}, exitFailed, 0, "", "nothing was replayed"},
		"torn":              {403, `{"status":"no_match"}`, []string{calls, filepath.Join(dir, "torn.ndjson"), passwords}, exitFailed, 2, "", "torn.ndjson:1: invalid or truncated JSON"},
		"careful":           {403, "x", []string{calls, passwords, "--against-production"}, exitFailed, 0, "", "3 skipped: might count as a failed attempt"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeFerry(t, c.answer, c.word, true)
			status, stdout, stderr := replayed(t, append(c.args, "--target="+f.hooks.URL, "--target-admin="+f.admin.URL)...)
			if status != c.status || len(f.bodies) != c.made || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("status %d, %d calls\nstdout: %s\nstderr: %s", status, len(f.bodies), stdout, stderr)
			}
			for _, body := range f.bodies {
				if body != "Bearer "+replayTestKey+` {"identifier":"ada@example.org","password":"canary"}` {
					t.Errorf("sent %s", body)
				}
			}
		})
	}
}

func TestReplayUsage(t *testing.T) {
	dir := replayFiles(t)
	calls := filepath.Join(dir, "calls.ndjson")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no file":           {nil, "requires at least 1 arg"},
		"no such file":      {[]string{calls + "x"}, "no such file"},
		"nothing in it":     {[]string{filepath.Join(dir, "sub")}, "no file in it ends in .json"},
		"concurrency":       {[]string{calls, "--concurrency=0"}, "--concurrency must be 1 to 256"},
		"rate":              {[]string{calls, "--rate=-1"}, "--rate 0 or more"},
		"repeat":            {[]string{calls, "--repeat=0"}, "--repeat 1 or more"},
		"outcome":           {[]string{calls, "--only=mismatched"}, "the outcomes are caller, match, mismatch,"},
		"two outputs":       {[]string{calls, "--json", "--diff"}, "cannot be used together"},
		"no URL":            {[]string{calls, "--target=127.0.0.1:4480"}, "must have only a scheme, a host and a port"},
		"a path":            {[]string{calls, "--target=http://127.0.0.1:4480/hooks"}, "must have only a scheme, a host and a port"},
		"in clear":          {[]string{calls, "--target=http://ferry.example:4480"}, "must be https, or http on loopback"},
		"no key":            {[]string{calls, "--unseal=" + filepath.Join(dir, "private.key")}, recording.ErrKey.Error()},
		"no key file":       {[]string{calls, "--unseal=" + calls + "x"}, "no such file"},
		"no passwords file": {[]string{calls, "--passwords=" + calls + "x"}, "no such file"},
		"no passwords":      {[]string{calls, "--passwords=" + calls}, "line 1: not of the form"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _, stderr := replayed(t, c.args...); status != exitUsage || !strings.Contains(stderr, c.want) {
				t.Errorf("status %d: %s, want %q", status, stderr, c.want)
			}
		})
	}
	t.Setenv("FERRY_HOOK_KEYS", "")
	if err := os.Unsetenv("FERRY_HOOK_KEYS"); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := replayed(t, calls); status != exitUsage || !strings.Contains(stderr, "FERRY_HOOK_KEYS: is not set") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// TestReplayRefuses: no password goes to a target that passes it on to who knows where.
func TestReplayRefuses(t *testing.T) {
	dir := replayFiles(t)
	body := filepath.Join(dir, "body.json")
	remote, local := newFakeFerry(t, 403, "x", false), newFakeFerry(t, 403, "x", true)
	for name, c := range map[string]struct{ target, admin, want string }{
		"a remote upstream": {remote.hooks.URL, remote.admin.URL, "upstream is not on loopback"},
		"another ferry":     {remote.hooks.URL, local.admin.URL, "is not the admin listener of"},
		"no ferry":          {remote.hooks.URL, remote.hooks.URL, "answered 403, which is not an answer of ferry"},
		"another host":      {"https://ferry.example:" + portOnly(t, local.hooks), local.admin.URL, "is not the admin listener of"},
		"nobody":            {local.hooks.URL, "http://127.0.0.1:1", "is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			remote.bodies = nil
			status, _, stderr := replayed(t, body, "--target="+c.target, "--target-admin="+c.admin)
			if status != exitFailed || !strings.Contains(stderr, c.want) || !strings.Contains(stderr, "--against-production") || len(remote.bodies)+len(local.bodies) > 0 {
				t.Errorf("status %d, %d calls: %s", status, len(remote.bodies), stderr)
			}
		})
	}
}

// TestReplayRefusesItself: a target that records into the source is sent nothing.
func TestReplayRefusesItself(t *testing.T) {
	dir := replayFiles(t)
	target := newFakeFerry(t, 403, "x", true)
	target.recordings = dir
	for _, args := range [][]string{{dir}, {dir, "--against-production"}, {filepath.Join(dir, "calls.ndjson")}} {
		status, _, stderr := replayed(t, append(args, "--target="+target.hooks.URL, "--target-admin="+target.admin.URL)...)
		if status != exitFailed || !strings.Contains(stderr, "the target records into this directory (FERRY_RECORD_DIR)") || len(target.bodies) > 0 {
			t.Errorf("%v: status %d, %d calls: %s", args, status, len(target.bodies), stderr)
		}
	}
}

func portOnly(t *testing.T, server *httptest.Server) string {
	t.Helper()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestUpstreamIsLoopback: what ferry says of itself.
func TestUpstreamIsLoopback(t *testing.T) {
	for base, want := range map[string]bool{
		"": false, "http://127.0.0.1:8080": true, "https://localhost": true, "http://[::1]:1": true, "https://auth0.example": false,
	} {
		s := &server{cfg: &config.Config{Auth0Domain: "tenant.example", Auth0BaseURL: base}, hooksAt: "127.0.0.1:4480"}
		if got := s.upstream(); got.Loopback != want || got.Hooks != "127.0.0.1:4480" {
			t.Errorf("%q: %+v", base, got)
		}
	}
}
