package auth0sim

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Settings are the tenant's limits and everything about Auth0 that no public
// source pins down. Take [DefaultSettings] or [RelaxedSettings] and change
// what the test is about.
type Settings struct {
	// Answers replace rows of [AnswerRows]: status, error, words, headers or
	// the whole body.
	Answers map[AnswerName]Answer `json:"answers,omitempty"`

	BruteForce   BruteForce    `json:"brute_force"`
	SuspiciousIP SuspiciousIP  `json:"suspicious_ip"`
	SameUser     SameUserLimit `json:"same_user"`
	RateLimit    RateLimit     `json:"rate_limit"`
	Userinfo     UserinfoLimit `json:"userinfo"`
	// Management is the limit on the Management API.
	Management ManagementLimit `json:"management"`
	// SearchDelaySeconds is how long GET /api/v2/users does not know of a user
	// who was added or changed.
	SearchDelaySeconds int `json:"search_delay_seconds"`
	// Export is how jobs that export users go.
	Export ExportJobs `json:"export"`

	// RetryAfter is a Retry-After header, in seconds, on every 429; 0 sends
	// none. Whether Auth0 sends it is unknown [GAP].
	RetryAfter int `json:"retry_after,omitempty"`
	// ForwardedForWithAssertion honours auth0-forwarded-for from a trusted
	// application that authenticated with private_key_jwt too [GAP].
	ForwardedForWithAssertion bool `json:"forwarded_for_with_assertion,omitempty"`
	// BotDetection answers every login with requires_verification.
	BotDetection bool `json:"bot_detection,omitempty"`
	// RequireMFA asks every user of every application that is not exempt for
	// a second factor, enrolled or not.
	RequireMFA bool `json:"require_mfa,omitempty"`

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
	// RateMillis is how long it takes until one more attempt is granted.
	RateMillis int      `json:"rate"`
	Allowlist  []string `json:"allowlist,omitempty"` // addresses or CIDRs
}

// SameUserLimit is the limit on logins, good or bad, of one user from one
// address: a burst, then so many per minute.
type SameUserLimit struct {
	Enabled   bool `json:"enabled"`
	Burst     int  `json:"burst"`
	PerMinute int  `json:"per_minute"`
}

// RateLimit is the tenant's limit on /oauth/token. Answers carry
// x-ratelimit-limit, -remaining and -reset while it is enabled.
type RateLimit struct {
	Enabled   bool `json:"enabled"`
	Burst     int  `json:"burst"`
	PerSecond int  `json:"per_second"`
	// Answer is [AnswerTooManyRequests] when empty, or [AnswerGlobalLimit]:
	// the limit met inside the pipeline, with headers that look healthy.
	Answer AnswerName `json:"answer,omitempty"`
}

// UserinfoLimit is the limit on /userinfo per user.
type UserinfoLimit struct {
	Enabled   bool `json:"enabled"`
	Burst     int  `json:"burst"`
	PerMinute int  `json:"per_minute"`
}

// ManagementLimit is the limit on the Management API: a burst, then so many per
// second. Answers carry x-ratelimit-limit, -remaining and -reset while it is
// enabled.
type ManagementLimit struct {
	Enabled   bool `json:"enabled"`
	Burst     int  `json:"burst"`
	PerSecond int  `json:"per_second"`
}

// ExportJobs is how jobs that export users go, by the tenant's clock.
type ExportJobs struct {
	// Reads is how often GET /api/v2/jobs/{id} answers pending, and then
	// processing, before it answers completed.
	Reads int `json:"reads"`
	// Scheme puts http:// or https:// before the location.
	Scheme bool `json:"scheme"`
	// LinkSeconds is how long a location works.
	LinkSeconds int `json:"link_seconds"`
	// KeepSeconds is how long there is a job.
	KeepSeconds int `json:"keep_seconds"`
}

// DefaultSettings are Auth0's documented defaults: every protection is on. The
// rate limits of the tenant and of its Management API are off because they
// depend on the plan; the numbers are the free plan's.
func DefaultSettings() Settings {
	return Settings{
		BruteForce:         BruteForce{Enabled: true, MaxAttempts: 10},
		SuspiciousIP:       SuspiciousIP{Enabled: true, MaxAttempts: 100, RateMillis: 864000},
		SameUser:           SameUserLimit{Enabled: true, Burst: 20, PerMinute: 10},
		RateLimit:          RateLimit{Burst: 30, PerSecond: 30},
		Userinfo:           UserinfoLimit{Enabled: true, Burst: 10, PerMinute: 5},
		Management:         ManagementLimit{Burst: 2, PerSecond: 2},
		Export:             ExportJobs{Reads: 2, LinkSeconds: 60, KeepSeconds: 86400},
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
	s.RateLimit.Enabled = false
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
			return fmt.Errorf("settings: answers: no row is called %q", name)
		}
		if answer.Status < 200 || answer.Status > 599 {
			return fmt.Errorf("settings: answers: %s: status %d: want 200 to 599", name, answer.Status)
		}
	}
	switch s.RateLimit.Answer {
	case "", AnswerTooManyRequests, AnswerGlobalLimit:
	default:
		return fmt.Errorf("settings: rate_limit: answer %q: want %q or %q",
			s.RateLimit.Answer, AnswerTooManyRequests, AnswerGlobalLimit)
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
		{"rate_limit.burst", s.RateLimit.Burst, 1},
		{"rate_limit.per_second", s.RateLimit.PerSecond, 1},
		{"management.burst", s.Management.Burst, 1},
		{"management.per_second", s.Management.PerSecond, 1},
		{"userinfo.burst", s.Userinfo.Burst, 1},
		{"userinfo.per_minute", s.Userinfo.PerMinute, 1},
		{"access_token_seconds", s.AccessTokenSeconds, 1},
		{"id_token_seconds", s.IDTokenSeconds, 1},
		{"retry_after", s.RetryAfter, 0},
		{"search_delay_seconds", s.SearchDelaySeconds, 0},
		{"export.reads", s.Export.Reads, 0},
		{"export.link_seconds", s.Export.LinkSeconds, 1},
		{"export.keep_seconds", s.Export.KeepSeconds, 1},
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
