package main

import (
	"strings"
	"testing"
)

// The hook of sign-ups is merged on request, stays in later merges, and is removed again.
func TestKratosConfigSignUp(t *testing.T) {
	noSettings(t)
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	file := writeFile(t, "kratos.yml", before)
	if status, _, stderr := kratosConfig(t, "--merge", file); status != exitOK || strings.Contains(contents(t, file), "after-registration") {
		t.Errorf("not asked for: %d, %s", status, stderr)
	}
	if status, _, stderr := kratosConfig(t, "--merge", file, "--sign-up"); status != exitOK || strings.Count(contents(t, file), "/hooks/after-registration\n") != 3 {
		t.Errorf("%d, %s\n%s", status, stderr, contents(t, file))
	}
	if status, diff, stderr := kratosConfig(t, "--merge", file); status != exitOK || diff != "" {
		t.Errorf("once more without the flag: %d, %s\n%s", status, stderr, diff)
	}
	if status, _, stderr := kratosConfig(t, "--remove", file); status != exitOK || contents(t, file) != before {
		t.Errorf("removed: %d, %s\n%s", status, stderr, contents(t, file))
	}
	for says, args := range map[string][]string{
		"--sign-up cannot be used with --remove": {"--remove", file, "--sign-up"},
		"--sign-up cannot be used with --for":    {"--for", "ory-network", "--url", "https://ferry.example.org", "--sign-up"},
	} {
		if status, _, stderr := kratosConfig(t, args...); status != exitUsage || !strings.Contains(stderr, says) {
			t.Errorf("%s: %d, %s", says, status, stderr)
		}
	}
	if _, stdout, stderr := kratosConfig(t, "--sign-up", "--hook-key-env"); !strings.Contains(stdout, "after-registration") ||
		!strings.Contains(stderr, "SELFSERVICE_FLOWS_REGISTRATION_AFTER_OIDC_HOOKS_0_CONFIG_AUTH_CONFIG_VALUE") {
		t.Errorf("the fragment: %s\n%s", stderr, stdout)
	}
}
