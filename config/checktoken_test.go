package config_test

import (
	"maps"
	"strings"
	"testing"

	"ferry/config"
)

// TestTokenFront: what the settings of the token front need of each other.
func TestTokenFront(t *testing.T) {
	complete := map[string]string{
		"TOKEN_LISTEN": "127.0.0.1:4484", "HYDRA_PUBLIC_URL": "http://hydra:4444", "HYDRA_ADMIN_URL": "http://127.0.0.1:4445",
		"REMINT_CLIENTS": "*", "DATA_DIR": "/var/lib/ferry", "STATE_KEY": strings.Repeat("k", 32), "HYDRA_ADMIN_TOKEN": canary,
	}
	for name, c := range map[string]struct {
		change map[string]string // empty: not set
		want   string            // empty: no fault
	}{
		"complete":            {nil, ""},
		"not re-minting":      {map[string]string{"REMINT_CLIENTS": "", "DATA_DIR": "", "STATE_KEY": ""}, ""},
		"one host":            {map[string]string{"HYDRA_ADMIN_URL": "http://hydra:4444"}, "FERRY_HYDRA_PUBLIC_URL: is the same as FERRY_HYDRA_ADMIN_URL"},
		"one host, two paths": {map[string]string{"HYDRA_ADMIN_URL": "http://hydra:4444/admin-api", "HYDRA_ADMIN_TOKEN": ""}, ""},
		"an exposed token":    {map[string]string{"HYDRA_ADMIN_URL": "http://hydra:4445"}, "FERRY_HYDRA_ADMIN_TOKEN is sent there"},
		"no store":            {map[string]string{"DATA_DIR": ""}, "FERRY_DATA_DIR: is not set, but FERRY_REMINT_CLIENTS needs it, or Redis"},
		"no key":              {map[string]string{"STATE_KEY": ""}, "FERRY_STATE_KEY: must have 32 characters or more if FERRY_REMINT_CLIENTS is set"},
		"a short key":         {map[string]string{"STATE_KEY": "k"}, "FERRY_STATE_KEY: must have 32 characters or more if FERRY_REMINT_CLIENTS is set"},
		"Redis":               {map[string]string{"DATA_DIR": "", "STATE_URL": "redis://127.0.0.1:6379/0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			setRequired(t)
			set := maps.Clone(complete)
			maps.Copy(set, c.change)
			for setting, value := range set {
				if value != "" {
					t.Setenv(config.Prefix+setting, value)
				}
			}
			text := ""
			if _, err := config.Load(); err != nil {
				text = err.Error()
			}
			if (text != "") != (c.want != "") || !strings.Contains(text, c.want) {
				t.Error(text)
			}
		})
	}
}
