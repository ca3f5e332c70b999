package auth0sim

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Settings are the tenant's limits and behaviour that no public source documents. Start
// from [DefaultSettings] or [RelaxedSettings].
type Settings struct {
	// Answers replace rows of [AnswerRows]: status, error, words, headers or
	// the whole body.
	Answers map[AnswerName]Answer `json:"answers,omitempty"`

	BruteForce   BruteForce   `json:"brute_force"`
	SuspiciousIP SuspiciousIP `json:"suspicious_ip"`
	// SameUser limits the logins, good or bad, of one user from one address.
	SameUser Limit `json:"same_user"`
	// Userinfo limits /userinfo per user.
	Userinfo Limit `json:"userinfo"`
	// Management limits the Management API, all users together.
	Management Limit `json:"management"`
	// Export configures the jobs that export users.
	Export ExportJobs `json:"export"`

	// RetryAfter is a Retry-After header, in seconds, on every 429; 0 sends
	// none. Whether Auth0 sends it is unknown [GAP].
	RetryAfter int `json:"retry_after,omitempty"`
	// BotDetection answers every login with requires_verification.
	BotDetection bool `json:"bot_detection,omitempty"`

	// AccessTokenSeconds is how long access tokens live.
	AccessTokenSeconds int `json:"access_token_seconds"`
	// IDTokenSeconds is how long ID tokens live.
	IDTokenSeconds int `json:"id_token_seconds"`
}

// BruteForce is brute-force protection: consecutive failures for one
// identifier from one address.
type BruteForce struct {
	Enabled     bool `json:"enabled"`
	MaxAttempts int  `json:"max_attempts"`
	// PerIdentifier counts from all addresses together (Account Lockout).
	PerIdentifier bool     `json:"per_identifier,omitempty"`
	Allowlist     []string `json:"allowlist,omitempty"` // addresses or CIDRs
}

// SuspiciousIP is suspicious-IP throttling: failures from one address, over
// all accounts.
type SuspiciousIP struct {
	Enabled     bool `json:"enabled"`
	MaxAttempts int  `json:"max_attempts"`
	// RateMillis is the time until one more attempt is allowed.
	RateMillis int      `json:"rate"`
	Allowlist  []string `json:"allowlist,omitempty"` // addresses or CIDRs
}

// Limit is a rate limit: a burst, then so many requests per minute. While a limit on
// an API is enabled, answers carry x-ratelimit-limit, -remaining and -reset.
type Limit struct {
	Enabled   bool `json:"enabled"`
	Burst     int  `json:"burst"`
	PerMinute int  `json:"per_minute"`
}

// ExportJobs is how jobs that export users go, by the tenant's clock.
type ExportJobs struct {
	// Reads is how often GET /api/v2/jobs/{id} answers pending, and then
	// processing, before it answers completed.
	Reads int `json:"reads"`
}

// DefaultSettings are Auth0's documented defaults: every protection is on. The
// limit of the Management API is off because it depends on the plan; its numbers
// are those of the free plan.
func DefaultSettings() Settings {
	return Settings{
		BruteForce:         BruteForce{Enabled: true, MaxAttempts: 10},
		SuspiciousIP:       SuspiciousIP{Enabled: true, MaxAttempts: 100, RateMillis: 864000},
		SameUser:           Limit{Enabled: true, Burst: 20, PerMinute: 10},
		Userinfo:           Limit{Enabled: true, Burst: 10, PerMinute: 5},
		Management:         Limit{Burst: 2, PerMinute: 120},
		Export:             ExportJobs{Reads: 2},
		AccessTokenSeconds: 86400,
		IDTokenSeconds:     36000,
	}
}

// RelaxedSettings are [DefaultSettings] with every protection and limit off,
// for tests that log in often and are about something else.
func RelaxedSettings() Settings { return DefaultSettings().Relaxed() }

// Relaxed returns the settings with every protection and limit off.
func (s Settings) Relaxed() Settings {
	s = s.clone()
	s.BruteForce.Enabled = false
	s.SuspiciousIP.Enabled = false
	s.SameUser.Enabled = false
	s.Userinfo.Enabled = false
	s.Management.Enabled = false
	return s
}

// clone copies the settings, so that no two holders share a map or a slice.
func (s Settings) clone() Settings {
	s.Answers = maps.Clone(s.Answers)
	s.BruteForce.Allowlist = slices.Clone(s.BruteForce.Allowlist)
	s.SuspiciousIP.Allowlist = slices.Clone(s.SuspiciousIP.Allowlist)
	return s
}

// check refuses settings that could not work; it changes nothing.
func (s Settings) check() error {
	for name, answer := range s.Answers {
		if _, ok := lookupAnswer(name, nil); !ok {
			return fmt.Errorf("settings: answers: unknown answer %q", name)
		}
		if answer.Status < 200 || answer.Status > 599 {
			return fmt.Errorf("settings: answers: %s: status %d: want 200 to 599", name, answer.Status)
		}
	}
	if err := s.checkNumbers(); err != nil {
		return err
	}
	for _, entry := range slices.Concat(s.BruteForce.Allowlist, s.SuspiciousIP.Allowlist) {
		if _, err := parsePrefix(entry); err != nil {
			return fmt.Errorf("settings: allowlist: %w", err)
		}
	}
	return nil
}

// checkNumbers refuses limits that would let nothing through, or never refill.
func (s Settings) checkNumbers() error {
	for _, number := range []struct {
		name       string
		value, min int
	}{
		{"brute_force.max_attempts", s.BruteForce.MaxAttempts, 1},
		{"suspicious_ip.max_attempts", s.SuspiciousIP.MaxAttempts, 1},
		{"suspicious_ip.rate", s.SuspiciousIP.RateMillis, 1},
		{"same_user.burst", s.SameUser.Burst, 1},
		{"same_user.per_minute", s.SameUser.PerMinute, 1},
		{"management.burst", s.Management.Burst, 1},
		{"management.per_minute", s.Management.PerMinute, 1},
		{"userinfo.burst", s.Userinfo.Burst, 1},
		{"userinfo.per_minute", s.Userinfo.PerMinute, 1},
		{"access_token_seconds", s.AccessTokenSeconds, 1},
		{"id_token_seconds", s.IDTokenSeconds, 1},
		{"retry_after", s.RetryAfter, 0},
		{"export.reads", s.Export.Reads, 0},
	} {
		if number.value < number.min {
			return fmt.Errorf("settings: %s: %d: want %d or more", number.name, number.value, number.min)
		}
	}
	return nil
}

// parsePrefix reads an address or a CIDR.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("parse %q: %w", s, err)
	}
	return prefix, nil
}
