// Package readme runs the commands that the README and pages of docs show, as a reader
// would, and checks their links.
package readme

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/test/kratostest"
	"ferry/test/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const root = "../.."

// pages are what TestCommands runs. Other pages have tests of their own:
// kratos-wiring.md and ory-network.md here and in test/wiring, plan.md and finish.md in
// test/finish, hydra.md here, undo.md and bridge.md in test/bulk, modes.md in test/e2e, import-files.md in test/cases, login-fails.md in
// cmd/ferry.
func pages() []string {
	return []string{
		"README.md", "docs/settings.md", "docs/hooks.md", "docs/import.md", "docs/profile-mapping.md",
		"docs/troubleshooting.md", "docs/recording.md", "docs/performance.md", "docs/design.md", "docs/operations.md",
	}
}

// blocks returns the shell blocks of a page, in order.
func blocks(t *testing.T, page string) []string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(read(t, page), -1) {
		found = append(found, match[1])
	}
	return found
}

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a script with sh in the repository's root, with the minimal environment
// that Go needs, and returns the process and its output.
func run(t *testing.T, script string, env ...string) (*process.Process, *process.Log) {
	t.Helper()
	log := &process.Log{}
	for _, name := range []string{"PATH", "HOME", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	p, err := process.Command{Path: "/bin/sh", Args: []string{"-ec", script}, Env: env, Dir: root, Output: log}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(0); err != nil {
			t.Error(err)
		}
	})
	return p, log
}

func await(t *testing.T, p *process.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	select {
	case <-p.Done():
	case <-ctx.Done():
		t.Fatal("it does not end")
	}
}

// TestCommands runs every shell block of the pages, except `make demo`, which
// test/demo runs, and `go test`, which is a benchmark.
func TestCommands(t *testing.T) {
	var ran int
	for _, page := range pages() {
		for _, block := range blocks(t, page) {
			ran++
			name, _, _ := strings.Cut(block, "\n")
			t.Run(page+": "+name, func(t *testing.T) { command(t, block) })
		}
	}
	if ran < 13 {
		t.Fatalf("only %d shell blocks", ran)
	}
}

func command(t *testing.T, block string) {
	t.Helper()
	switch {
	case strings.Contains(block, "build/ferry config"):
		// Its settings are those that the next case starts ferry with.
	case strings.Contains(block, "build/ferry serve"):
		serve(t, settings(t)+block)
	case strings.Contains(block, "build/ferry export") && strings.Contains(block, "--hashes"):
		everyone(t, block)
	case strings.Contains(block, "build/ferry reconcile") && strings.Contains(block, "--fix"):
		fixed(t, block)
	case strings.Contains(block, "build/ferry export"):
		pending(t, block)
	case strings.HasPrefix(block, "build/ferry status"):
		status(t, block)
	case strings.Contains(block, "build/ferry kratos-config"):
		log := operate(t, block, 0)
		if !log.Contains("[hidden, key 3eb1bd43]") || !log.Contains("+") {
			t.Errorf("it prints %s", log.String())
		}
	case strings.Contains(block, "build/ferry doctor why"):
		why(t, block)
	case strings.Contains(block, "build/ferry doctor"):
		// Without settings doctor still reports.
		if log := operate(t, block, 2); !log.Contains("FAIL") || !log.Contains("kratos_config") {
			t.Errorf("it prints %s", log.String())
		}
	default:
		root := strings.ReplaceAll(block, "make ", "make -n ")
		p, log := run(t, strings.ReplaceAll(root, "-bench . -benchtime 1x", "-list Benchmark"))
		await(t, p)
		if p.Err() != nil || log.String() == "" {
			t.Errorf("%v: %s", p.Err(), log.String())
		}
	}
}

// settings returns the README's block that builds ferry and sets its environment.
func settings(t *testing.T) string {
	t.Helper()
	for _, block := range blocks(t, "README.md") {
		if strings.Contains(block, "build/ferry config") {
			return block
		}
	}
	t.Fatal("the README sets nothing")
	return ""
}

// serve starts ferry as the quick start does, on free ports and with its own binary.
func serve(t *testing.T, block string) {
	t.Helper()
	binary := t.TempDir() + "/ferry"
	p, log := run(t, strings.ReplaceAll(block, "build/ferry", binary),
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "HTTPS_PROXY=http://127.0.0.1:9")
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !log.Contains(`"msg":"listening"`) {
		select {
		case <-tick.C:
		case <-p.Done():
			t.Fatalf("ended with %v: %s", p.Err(), log.String())
		case <-deadline.C:
			t.Fatalf("does not listen: %s", log.String())
		}
	}
	if !regexp.MustCompile(`(?m)^FERRY_HOOK_KEYS +\[redacted\] +environment$`).MatchString(log.String()) {
		t.Errorf("ferry config printed %s", log.String())
	}
}

// why asks about the user of the page, whose identity is inactive.
func why(t *testing.T, block string) {
	t.Helper()
	kratos := kratostest.Run(t, kratostest.Options{})
	_, err := kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
		Traits: map[string]any{"email": "kim@example.org"}, State: "inactive", Pending: true,
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|kim"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	log := operate(t, block, 1, "FERRY_KRATOS_ADMIN_URL="+kratos.AdminURL())
	for _, said := range []string{"the login fails:\n", "1. inactive\n", "\n   -> activate it", "\nidentifier_hash  ", "\nnot looked at:\n"} {
		if !log.Contains(said) {
			t.Errorf("it does not print %q: %s", said, log.String())
		}
	}
}

// TestEveryBlockSaysWhatItIs: a block that is not run is marked by its language.
func TestEveryBlockSaysWhatItIs(t *testing.T) {
	for _, page := range pages() {
		fences := regexp.MustCompile("(?m)^```(.*)$").FindAllStringSubmatch(read(t, page), -1)
		for i := 0; i < len(fences); i += 2 {
			if !slices.Contains([]string{"", "sh", "json", "yaml"}, fences[i][1]) {
				t.Errorf("%s: a block of the kind %q is neither run nor known", page, fences[i][1])
			}
		}
	}
}

// operate runs a block with a kratos.yml and a key, as an operator would, and checks
// the exit status.
func operate(t *testing.T, block string, code int, env ...string) *process.Log {
	t.Helper()
	dir := t.TempDir()
	example, err := os.ReadFile(root + "/kratos.yml.example")
	if err == nil {
		err = os.WriteFile(dir+"/kratos.yml", example, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	script := "go build -o " + dir + "/ferry ./cmd/ferry\ncd " + dir + "\n" + strings.ReplaceAll(block, "build/ferry", "./ferry")
	p, log := run(t, script, append(env, "FERRY_HOOK_KEYS=0123456789abcdef0123456789abcdef", "HTTPS_PROXY=http://127.0.0.1:9")...)
	await(t, p)
	var exit *exec.ExitError
	got := 0
	if errors.As(p.Err(), &exit) {
		got = exit.ExitCode()
	}
	if got != code {
		t.Errorf("it ends with %v, not with %d: %s", p.Err(), code, log.String())
	}
	return log
}
