package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/test/auth0sim"
	"ferry/test/auth0sim/gen"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// safeBuffer is a buffer that several goroutines write to.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// program is a running auth0sim.
type program struct {
	lines  []string // of stdout
	stderr *safeBuffer
	code   chan int
}

// runProgram starts it and waits for n lines.
func runProgram(t *testing.T, ctx context.Context, n int, args ...string) *program {
	t.Helper()
	reader, writer := io.Pipe()
	p := &program{stderr: &safeBuffer{}, code: make(chan int, 1)}
	go func() {
		code := execute(ctx, args, writer, p.stderr)
		_ = writer.Close()
		p.code <- code
	}()
	scanner := bufio.NewScanner(reader)
	for len(p.lines) < n && scanner.Scan() {
		p.lines = append(p.lines, scanner.Text())
	}
	if len(p.lines) < n {
		t.Fatalf("got %q, want %d lines; stderr: %s", p.lines, n, p.stderr)
	}
	return p
}

// wait returns the exit code.
func (p *program) wait(t *testing.T) int {
	t.Helper()
	select {
	case code := <-p.code:
		return code
	case <-time.After(20 * time.Second):
		t.Fatal("still running")
		return -1
	}
}

// address is what follows the last space of a line.
func address(line string) string {
	return line[strings.LastIndex(line, " ")+1:]
}

