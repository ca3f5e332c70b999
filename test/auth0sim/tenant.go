package auth0sim

import (
	"context"
	"fmt"
	"time"
)

// Settings returns the settings in force.
func (s *Server) Settings() Settings {
	s.settingsMu.RLock()
	defer s.settingsMu.RUnlock()
	return s.settings.clone()
}

// SetSettings replaces the settings. Counters and blocks stay.
func (s *Server) SetSettings(settings Settings) error {
	if err := settings.check(); err != nil {
		return fmt.Errorf("auth0sim: %w", err)
	}
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	s.settings = settings.clone()
	return nil
}

// Configure changes some of the settings.
func (s *Server) Configure(change func(*Settings)) error {
	settings := s.Settings()
	change(&settings)
	return s.SetSettings(settings)
}

// Reset forgets what happened: counters, the journal, faults, limits, blocks,
// tokens, logins in browsers, jobs, key rotations and the clock. Tenant and settings stay;
// refresh tokens of the tenant are valid again.
func (s *Server) Reset() {
	s.journal.reset()
	s.faults.clear()
	s.limits.reset()
	s.tokens.reset()
	s.refresh.reset()
	s.keys.reset()
	s.exports.reset()
	s.authorizations.reset()
	s.clock.reset()
}

// SetTenant replaces everything that exists, and forgets what happened. A
// tenant that does not load leaves an empty one.
func (s *Server) SetTenant(t Tenant) error {
	s.Reset()
	s.dir.clear()
	err := s.dir.load(t)
	if err == nil {
		err = s.seedRefreshTokens(t.RefreshTokens)
	}
	if err != nil {
		s.dir.clear()
		s.refresh.seed(nil)
		return fmt.Errorf("auth0sim: %w", err)
	}
	return nil
}

// TB is the part of [testing.TB] that [Run] needs.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Run starts a simulator on a free loopback port for the length of a test.
func Run(t TB, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatalf("%v", err)
	}
	ctx := context.WithoutCancel(t.Context()) // the test's own ends before its clean-ups
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("%v", err)
		}
	})
	return s
}
