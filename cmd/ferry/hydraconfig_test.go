package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestHydraConfig: the command prints YAML for its flags, and refuses wrong ones.
func TestHydraConfig(t *testing.T) {
	for name, c := range map[string]struct {
		args   string
		status int
		says   string
	}{
		"issuer":       {"--issuer https://login.example.org/", exitOK, "issuer: \"https://login.example.org/\"\n"},
		"the domain":   {"", exitOK, "issuer: \"https://tenant.example.org/\"\n"},
		"grace":        {"--grace 1m", exitOK, "rotation_grace_period: \"60s\"\n"},
		"claims":       {"--claim permissions,https://example.org/roles", exitOK, "[\"permissions\", \"https://example.org/roles\"]\n"},
		"token front":  {"--token-front", exitOK, "token_url: \"https://tenant.example.org/oauth/token\"\n"},
		"logout":       {"--token-front", exitOK, "  post_logout_redirect: \"https://tenant.example.org/v2/logout/done\"\n"},
		"pages":        {"--login-url https://accounts.example.org/login --consent-url https://accounts.example.org/consent --logout-url https://accounts.example.org/logout", exitOK, "  consent: \"https://accounts.example.org/consent\"\n"},
		"Auth0's host": {"", exitUsage, "a host of Auth0 cannot point to Hydra"},
		"no slash":     {"--issuer https://login.example.org", exitUsage, "with the slash at the end"},
		"plain http":   {"--issuer http://login.example.org/", exitUsage, "https://DOMAIN/"},
		"long grace":   {"--grace 10m", exitUsage, "between 0s and 5m0s"},
		"half seconds": {"--grace 500ms", exitUsage, "whole seconds"},
		"no page":      {"--login-url accounts.example.org", exitUsage, "http or https URL"},
		"no claim":     {"--claim=", exitOK, "allowed_top_level_claims: []\n"},
	} {
		t.Run(name, func(t *testing.T) {
			domain := "tenant.example.org"
			if name == "Auth0's host" {
				domain = "tenant.eu.auth0.com"
			}
			t.Setenv("FERRY_AUTH0_DOMAIN", domain)
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), append([]string{"hydra-config"}, strings.Fields(c.args)...), &stdout, &stderr)
			if printed := stdout.String() + stderr.String(); status != c.status || !strings.Contains(printed, c.says) {
				t.Errorf("got %d: %s", status, printed)
			}
		})
	}
}
