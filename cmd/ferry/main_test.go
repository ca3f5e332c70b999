package main

import (
	"bytes"
	"context"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestExitStatus: 0 done, 1 failed, 2 wrong usage or settings.
func TestExitStatus(t *testing.T) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "FERRY_") {
			t.Setenv(name, "") // restored afterwards
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for args, want := range map[string]struct {
		status         int
		stdout, stderr string
	}{
		"version":        {exitOK, "ferry ", ""},
		"--version":      {exitOK, "ferry ", ""},
		"version --json": {exitOK, `"version":"`, ""},
		"--help":         {exitOK, "one login at a time", ""},
		"":               {exitUsage, "Available Commands", "give a command"},
		"config":         {exitUsage, "FERRY_LISTEN", "FERRY_HOOK_KEYS: is not set"},
		"serve":          {exitUsage, "", "FERRY_HOOK_KEYS: is not set"},
		"serve --fast":   {exitUsage, "", "unknown flag: --fast"},
		"serve now":      {exitUsage, "", "unknown command"},
		"sail":           {exitUsage, "", `unknown command "sail"`},
		"reconcile --users x --json --findings -": {exitUsage, "", "leave one out"},
		"version please": {exitUsage, "", "unknown command"},
	} {
		t.Run(args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), strings.Fields(args), &stdout, &stderr)
			if status != want.status || !strings.Contains(stdout.String(), want.stdout) || !strings.Contains(stderr.String(), want.stderr) {
				t.Errorf("status %d\nstdout: %s\nstderr: %s", status, stdout.String(), stderr.String())
			}
			if want.status == exitOK && stderr.Len() > 0 {
				t.Errorf("stderr: %s", stderr.String())
			}
		})
	}
}

// TestSilence: what libraries write to the log of the whole process is nowhere seen.
// net/http's client quotes there what a server sends beyond its answer, and Auth0 and
// Kratos know of passwords.
func TestSilence(t *testing.T) {
	was := log.Writer()
	t.Cleanup(func() { log.SetOutput(was) })
	var standard, stdout, stderr bytes.Buffer
	log.SetOutput(&standard)
	if status := run(t.Context(), []string{"version"}, &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	log.Print("Unsolicited response received on idle HTTP channel")
	if standard.Len()+stderr.Len() > 0 || strings.Contains(stdout.String(), "Unsolicited") {
		t.Errorf("seen: %q %q %q", standard.String(), stdout.String(), stderr.String())
	}
}

// TestServeMapper: a mapper that is no Jsonnet is a fault of the setting.
func TestServeMapper(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mapper.jsonnet")
	if err := os.WriteFile(file, []byte("{identity: {"), 0o600); err != nil {
		t.Fatal(err)
	}
	usable(t)
	t.Setenv("FERRY_MAPPER", file)
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"serve"}, &bytes.Buffer{}, &stderr); status != exitUsage || !strings.Contains(stderr.String(), "  FERRY_MAPPER: ") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

// usable are settings that serve starts with.
func usable(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"FERRY_HOOK_KEYS": strings.Repeat("k", 32), "FERRY_AUTH0_DOMAIN": "tenant.example", "FERRY_AUTH0_CLIENT_ID": "c",
		"FERRY_AUTH0_CLIENT_SECRET": "s", "FERRY_KRATOS_ADMIN_URL": "http://127.0.0.1:1", "FERRY_LISTEN": "127.0.0.1:0",
		"HTTPS_PROXY": "http://127.0.0.1:9",
	} {
		t.Setenv(name, value)
	}
}

// TestServeFails: work that cannot be done is 1, and says why.
func TestServeFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	usable(t)
	t.Setenv("FERRY_ADMIN_LISTEN", taken.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	if status := run(ctx, []string{"serve"}, &bytes.Buffer{}, &stderr); status != exitFailed || !strings.Contains(stderr.String(), "admin listener") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}