func login(t *testing.T, base, username, password string) int {
	t.Helper()
	form := url.Values{
		"grant_type": {auth0sim.GrantPasswordRealm}, "realm": {auth0sim.DemoConnection},
		"client_id": {auth0sim.DemoClientID}, "client_secret": {auth0sim.DemoClientSecret},
		"username": {username}, "password": {password},
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func TestServesUntilSIGTERM(t *testing.T) {
	p := runProgram(t, t.Context(), 2, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--domain", "tenant.test")
	base, control := address(p.lines[0]), auth0sim.Control{URL: address(p.lines[1])}
	if !strings.HasPrefix(p.lines[0], "auth0 simulator of https://tenant.test/ listens on http://127.0.0.1:") ||
		!strings.HasPrefix(p.lines[1], "control API listens on http://127.0.0.1:") {
		t.Errorf("got %q", p.lines)
	}
	if status := login(t, base, "ada@example.test", "correct horse battery staple"); status != http.StatusOK {
		t.Errorf("got %d, want 200", status)
	}
	if status := login(t, base, "ada@example.test", "hunter2-canary"); status != http.StatusForbidden {
		t.Errorf("got %d, want 403", status)
	}
	counters, err := control.Counters(t.Context())
	if err != nil || counters.Attempts[auth0sim.DemoAdaID] != 2 {
		t.Errorf("got %+v, %v, want 2 attempts", counters, err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitOK {
		t.Errorf("got exit code %d, want 0", code)
	}
	log := p.stderr.String()
	if got := strings.Count(log, "path=/oauth/token"); got != 2 {
		t.Errorf("got %d lines about logins, want 2: %s", got, log)
	}
	for _, secret := range []string{"correct horse", "hunter2-canary", auth0sim.DemoClientSecret, "ada@example.test"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log contains %q", secret)
		}
	}
}

func TestSeed(t *testing.T) {
	seed := filepath.Join(t.TempDir(), "tenant.json")
	const text = `{
		"default_directory": "db",
		"connections": [{"name": "db", "strategy": "auth0"}],
		"apps": [{"client_id": "app", "client_secret": "s"}],
		"users": [{"user_id": "auth0|1", "email": "Zoe@Example.test", "password": "p"}],
		"settings": {"retry_after": 7}
	}`
	if err := os.WriteFile(seed, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := runProgram(t, ctx, 2, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--seed", seed, "--relaxed")
	control := auth0sim.Control{URL: address(p.lines[1])}
	users, err := control.Users(t.Context())
	if err != nil || len(users) != 1 || users[0].Email != "zoe@example.test" || users[0].Connection != "db" {
		t.Errorf("got %+v, %v", users, err)
	}
	settings, err := control.Settings(t.Context())
	if err != nil || settings.RetryAfter != 7 || settings.BruteForce.Enabled || settings.IDTokenSeconds != 36000 {
		t.Errorf("got %+v, %v", settings, err)
	}
	cancel()
	if code := p.wait(t); code != exitOK {
		t.Errorf("got exit code %d, want 0", code)
	}
}

// What gen makes is a seed, and its users are found by the Management API.
func TestGen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tenant")
	var stdout, stderr safeBuffer
	if code := execute(t.Context(), []string{"gen", "--users", "60", "--seed", "9", "--out", dir, "--format", "all"}, &stdout, &stderr); code != exitOK {
		t.Fatalf("got exit code %d: %s", code, stderr.String())
	}
	if !strings.HasPrefix(stderr.String(), "wrote to "+dir+": 60 users, 0 blank lines, ") || strings.Count(stderr.String(), "\n") != 1 || stdout.String() != "" {
		t.Errorf("got %q and %q", stderr.String(), stdout.String())
	}
	for _, name := range []string{gen.UsersFile, gen.CSVFile, gen.ArrayFile, gen.HashesFile, gen.ExpectedFile, gen.SchemaFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := runProgram(t, ctx, 2, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--seed", filepath.Join(dir, gen.SeedFile))
	users, err := auth0sim.Control{URL: address(p.lines[1])}.Users(t.Context())
	if err != nil || len(users) < 50 || len(users) > 60 {
		t.Errorf("got %d users, %v", len(users), err)
	}
	cancel()
	if code := p.wait(t); code != exitOK {
		t.Errorf("got exit code %d, want 0", code)
	}
}

func TestNoControl(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := runProgram(t, ctx, 1, "--listen", "127.0.0.1:0", "--control", "")
	cancel()
	if code := p.wait(t); code != exitOK {
		t.Errorf("got exit code %d, want 0", code)
	}
}

func TestRefusals(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"userz": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"off loopback":         {[]string{"--listen", "0.0.0.0:0"}, exitFailed, "Error: auth0sim: listen: address \"0.0.0.0:0\": not a loopback address\n"},
		"all interfaces":       {[]string{"--listen", ":0"}, exitFailed, "Error: auth0sim: listen: address \":0\": not a loopback address\n"},
		"control off loopback": {[]string{"--listen", "127.0.0.1:0", "--control", "192.0.2.1:1"}, exitFailed, "Error: auth0sim: listen: address \"192.0.2.1:1\": not a loopback address\n"},
		"no port":              {[]string{"--listen", "127.0.0.1"}, exitFailed, "Error: auth0sim: listen: address \"127.0.0.1\": address 127.0.0.1: missing port in address\n"},
		"domain":               {[]string{"--domain", "https://a.test"}, exitFailed, "Error: auth0sim: domain \"https://a.test\": want a host name, without scheme or path\n"},
		"bad seed":             {[]string{"--seed", bad}, exitFailed, "Error: " + bad + ": seed: decode: json: unknown field \"userz\"\n"},
		"missing seed":         {[]string{"--seed", "/nowhere/at/all"}, exitFailed, "Error: open seed: open /nowhere/at/all: no such file or directory\n"},
		"flag":                 {[]string{"--wat"}, exitUsage, "Error: unknown flag: --wat\n"},
		"gen without users":    {[]string{"gen", "--out", bad}, exitUsage, "Error: users: 0: want 1 to 10000000\n"},
		"gen without out":      {[]string{"gen", "--users", "1"}, exitUsage, "Error: out: want a directory\n"},
		"gen format":           {[]string{"gen", "--users", "1", "--out", bad, "--format", "xml"}, exitUsage, "Error: format: \"xml\": want ndjson, csv, json or all\n"},
		"gen flag":             {[]string{"gen", "--relaxed"}, exitUsage, "Error: unknown flag: --relaxed\n"},
		"gen number":           {[]string{"gen", "--users", "many"}, exitUsage, "Error: invalid argument \"many\" for \"--users\" flag: must be an integer\n"},
		"gen argument":         {[]string{"gen", "wat"}, exitUsage, "Error: unknown command \"wat\" for \"auth0sim gen\"\n"},
		"gen into a file":      {[]string{"gen", "--users", "1", "--out", bad}, exitFailed, "Error: generate: mkdir " + bad + ": not a directory\n"},
		"argument":             {[]string{"wat"}, exitUsage, "Error: unknown command \"wat\" for \"auth0sim\"\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr safeBuffer
			if code := execute(t.Context(), tt.args, &stdout, &stderr); code != tt.code {
				t.Errorf("got exit code %d, want %d", code, tt.code)
			}
			if stderr.String() != tt.stderr || stdout.String() != "" {
				t.Errorf("got %q and %q, want %q", stderr.String(), stdout.String(), tt.stderr)
			}
		})
	}
}
