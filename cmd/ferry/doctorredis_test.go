package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/attempt"
	"ferry/config"
	"ferry/doctor"
	"ferry/outcome"
	"ferry/secret"
	"ferry/test/await"
	"ferry/test/redistest"
	"ferry/upstream"
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

// TestCheckLocked: doctor finds in Redis that ferry refused a user, by the identity or by the
// identifier.
func TestCheckLocked(t *testing.T) {
	server := redistest.Run(t, redistest.Options{})
	cfg := &config.Config{StateURL: secret.New(server.URL()), StateKey: secret.New(strings.Repeat("k", 32)), Auth0BruteForceAttempts: 3}
	store, err := newStore(cfg, secret.New("hash"), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	limits, err := newLimits(cfg, store, secret.New("hash"), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	fail := func(identityID, identifier string) {
		login := attempt.Login{IdentityID: identityID, Credentials: upstream.Credentials{Username: identifier}}
		if settle, refusal := limits.Admit(t.Context(), login); refusal == nil {
			_ = settle(t.Context(), &upstream.LoginError{Outcome: outcome.Mismatch})
		}
	}
	// On a busy machine a call of Redis may take too long.
	locked := func(identityID, identifier string, want bool, meanwhile func()) {
		t.Helper()
		if !await.True(func() bool {
			meanwhile()
			got, err := checkLocked(t.Context(), cfg, identityID, identifier)
			return err == nil && got == want
		}) {
			t.Errorf("%s %s: locked is not %v", identityID, identifier, want)
		}
	}
	locked("id-1", "ada@example.org", false, func() {})
	locked("id-1", "ada@example.org", true, func() { fail("id-1", "ada@example.org") })
	locked("id-2", "ada@example.org", false, func() {})
	locked("id-3", "bob@example.org", true, func() { fail("", "Bob@example.org ") })
}
