package config_test

import (
	"testing"

	"ferry/config"
)

// TestDigest: the digest changes with what doctor checks, secrets included, and with nothing
// else.
func TestDigest(t *testing.T) {
	digest := func(t *testing.T, changes map[string]string) string {
		t.Helper()
		for name, value := range map[string]string{
			"HOOK_KEYS": "0123456789-0123456789-0123456789-a", "KRATOS_ADMIN_URL": "http://127.0.0.1:4434",
			"AUTH0_DOMAIN": "t.auth0.com", "AUTH0_CLIENT_ID": "id", "AUTH0_CLIENT_SECRET": "one", "AUTH0_REALMS": "a,b",
		} {
			t.Setenv(config.Prefix+name, value)
		}
		for name, value := range changes {
			t.Setenv(config.Prefix+name, value)
		}
		cfg, err := config.LoadFor(config.Kratos)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Digest()
	}
	var base string
	t.Run("base", func(t *testing.T) { base = digest(t, nil) })
	for name, c := range map[string]struct {
		change map[string]string
		same   bool
	}{
		"nothing":       {nil, true},
		"a secret":      {map[string]string{"AUTH0_CLIENT_SECRET": "two"}, false},
		"a key":         {map[string]string{"HOOK_KEYS": "0123456789-0123456789-0123456789-b"}, false},
		"a list":        {map[string]string{"AUTH0_REALMS": "b,a"}, false},
		"a duration":    {map[string]string{"AUTH0_TIMEOUT": "7s"}, false},
		"the mode":      {map[string]string{"MODE": "off", "COHORT": "@x.test"}, true},
		"the closing":   {map[string]string{"MIGRATION_CLOSED": "true"}, true},
		"the directory": {map[string]string{"DATA_DIR": "/tmp/x", "LOG_LEVEL": "debug"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := digest(t, c.change); (got == base) != c.same {
				t.Errorf("%s, and without the change %s", got, base)
			}
		})
	}
}

// TestDigestWithoutAKey: without a hook key, the digest tells nothing of a secret.
func TestDigestWithoutAKey(t *testing.T) {
	var all []string
	for _, token := range []string{"one", "two"} {
		t.Run(token, func(t *testing.T) {
			t.Setenv("FERRY_KRATOS_ADMIN_TOKEN", token)
			cfg, err := config.LoadFor()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, cfg.Digest())
		})
	}
	if all[0] != all[1] {
		t.Errorf("the digests are %v", all)
	}
}
