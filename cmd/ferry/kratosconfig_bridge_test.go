package main

import (
	"strings"
	"testing"
)

// The bridge is merged with the hooks, with the client of its own application, and removed with
// them. Its secret is not shown.
func TestKratosConfigBridge(t *testing.T) {
	noSettings(t)
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	t.Setenv("FERRY_AUTH0_DOMAIN", "tenant.eu.auth0.com")
	file := writeFile(t, "kratos.yml", before)
	password := writeFile(t, "secret", "canary-of-the-client\n")
	status, _, stderr := kratosConfig(t, "--merge", file, "--bridge", "old")
	if status != exitFailed || !strings.Contains(stderr, "--bridge-client-id") || contents(t, file) != before {
		t.Errorf("without a client: %d, %s", status, stderr)
	}
	status, diff, stderr := kratosConfig(t, "--merge", file, "--bridge", "old", "--bridge-client-id", "c1", "--bridge-client-secret-file", password)
	text := contents(t, file)
	if status != exitOK || !strings.Contains(text, "issuer_url: https://tenant.eu.auth0.com/") || !strings.Contains(text, `client_secret: "canary-of-the-client"`) ||
		!strings.Contains(stderr, "self-service/methods/oidc/callback/old") {
		t.Errorf("%d, %s\n%s", status, stderr, text)
	}
	if strings.Contains(diff+stderr, "canary") {
		t.Errorf("the secret is shown: %s%s", diff, stderr)
	}
	if status, diff, _ = kratosConfig(t, "--merge", file, "--bridge", "old"); status != exitOK || diff != "" {
		t.Errorf("the client that is there: %d, %s", status, diff)
	}
	if status, diff, _ = kratosConfig(t, "--merge", file); status != exitOK || diff != "" {
		t.Errorf("without --bridge: %d, %s", status, diff)
	}
	for _, args := range [][]string{{"--bridge-label", "the Acme login"}, nil} { // a later merge keeps it
		status, _, stderr = kratosConfig(t, append([]string{"--merge", file, "--bridge", "old"}, args...)...)
		if text = contents(t, file); status != exitOK || !strings.Contains(text, `label: "the Acme login"`) {
			t.Errorf("a label: %d, %s\n%s", status, stderr, text)
		}
	}
	if status, _, stderr = kratosConfig(t, "--remove", file); status != exitOK || contents(t, file) != before {
		t.Errorf("removed: %d, %s", status, stderr)
	}
	status, stdout, stderr := kratosConfig(t, "--bridge", "old", "--bridge-client-id", "c1", "--hook-key-env")
	if status != exitOK || !strings.Contains(stdout, "${SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS_0_CLIENT_SECRET}") || strings.Contains(stderr, "not known") {
		t.Errorf("the fragment: %d, %s\n%s", status, stderr, stdout)
	}
	if _, _, stderr = kratosConfig(t, "--bridge", "old"); !strings.Contains(stderr, "not known") {
		t.Errorf("the fragment without a client: %s", stderr)
	}
}

func TestKratosConfigBridgeUsage(t *testing.T) {
	noSettings(t)
	file := writeFile(t, "kratos.yml", before)
	bad := writeFile(t, "secret", "hidden secret\n")
	for says, c := range map[string]struct {
		args   []string
		domain string
	}{
		"need --bridge":                {[]string{"--bridge-client-id", "c"}, "tenant.eu.auth0.com"},
		"--bridge-label need":          {[]string{"--bridge-label", "Acme"}, "tenant.eu.auth0.com"},
		"label must be one line":       {[]string{"--bridge", "old", "--bridge-label", "two\nlines"}, "tenant.eu.auth0.com"},
		"FERRY_AUTH0_DOMAIN":           {[]string{"--bridge", "old"}, ""},
		"one line":                     {[]string{"--bridge", "old", "--bridge-client-secret-file", bad}, "tenant.eu.auth0.com"},
		"no such file":                 {[]string{"--bridge", "old", "--bridge-client-secret-file", bad + "s"}, "tenant.eu.auth0.com"},
		"id must be":                   {[]string{"--bridge", "a:b"}, "tenant.eu.auth0.com"},
		"--bridge cannot be used with": {[]string{"--remove", file, "--bridge", "old"}, ""},
		"with --for":                   {[]string{"--for", "ory-network", "--url", "https://ferry.example", "--bridge", "old"}, "tenant.eu.auth0.com"},
	} {
		t.Run(says, func(t *testing.T) {
			t.Setenv("FERRY_AUTH0_DOMAIN", c.domain)
			if status, _, stderr := kratosConfig(t, c.args...); status != exitUsage || !strings.Contains(stderr, says) || strings.Contains(stderr, "hidden secret") {
				t.Errorf("%d, %s", status, stderr)
			}
		})
	}
}
