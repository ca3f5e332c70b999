package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/config"
)

func TestTenantOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ domain, canonical, tenant string }{
		{"prod.eu.auth0.com", "", "prod"},
		{"login.example.org", "", ""},
		{"login.example.org", "prod.eu.auth0.com", "prod"},
		{"", "", ""},
	} {
		cfg := &config.Config{Auth0Domain: c.domain, Auth0TenantDomain: c.canonical}
		if got, _ := tenantOf(cfg); got != c.tenant {
			t.Errorf("%+v is of the tenant %q", c, got)
		}
	}
}

func TestParseShard(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int{"": {0, 1}, "0/1": {0, 1}, "3/4": {3, 4}} {
		if shard, shards, err := parseShard(text); err != nil || shard != want[0] || shards != want[1] {
			t.Errorf("%q is %d of %d, %v", text, shard, shards, err)
		}
	}
	for _, text := range []string{"4/4", "-1/4", "1/0", "1", "a/b", "1/4/2", "1 / 4"} {
		if _, _, err := parseShard(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestRetryFileIsOfItsOwn: it replaces whatever has its name.
func TestRetryFileIsOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("users", []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("users", "alias"); err != nil {
		t.Fatal(err)
	}
	for _, retry := range []string{"users", "alias", "results", "./results", filepath.Join(dir, "results"), "results.checkpoint"} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"import", "--users", "users", "--results", "results", "--retry-file", retry, "--dry-run"}, &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), "--retry-file would overwrite") {
			t.Errorf("%s: it ends with %d\n%s", retry, code, stderr.String())
		}
	}
}

// TestAnotherRun: who gives another users file is not told that it goes on from there.
func TestAnotherRun(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"schema": `{"type":"object","properties":{"traits":{"type":"object","properties":{"email":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}}}}}`,
		"users":  `{"user_id":"auth0|1","email":"kim@example.org"}`,
		"others": `{"user_id":"auth0|2","email":"pat@example.org"}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, users := range []string{"users", "users", "others"} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"import", "--users", users, "--results", "results", "--schema", "schema", "--dry-run", "--accept-missing", "blocked,multifactor,identities"}, &stdout, &stderr)
		said := stderr.String()
		if other := i == 2; (code == exitFailed) != other || strings.Contains(said, "of another run") != other || strings.Contains(said, "run the same command again") {
			t.Errorf("%s: it ends with %d\n%s", users, code, said)
		}
	}
}
