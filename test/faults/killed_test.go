package faults

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"ferry/test/await"
)

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
	if err := s.ferry.Load().Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.toAuth0.heals(); err != nil {
		t.Fatal(err)
	}
	if err := s.startFerry(ctx, settings...); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.perLogin = deliveries
	if err := s.recovers(ctx, p); err != nil {
		t.Error(err)
	}
	s.perLogin = 1
	s.change(t, []string{}, nil)
}
