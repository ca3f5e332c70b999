package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ferry/config"
)

// TestLoadFor: each part requires its own settings only.
func TestLoadFor(t *testing.T) {
	for name, c := range map[string]struct {
		parts []config.Part
		set   map[string]string
		want  string // the settings that are named
	}{
		"nothing":                {nil, nil, "[]"},
		"kratos":                 {[]config.Part{config.Kratos}, nil, "[FERRY_KRATOS_ADMIN_URL]"},
		"management":             {[]config.Part{config.Management}, nil, "[FERRY_AUTH0_DOMAIN FERRY_AUTH0_MGMT_CLIENT_ID FERRY_AUTH0_MGMT_CLIENT_SECRET]"},
		"kratos, there":          {[]config.Part{config.Kratos}, map[string]string{"KRATOS_ADMIN_URL": "http://kratos:4434"}, "[]"},
		"management, there":      {[]config.Part{config.Management}, map[string]string{"AUTH0_DOMAIN": "t.auth0.com", "AUTH0_MGMT_CLIENT_ID": "i", "AUTH0_MGMT_CLIENT_SECRET": canary}, "[]"},
		"management, not all":    {[]config.Part{config.Management}, map[string]string{"AUTH0_DOMAIN": "t.auth0.com", "AUTH0_MGMT_CLIENT_ID": "i"}, "[FERRY_AUTH0_MGMT_CLIENT_SECRET]"},
		"write-back as well":     {[]config.Part{config.Management}, map[string]string{"AUTH0_DOMAIN": "t.auth0.com", "AUTH0_MGMT_CLIENT_ID": "i", "WRITE_BACK": "true"}, "[FERRY_AUTH0_MGMT_CLIENT_SECRET]"},
		"write-back, incomplete": {[]config.Part{config.Kratos}, map[string]string{"KRATOS_ADMIN_URL": "http://kratos:4434", "WRITE_BACK": "true", "AUTH0_MGMT_CLIENT_ID": "i"}, "[FERRY_AUTH0_MGMT_CLIENT_SECRET]"},
		"hydra":                  {[]config.Part{config.Hydra}, nil, "[FERRY_HYDRA_ADMIN_URL FERRY_HYDRA_PUBLIC_URL]"},
		"hydra, there":           {[]config.Part{config.Hydra}, map[string]string{"HYDRA_ADMIN_URL": "http://hydra:4445", "HYDRA_PUBLIC_URL": "http://hydra:4444"}, "[]"},
		"hydra, not all":         {nil, map[string]string{"HYDRA_ADMIN_URL": "http://hydra:4445"}, "[FERRY_HYDRA_PUBLIC_URL]"},
		"hydra, no URLs":         {nil, map[string]string{"HYDRA_ADMIN_URL": "hydra", "HYDRA_PUBLIC_URL": "ftp://hydra"}, "[FERRY_HYDRA_ADMIN_URL FERRY_HYDRA_PUBLIC_URL]"},
		"two parts": {
			[]config.Part{config.Kratos, config.Management},
			nil,
			"[FERRY_AUTH0_DOMAIN FERRY_AUTH0_MGMT_CLIENT_ID FERRY_AUTH0_MGMT_CLIENT_SECRET FERRY_KRATOS_ADMIN_URL]",
		},
		"what is set is checked": {
			nil,
			map[string]string{"KRATOS_ADMIN_URL": "kratos", "AUTH0_DOMAIN": "https://t", "HOOK_KEYS": "short", "AUTH0_CLIENT_AUTH": "none", "TURBO": "1"},
			"[FERRY_HOOK_KEYS FERRY_AUTH0_DOMAIN FERRY_AUTH0_CLIENT_AUTH FERRY_KRATOS_ADMIN_URL FERRY_TURBO]",
		},
		"only serving listens": {[]config.Part{config.Kratos}, map[string]string{"KRATOS_ADMIN_URL": "http://kratos:4434", "LISTEN": "0.0.0.0:4480", "ADMIN_LISTEN": "0.0.0.0"}, "[FERRY_ADMIN_LISTEN]"},
		"empty is a fault":     {[]config.Part{config.Kratos}, map[string]string{"KRATOS_ADMIN_URL": "", "AUTH0_DOMAIN": ""}, "[FERRY_AUTH0_DOMAIN FERRY_KRATOS_ADMIN_URL]"},
	} {
		t.Run(name, func(t *testing.T) {
			for setting, value := range c.set {
				t.Setenv(config.Prefix+setting, value)
			}
			cfg, err := config.LoadFor(c.parts...)
			names := []string{}
			var faults config.Faults
			if errors.As(err, &faults) {
				for _, f := range faults {
					names = append(names, f.Name)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(names); got != c.want || cfg == nil {
				t.Errorf("got %s, want %s: %v", got, c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Error("the report contains a value")
			}
		})
	}
}
