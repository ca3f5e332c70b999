package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/wiring"
)

const someKey = "0123456789abcdef0123456789abcdef"

// kratosConfig runs the command by itself.
func kratosConfig(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := kratosConfigCommand(&out, &errs)
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	var failed failedError
	switch {
	case err == nil:
		return exitOK, out.String(), errs.String()
	case errors.As(err, &failed):
		return exitFailed, out.String(), errs.String() + err.Error()
	}
	return exitUsage, out.String(), errs.String() + err.Error()
}

// noSettings clears what the caller's environment sets.
func noSettings(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "FERRY_") {
			t.Setenv(name, "") // restored afterwards
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKratosConfigPrints(t *testing.T) {
	noSettings(t)
	status, stdout, stderr := kratosConfig(t)
	if status != exitOK || !strings.Contains(stdout, "url: http://127.0.0.1:4480/hooks/after-login") ||
		!strings.Contains(stdout, wiring.Placeholder) || !strings.Contains(stderr, "no key is known") {
		t.Errorf("without settings: %d, %s\n%s", status, stderr, stdout)
	}
	t.Setenv("FERRY_HOOK_KEYS", someKey+","+strings.Repeat("x", 32))
	t.Setenv("FERRY_LISTEN", "[::1]:4490")
	status, stdout, stderr = kratosConfig(t, "--kratos-version", "26.2", "--client-ip-header", "X-Real-Ip", "--response", "parse")
	if status != exitOK || strings.Count(stdout, `"Bearer `+someKey+`"`) != 2 || stderr != "" ||
		!strings.Contains(stdout, "url: http://[::1]:4490/hooks/password-migration") ||
		!strings.Contains(stdout, wiring.Base64(wiring.MigrateJsonnet("X-Real-Ip"))) || !strings.Contains(stdout, "parse: true") {
		t.Errorf("with settings: %d, %s\n%s", status, stderr, stdout)
	}
	other := writeFile(t, "key", strings.Repeat("k", 40)+"\n")
	if _, stdout, _ = kratosConfig(t, "--hook-key-file", other); strings.Count(stdout, `"Bearer `+strings.Repeat("k", 40)+`"`) != 2 {
		t.Errorf("the key of a file: %s", stdout)
	}
}

func TestKratosConfigUsage(t *testing.T) {
	noSettings(t)
	short := writeFile(t, "key", "hidden")
	for name, c := range map[string]struct {
		args, env []string
		want      string
	}{
		"write alone":       {args: []string{"--write"}, want: "needs --merge"},
		"not written":       {args: []string{"--write=false"}, want: "needs --merge"},
		"replace alone":     {args: []string{"--replace"}, want: "needs --merge"},
		"remove and merge":  {args: []string{"--remove", short, "--merge", short}, want: "--merge cannot be used with --remove"},
		"remove a version":  {args: []string{"--remove", short, "--kratos-version", "26.2"}, want: "--kratos-version cannot be used with --remove"},
		"remove, replacing": {args: []string{"--remove", short, "--replace"}, want: "needs --merge"},
		"remove from none":  {args: []string{"--remove", short + "s"}, want: "no such file"},
		"an argument":       {args: []string{"kratos.yml"}, want: "unknown command"},
		"for what":          {args: []string{"--for", "hydra"}, want: "must be ory-network"},
		"for, without URL":  {args: []string{"--for", "ory-network"}, want: "needs --url"},
		"for, http":         {args: []string{"--for", "ory-network", "--url", "http://ferry.example.org"}, want: "needs https"},
		"for, merging":      {args: []string{"--for", "ory-network", "--merge", short}, want: "--merge cannot be used with --for"},
		"for, removing":     {args: []string{"--for", "ory-network", "--remove", short}, want: "--remove cannot be used with --for"},
		"a nameless schema": {args: []string{"--for", "ory-network", "--url", "https://ferry.example.org", "--schema", short}, want: "must be given together"},
		"no schema file":    {args: []string{"--for", "ory-network", "--url", "https://ferry.example.org", "--schema", short + "s", "--schema-id", "x"}, want: "no such file"},
		"a project alone":   {args: []string{"--project", "x"}, want: "needs --for"},
		"at alone":          {args: []string{"--at", "kratos.config"}, want: "needs --merge"},
		"a path":            {args: []string{"--url", "http://host:4480/hooks"}, want: "must not have a path"},
		"no version":        {args: []string{"--kratos-version", "latest"}, want: "1.3.1, or 25.4"},
		"no URL":            {args: []string{"--url", "ferry:4480"}, want: "http://host:port"},
		"response":          {args: []string{"--response", "both"}, want: "ignore or parse"},
		"a short key":       {args: []string{"--hook-key-file", short}, want: "32 visible"},
		"no key file":       {args: []string{"--hook-key-file", short + "s"}, want: "no such file"},
		"header, merging":   {args: []string{"--merge", short, "--client-ip-header", "X-Real-Ip"}, want: "--kratos-version 25.4"},
		"all addresses":     {env: []string{"FERRY_LISTEN=0.0.0.0:4480", "FERRY_INSECURE_LISTEN=true"}, want: "--url"},
		"a setting at odds": {env: []string{"FERRY_HOOK_KEYS=hidden"}, want: "FERRY_HOOK_KEYS"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, entry := range c.env {
				name, value, _ := strings.Cut(entry, "=")
				t.Setenv(name, value)
			}
			status, stdout, stderr := kratosConfig(t, c.args...)
			if status != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hidden") {
				t.Errorf("status %d\nstdout: %s\nstderr: %s", status, stdout, stderr)
			}
		})
	}
}

