package auth0sim_test

import (
	"net/http"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

const (
	bruteForceBody    = `{"error":"too_many_attempts","error_description":"Your account has been blocked after multiple consecutive login attempts. We've sent you an email with instructions on how to unblock it."}`
	suspiciousBody    = `{"error":"too_many_attempts","error_description":"We have detected suspicious login behavior and further attempts will be blocked. Please contact the administrator."}`
	tooManyLoginsBody = `{"error":"too_many_logins","error_description":"Too many login attempts."}`
	globalLimitBody   = `{"error":"access_denied","error_description":"Global limit has been reached"}`
	tooManyBody       = `{"error":"too_many_requests","error_description":"Global limit has been reached"}`
)

// configure changes settings in a test.
func configure(t *testing.T, sim *auth0sim.Server, change func(*auth0sim.Settings)) {
	t.Helper()
	if err := sim.Configure(change); err != nil {
		t.Fatal(err)
	}
}

// fail fails n logins of a user from an address.
func fail(t *testing.T, sim *auth0sim.Server, n int, username string, header http.Header) {
	t.Helper()
	for range n {
		want(t, post(t, sim, realmForm("username", username, "password", "wrong"), header), 403, wrongPasswordBody)
	}
}

func from(ip string) http.Header { return http.Header{"auth0-forwarded-for": {ip}} }

func TestBruteForce(t *testing.T) {
	t.Parallel()
	blocked := func(t *testing.T) *auth0sim.Server {
		t.Helper()
		sim := start(t)
		fail(t, sim, 10, adaEmail, from("203.0.113.1"))
		want(t, post(t, sim, realmForm(), from("203.0.113.1")), 429, bruteForceBody)
		return sim
	}
	t.Run("other address and other user get in", func(t *testing.T) {
		t.Parallel()
		sim := blocked(t)
		mustTokens(t, post(t, sim, realmForm(), from("203.0.113.2")))
		mustTokens(t, post(t, sim, realmForm("username", "grace", "password", "nanoseconds-are-this-long"), from("203.0.113.1")))
	})
	t.Run("case is no way round", func(t *testing.T) {
		t.Parallel()
		want(t, post(t, blocked(t), realmForm("username", "ADA@example.test"), from("203.0.113.1")), 429, bruteForceBody)
	})
	t.Run("unblock", func(t *testing.T) {
		t.Parallel()
		sim := blocked(t)
		if err := sim.UnblockUser(auth0sim.DemoAdaID); err != nil {
			t.Fatal(err)
		}
		mustTokens(t, post(t, sim, realmForm(), from("203.0.113.1")))
	})
	t.Run("new password", func(t *testing.T) {
		t.Parallel()
		sim := blocked(t)
		if err := sim.SetPassword(auth0sim.DemoAdaID, "another"); err != nil {
			t.Fatal(err)
		}
		mustTokens(t, post(t, sim, realmForm("password", "another"), from("203.0.113.1")))
	})
	t.Run("thirty days", func(t *testing.T) {
		t.Parallel()
		sim := blocked(t)
		sim.Advance(30*24*time.Hour - time.Second)
		want(t, post(t, sim, realmForm(), from("203.0.113.1")), 429, bruteForceBody)
		sim.Advance(time.Second)
		mustTokens(t, post(t, sim, realmForm(), from("203.0.113.1")))
	})
	t.Run("higher threshold", func(t *testing.T) {
		t.Parallel()
		sim := blocked(t)
		configure(t, sim, func(s *auth0sim.Settings) { s.BruteForce.MaxAttempts = 11 })
		mustTokens(t, post(t, sim, realmForm(), from("203.0.113.1")))
	})
	t.Run("a success starts anew", func(t *testing.T) {
		t.Parallel()
		sim := start(t)
		fail(t, sim, 9, adaEmail, nil)
		mustTokens(t, post(t, sim, realmForm()))
		fail(t, sim, 9, adaEmail, nil)
		mustTokens(t, post(t, sim, realmForm()))
	})
	t.Run("nobody is blocked like somebody", func(t *testing.T) {
		t.Parallel()
		sim := start(t)
		fail(t, sim, 10, "nobody@example.test", nil)
		want(t, post(t, sim, realmForm("username", "nobody@example.test")), 429, bruteForceBody)
	})
	t.Run("lockout from everywhere", func(t *testing.T) {
		t.Parallel()
		sim := start(t)
		configure(t, sim, func(s *auth0sim.Settings) { s.BruteForce.PerIdentifier = true })
		fail(t, sim, 5, adaEmail, from("203.0.113.1"))
		fail(t, sim, 5, adaEmail, from("203.0.113.2"))
		want(t, post(t, sim, realmForm(), from("203.0.113.3")), 429, bruteForceBody)
	})
	t.Run("allow list", func(t *testing.T) {
		t.Parallel()
		sim := start(t)
		configure(t, sim, func(s *auth0sim.Settings) { s.BruteForce.Allowlist = []string{"127.0.0.0/8"} })
		fail(t, sim, 11, adaEmail, nil)
		mustTokens(t, post(t, sim, realmForm()))
	})
}

func TestSuspiciousIP(t *testing.T) {
	t.Parallel()
	sim := start(t)
	configure(t, sim, func(s *auth0sim.Settings) {
		s.BruteForce.Enabled, s.SameUser.Enabled = false, false
		s.SuspiciousIP.MaxAttempts = 3
	})
	fail(t, sim, 3, adaEmail, nil)
	want(t, post(t, sim, realmForm("username", "grace", "password", "nanoseconds-are-this-long")), 429, suspiciousBody)
	mustTokens(t, post(t, sim, realmForm(), from("203.0.113.1")))

	sim.Advance(864000*time.Millisecond - time.Second)
	want(t, post(t, sim, realmForm()), 429, suspiciousBody)
	sim.Advance(time.Second)
	mustTokens(t, post(t, sim, realmForm()))
	fail(t, sim, 1, adaEmail, nil)
	want(t, post(t, sim, realmForm()), 429, suspiciousBody)

	configure(t, sim, func(s *auth0sim.Settings) {
		s.Answers = map[auth0sim.AnswerName]auth0sim.Answer{
			auth0sim.AnswerSuspiciousIP: {Status: 403, Error: "x", Description: "y", Headers: map[string]string{"X-A": "b"}},
		}
	})
	got := post(t, sim, realmForm())
	want(t, got, 403, `{"error":"x","error_description":"y"}`)
	if got.header.Get("X-A") != "b" {
		t.Errorf("got headers %v", got.header)
	}
	configure(t, sim, func(s *auth0sim.Settings) { s.SuspiciousIP.Allowlist = []string{"127.0.0.1"} })
	mustTokens(t, post(t, sim, realmForm()))
}

func TestSameUserLimit(t *testing.T) {
	t.Parallel()
	sim := start(t)
	for range 20 {
		mustTokens(t, post(t, sim, realmForm()))
	}
	want(t, post(t, sim, realmForm()), 429, tooManyLoginsBody)
	mustTokens(t, post(t, sim, realmForm(), from("203.0.113.1")))
	mustTokens(t, post(t, sim, realmForm("username", "grace", "password", "nanoseconds-are-this-long")))
	sim.Advance(6 * time.Second) // 10 a minute
	mustTokens(t, post(t, sim, realmForm()))
	got := post(t, sim, realmForm())
	want(t, got, 429, tooManyLoginsBody)
	if got.header.Get("Retry-After") != "" {
		t.Errorf("got Retry-After %q, want none", got.header.Get("Retry-After"))
	}
	configure(t, sim, func(s *auth0sim.Settings) { s.RetryAfter = 7 })
	if got := post(t, sim, realmForm()).header.Get("Retry-After"); got != "7" {
		t.Errorf("got Retry-After %q, want 7", got)
	}
}

func TestBotDetection(t *testing.T) {
	t.Parallel()
	sim := start(t)
	configure(t, sim, func(s *auth0sim.Settings) { s.BotDetection = true })
	want(t, post(t, sim, realmForm()), 401,
		`{"error":"requires_verification","error_description":"Suspicious request requires verification"}`)
}

func TestRelaxedSettings(t *testing.T) {
	t.Parallel()
	sim := start(t, func(cfg *auth0sim.Config) {
		settings := auth0sim.RelaxedSettings()
		cfg.Settings = &settings
	})
	fail(t, sim, 25, adaEmail, nil)
	mustTokens(t, post(t, sim, realmForm()))
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*auth0sim.Settings)
		want   string
	}{
		"unknown row": {
			func(s *auth0sim.Settings) { s.Answers = map[auth0sim.AnswerName]auth0sim.Answer{"x": {Status: 400}} },
			`auth0sim: settings: answers: unknown answer "x"`,
		},
		"status": {
			func(s *auth0sim.Settings) {
				s.Answers = map[auth0sim.AnswerName]auth0sim.Answer{auth0sim.AnswerBlockedUser: {Status: 42}}
			},
			`auth0sim: settings: answers: blocked_user: status 42: want 200 to 599`,
		},
		"number": {
			func(s *auth0sim.Settings) { s.BruteForce.MaxAttempts = 0 },
			`auth0sim: settings: brute_force.max_attempts: 0: want 1 or more`,
		},
		"allow list": {
			func(s *auth0sim.Settings) { s.SuspiciousIP.Allowlist = []string{"x"} },
			`auth0sim: settings: allowlist: parse "x": netip.ParsePrefix("x"): no '/'`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := auth0sim.DefaultSettings()
			tt.change(&settings)
			_, err := auth0sim.New(auth0sim.Config{Settings: &settings})
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
