package main

import (
	"encoding/json"
	"strings"
	"testing"

	"ferry/doctor"
	"ferry/test/redistest"
)

// TestDoctorRedis is about FERRY_STATE_URL.
func TestDoctorRedis(t *testing.T) {
	withoutSettings(t)
	server := redistest.Run(t, redistest.Options{User: "ferry", Password: "canary", Rules: "~ferry:* +@all -getrange"})
	t.Setenv("FERRY_STATE_KEY", strings.Repeat("k", 32))
	for name, c := range map[string]struct {
		url    string
		status doctor.Status
		detail string
	}{
		"in memory":      {"memory:", doctor.OK, "stored in memory"},
		"a command":      {server.URL(), doctor.Fail, "Redis refuses a command that ferry uses (state: take: "},
		"a password":     {strings.Replace(server.URL(), "canary", "canary-of-old", 1), doctor.Fail, "(WRONGPASS)"},
		"nobody listens": {"redis://127.0.0.1:1", doctor.Fail, "Redis cannot be reached (state: ping: dial tcp"},
		"no URL":         {"redis:canary", doctor.Skip, "is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FERRY_STATE_URL", c.url)
			_, stdout, _ := runDoctor(t, "", "--json")
			var report doctor.Report
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatal(err)
			}
			for _, check := range report.Checks {
				if check.Name == "state" {
					if check.Status != c.status || !strings.Contains(check.Detail, c.detail) || (check.Fix == "") != (c.status != doctor.Fail) {
						t.Errorf("%+v", check)
					}
					return
				}
			}
			t.Error("it is not checked")
		})
	}
}
