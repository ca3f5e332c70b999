package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/config"
	"ferry/doctor"
	"ferry/secret"
	"ferry/wiring"
)

// TestDoctorSignUp: FERRY_SIGN_UP and FERRY_PROVIDERS are compared with kratos.yml, and pairs
// that serve does not start with are a fault of the settings.
func TestDoctorSignUp(t *testing.T) {
	withoutSettings(t)
	merged, err := wiring.Merge([]byte("dsn: memory\n"), wiring.Options{URL: "http://127.0.0.1:1", Key: secret.New(doctorKey), SignUp: true})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kratos.yml")
	if err := os.WriteFile(file, merged.Text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"HOOK_KEYS": doctorKey, "AUTH0_MGMT_CLIENT_ID": "m", "AUTH0_MGMT_CLIENT_SECRET": doctorSecret} {
		t.Setenv(config.Prefix+name, value)
	}
	for _, c := range []struct {
		signUp, providers string
		hook, provider    doctor.Status
		fault             bool
	}{
		{"true", "google-oauth2=google", doctor.OK, doctor.Warn, false},
		{"false", "google-oauth2=google", doctor.Warn, doctor.OK, false},
		{"true", "google", doctor.OK, doctor.OK, true},
	} {
		t.Setenv("FERRY_SIGN_UP", c.signUp)
		t.Setenv("FERRY_PROVIDERS", c.providers)
		_, stdout, _ := runDoctor(t, "", "--json", "--kratos-config", file)
		var report doctor.Report
		if err := json.Unmarshal([]byte(stdout), &report); err != nil {
			t.Fatal(err)
		}
		want := map[string]doctor.Status{"kratos_config.sign_up": c.hook, "kratos_config.providers": c.provider}
		for _, check := range report.Checks {
			status, named := want[check.Name]
			if named && check.Status != status || check.Name == "settings" && strings.Contains(check.Detail, "FERRY_PROVIDERS") != c.fault {
				t.Errorf("%+v: %+v", c, check)
			}
		}
	}
}
