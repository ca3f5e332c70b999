package state_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ferry/state"
	"ferry/test/redistest"
)

func has(t *testing.T, r *state.Register, want bool, userIDs ...string) {
	t.Helper()
	got, err := r.Has(t.Context(), userIDs)
	if err != nil || got != want {
		t.Errorf("%v: %v, %v", userIDs, got, err)
	}
}

func complete(t *testing.T, r *state.Register, want bool) {
	t.Helper()
	if got, err := r.Complete(t.Context()); err != nil || got != want {
		t.Errorf("complete: %v, %v", got, err)
	}
}

// TestRegister: replicas share the users and the mark of completeness. Redis learns no user
// id, and nothing expires. Another key has another register.
func TestRegister(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{User: "ferry", Password: "p", Rules: rules})
	a := open(t, server, theKey, state.Options{}).Register()
	b := open(t, server, theKey, state.Options{}).Register()
	other := open(t, server, strings.ToUpper(theKey), state.Options{}).Register()
	has(t, a, false)
	has(t, a, false, "auth0|canary1")
	complete(t, a, false)

	life, err := a.Begin(t.Context())
	must(t, err)
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("auth0|canary%d", i))
	}
	must(t, a.Add(t.Context(), many))
	must(t, a.Add(t.Context(), nil))
	must(t, b.Add(t.Context(), []string{"google-oauth2|canary"}))
	complete(t, b, false)
	must(t, a.SetComplete(t.Context(), life))
	again, err := b.Begin(t.Context())
	must(t, err)
	must(t, b.SetComplete(t.Context(), again))

	complete(t, b, true)
	has(t, b, true, "auth0|canary499")
	has(t, b, true, "auth0|unknown", "auth0|canary1")
	has(t, a, true, "google-oauth2|canary")
	has(t, a, false, "auth0|unknown", "")
	complete(t, other, false)
	has(t, other, false, "auth0|canary1")
}

// TestRegisterInRedis: there is one key, with keyed hashes, which does not expire.
func TestRegisterInRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	r := open(t, server, theKey, state.Options{}).Register()
	life, err := r.Begin(t.Context())
	must(t, err)
	must(t, r.Add(t.Context(), []string{"auth0|canary"}))
	must(t, r.SetComplete(t.Context(), life))
	raw := client(t, server)
	names := raw.Keys(t.Context(), "*").Val()
	if len(names) != 1 || raw.TTL(t.Context(), names[0]).Val() != -1 {
		t.Fatalf("keys %v", names)
	}
	fields := raw.HGetAll(t.Context(), names[0]).Val()
	if text := fmt.Sprint(names, fields); len(fields) != 3 || strings.Contains(text, "canary") || strings.Contains(text, "auth0|") {
		t.Errorf("Redis has %s", text)
	}
}

// TestRegisterLost: a Redis that lost its data has no complete register, and a walk during
// which that happened does not complete it.
func TestRegisterLost(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	s := open(t, server, theKey, state.Options{})
	r := s.Register()
	life, err := r.Begin(t.Context())
	must(t, err)
	must(t, r.Add(t.Context(), []string{"auth0|first"}))
	must(t, r.SetComplete(t.Context(), life))

	must(t, server.Stop())
	must(t, server.Restart(t.Context()))
	awaitTrue(t, "Redis", func() bool { return s.Ping(t.Context()) == nil })
	complete(t, r, false)
	has(t, r, false, "auth0|first")
	must(t, r.Add(t.Context(), []string{"auth0|second"}))
	if err := r.SetComplete(t.Context(), life); !errors.Is(err, state.ErrEmptied) {
		t.Errorf("the walk before: %v", err)
	}
	if _, err := r.Begin(t.Context()); err != nil { // another replica's walk
		t.Fatal(err)
	}
	if err := r.SetComplete(t.Context(), life); !errors.Is(err, state.ErrEmptied) {
		t.Errorf("the walk before: %v", err)
	}
	complete(t, r, false)
}

// TestRegisterDown: while Redis is down, no call says that a user is not there.
func TestRegisterDown(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	r := open(t, server, theKey, state.Options{Timeout: 2 * time.Second}).Register()
	life, err := r.Begin(t.Context())
	must(t, err)
	must(t, server.Stop())
	for range 10 { // the first ones ask, the others are paused
		for name, call := range map[string]func() error{
			"has":          func() error { _, err := r.Has(t.Context(), []string{"auth0|a", "auth0|b"}); return err },
			"add":          func() error { return r.Add(t.Context(), []string{"auth0|a"}) },
			"complete":     func() error { _, err := r.Complete(t.Context()); return err },
			"begin":        func() error { _, err := r.Begin(t.Context()); return err },
			"set complete": func() error { return r.SetComplete(t.Context(), life) },
		} {
			if err := fast(t, call); err == nil || errors.Is(err, state.ErrEmptied) || !strings.HasPrefix(err.Error(), "state: users register: ") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
