package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/config"
)

// TestMode: a mode has one source, and the key of an operator is not one of Kratos'.
func TestMode(t *testing.T) {
	const key = "admin-key-0123456789-0123456789-01234567"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		settings map[string]string
		fault    string
	}{
		"none":                 {},
		"off":                  {map[string]string{"FERRY_MODE": "off"}, ""},
		"files":                {map[string]string{"FERRY_MODE_FILE": "/run/ferry/mode", "FERRY_COHORT_FILE": "/run/ferry/cohort", "FERRY_ADMIN_KEY_FILE": file}, ""},
		"another mode":         {map[string]string{"FERRY_MODE": "On"}, "FERRY_MODE: must be on"},
		"a cohort":             {map[string]string{"FERRY_COHORT": "25%,@example.com", "FERRY_STATE_KEY": key}, ""},
		"no cohort":            {map[string]string{"FERRY_COHORT": "25"}, "FERRY_COHORT: the cohort must be"},
		"no key for a cohort":  {map[string]string{"FERRY_COHORT": "25%"}, "FERRY_STATE_KEY: is not set, but the percentage"},
		"two modes":            {map[string]string{"FERRY_MODE": "on", "FERRY_MODE_FILE": "/run/ferry/mode"}, "FERRY_MODE_FILE: both"},
		"two cohorts":          {map[string]string{"FERRY_COHORT": "all", "FERRY_COHORT_FILE": "/run/ferry/cohort"}, "FERRY_COHORT_FILE: both"},
		"a short key":          {map[string]string{"FERRY_ADMIN_KEY": "short"}, "FERRY_ADMIN_KEY: must have 32"},
		"a key with a blank":   {map[string]string{"FERRY_ADMIN_KEY": key + " x"}, "FERRY_ADMIN_KEY: may contain"},
		"the key of the hooks": {map[string]string{"FERRY_ADMIN_KEY": canary}, "FERRY_ADMIN_KEY: is one of FERRY_HOOK_KEYS"},
	} {
		t.Run(name, func(t *testing.T) {
			setRequired(t)
			for setting, value := range c.settings {
				t.Setenv(setting, value)
			}
			cfg, err := config.Load()
			switch {
			case c.fault == "" && err != nil:
				t.Error(err)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), key)):
				t.Errorf("%v", err)
			case name == "files" && cfg.AdminKey.Reveal() != key:
				t.Error("the key is not read from its file")
			}
		})
	}
}