const before = `dsn: postgres://kratos:secret-of-the-database@db/kratos
selfservice:
  flows:
    login:
      after:
        hooks:
          - hook: require_verified_address # stays
log:
  level: warning
`

func TestKratosConfigMerge(t *testing.T) {
	noSettings(t)
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	file := writeFile(t, "kratos.yml", before)
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.yml")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	status, diff, stderr := kratosConfig(t, "--merge", link, "--write=false")
	if status != exitOK || !strings.Contains(diff, "+          hooks:\n") || !strings.Contains(stderr, "--write") || contents(t, file) != before {
		t.Errorf("shown: %d, %s\n%s", status, stderr, diff)
	}
	status, again, stderr := kratosConfig(t, "--merge", link)
	text := contents(t, file)
	if status != exitOK || again != diff || !strings.Contains(stderr, "is written") || strings.Count(text, "- hook: require_verified_address # stays\n") != 2 || strings.Count(text, someKey) != 2 {
		t.Errorf("written: %d, %s\n%s", status, stderr, text)
	}
	for _, said := range []string{diff, stderr} {
		if strings.Contains(said, someKey) || strings.Contains(said, "secret-of-the-database") {
			t.Errorf("a secret is in %s", said)
		}
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if info, err = os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("another mode: %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	status, diff, stderr = kratosConfig(t, "--merge", link, "--write")
	if status != exitOK || diff != "" || !strings.Contains(stderr, "nothing to change") || contents(t, file) != text {
		t.Errorf("twice: %d, %s\n%s", status, stderr, diff)
	}
}

// TestKratosConfigRemove: after a merge and a removal the file is again what it was,
// and the key is shown by neither.
func TestKratosConfigRemove(t *testing.T) {
	noSettings(t)
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	file := writeFile(t, "kratos.yml", before)
	if status, _, stderr := kratosConfig(t, "--merge", file); status != exitOK {
		t.Fatalf("merged: %d, %s", status, stderr)
	}
	merged := contents(t, file)
	noSettings(t) // a removal needs none of them
	status, diff, stderr := kratosConfig(t, "--remove", file, "--write=false")
	if status != exitOK || !strings.Contains(diff, "-        migrate_hook:\n") || !strings.Contains(stderr, "error 500") || contents(t, file) != merged {
		t.Errorf("shown: %d, %s\n%s", status, stderr, diff)
	}
	if strings.Contains(diff, someKey) {
		t.Errorf("the key is in %s", diff)
	}
	status, again, stderr := kratosConfig(t, "--remove", file)
	if status != exitOK || again != diff || !strings.Contains(stderr, "is written") || contents(t, file) != before {
		t.Errorf("written: %d, %s\n%s", status, stderr, contents(t, file))
	}
	if status, diff, stderr = kratosConfig(t, "--remove", file); status != exitOK || diff != "" || stderr != "nothing to change\n" {
		t.Errorf("twice: %d, %s\n%s", status, stderr, diff)
	}
}

// TestKratosConfigOtherFile: the values of a chart are left alone, and merged into
// where --at says.
func TestKratosConfigOtherFile(t *testing.T) {
	noSettings(t)
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	text, err := os.ReadFile("../../wiring/testdata/nested/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, "values.yaml", string(text))
	status, diff, stderr := kratosConfig(t, "--merge", file)
	if status != exitFailed || diff != "" || !strings.Contains(stderr, "this is not a kratos.yml") || !strings.Contains(stderr, "hint: its Kratos configuration seems to be at kratos.config: --at kratos.config") || contents(t, file) != string(text) {
		t.Errorf("without --at: %d, %s\n%s", status, stderr, diff)
	}
	if status, _, stderr = kratosConfig(t, "--merge", file, "--at", "kratos.config"); status != exitOK || strings.Count(contents(t, file), someKey) != 2 ||
		!strings.Contains(stderr, "is written; deploy it") || strings.Contains(stderr, "a running Kratos reloads it") {
		t.Errorf("with --at: %d, %s\n%s", status, stderr, contents(t, file))
	}
	if status, _, stderr = kratosConfig(t, "--remove", file, "--at", "kratos.config"); status != exitOK || contents(t, file) != string(text) {
		t.Errorf("taken out: %d, %s\n%s", status, stderr, contents(t, file))
	}
}

// TestKratosConfigKeyFromEnvironment: no key in the file, and the names of the
// variables that Kratos needs.
func TestKratosConfigKeyFromEnvironment(t *testing.T) {
	noSettings(t)
	file := writeFile(t, "kratos.yml", before)
	status, diff, stderr := kratosConfig(t, "--merge", file, "--hook-key-env")
	if status != exitOK || strings.Contains(diff, wiring.Placeholder) {
		t.Fatalf("%d, %s\n%s", status, stderr, diff)
	}
	_, fragment, said := kratosConfig(t, "--hook-key-env")
	for _, variable := range (wiring.Options{}).KeyVariables() {
		if !strings.Contains(contents(t, file), `"${`+variable+`}"`) || !strings.Contains(stderr, "\n  "+variable+"\n") {
			t.Errorf("%s: %s\n%s", variable, stderr, diff)
		}
		if !strings.Contains(fragment, `"${`+variable+`}"`) || !strings.Contains(said, "\n  "+variable+"\n") {
			t.Errorf("%s: %s\n%s", variable, said, fragment)
		}
	}
}

// TestKratosConfigForOryNetwork prints a command, and nothing else on standard output.
func TestKratosConfigForOryNetwork(t *testing.T) {
	noSettings(t)
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	schema := writeFile(t, "person.json", `{"type":"object"}`)
	status, stdout, stderr := kratosConfig(t, "--for", "ory-network", "--url", "https://ferry.example.org", "--project", "p-1", "--schema", schema, "--schema-id", "person")
	if status != exitOK || !strings.HasPrefix(stdout, "ory patch identity-config 'p-1' \\\n") || strings.Count(stdout, "\n  --add '") != 3 ||
		strings.Count(stdout, someKey) != 2 || !strings.Contains(stderr, "run it only once") || strings.Contains(stderr, someKey) {
		t.Errorf("%d, %s\n%s", status, stderr, stdout)
	}
	noSettings(t)
	if _, stdout, stderr = kratosConfig(t, "--for", "ory-network", "--url", "https://ferry.example.org"); !strings.Contains(stdout, `"$ORY_PROJECT_ID"`) || !strings.Contains(stderr, "no key is known") {
		t.Errorf("without a key: %s\n%s", stderr, stdout)
	}
}

// TestKratosConfigReadableByAll: a file with the key that everybody can read.
func TestKratosConfigReadableByAll(t *testing.T) {
	noSettings(t)
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	for mode, want := range map[os.FileMode]bool{0o644: true, 0o640: false} {
		file := writeFile(t, "kratos.yml", before)
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, stderr := kratosConfig(t, "--merge", file); strings.Contains(stderr, "every user of this machine can read it") != want {
			t.Errorf("%o: %s", mode, stderr)
		}
	}
}

func contents(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestKratosConfigMergeFails(t *testing.T) {
	noSettings(t)
	file := writeFile(t, "kratos.yml", before)
	status, diff, stderr := kratosConfig(t, "--merge", file, "--write")
	if status != exitFailed || diff == "" || !strings.Contains(stderr, "nothing was written: no key is known") || contents(t, file) != before {
		t.Errorf("no key: %d, %s", status, stderr)
	}
	if status, _, stderr = kratosConfig(t, "--merge", file, "--write=false"); status != exitOK || !strings.Contains(stderr, wiring.Placeholder) {
		t.Errorf("no key, shown only: %d, %s", status, stderr)
	}
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	if status, _, stderr = kratosConfig(t, "--merge", file+".not"); status != exitUsage || !strings.Contains(stderr, "no such file") {
		t.Errorf("no file: %d, %s", status, stderr)
	}
	json := writeFile(t, "kratos.json", `{"dsn": "memory"}`)
	if status, _, stderr = kratosConfig(t, "--merge", json, "--write"); status != exitFailed || !strings.Contains(stderr, "JSON") {
		t.Errorf("JSON: %d, %s", status, stderr)
	}
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	if status, diff, stderr = kratosConfig(t, "--merge", file, "--write"); status != exitFailed || diff == "" || !strings.Contains(stderr, "read-only") || contents(t, file) != before {
		t.Errorf("read-only: %d, %s", status, stderr)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := overwrite(file, []byte("another"), []byte("text")); err == nil || !strings.Contains(err.Error(), "in the meantime") || contents(t, file) != before {
		t.Errorf("changed meanwhile: %v", err)
	}
}
