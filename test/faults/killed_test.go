package faults

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ferry/test/await"
)

// kill is one kill of ferry, between two moments.
type kill struct{ from, to time.Time }

// kill kills ferry.
func (s *stack) kill() error {
	from := time.Now()
	err := s.ferry.Load().Kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills = append(s.kills, kill{from, time.Now()})
	return err
}

// killsSince is how often ferry was killed since a moment. Each kill can cost a login that was in
// flight one more attempt, when Kratos repeats it.
func (s *stack) killsSince(from time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kills {
		if k.to.After(from) {
			n++
		}
	}
	return n
}

// testKilledInFlight kills ferry during a login with the right password, where one wrong
// password locks a user. What the dead ferry left in Redis locks nobody: the login, which
// Kratos repeats, ends as an outage at worst, and the user gets in.
func testKilledInFlight(t *testing.T, s *stack) {
	t.Helper()
	ctx := bounded(t)
	settings := []string{"FERRY_AUTH0_BRUTE_FORCE_ATTEMPTS=2", "FERRY_AUTH0_TIMEOUT=1s"}
	s.change(t, settings, nil)
	p, err := s.person(ctx)
	if err != nil {
		t.Fatal(err)
	}
	raw := redis.NewClient(&redis.Options{Addr: s.redis.Addr(), Protocol: 2})
	defer raw.Close()
	if err := s.toAuth0.breaks(fault{toxics: []string{toxic("timeout", "upstream", `"timeout":0`)}}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.login(ctx, p)
		ended <- err
	}()
	if !await.True(func() bool { return len(raw.Keys(ctx, "*:pair-in-flight:*").Val()) == 1 }) {
		t.Error("no login is in flight")
	}
	if err := errors.Join(s.kill(), s.toAuth0.heals(), s.startFerry(ctx, settings...)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.recovers(ctx, p); err != nil {
		t.Error(err)
	}
	s.change(t, []string{}, nil)
}
