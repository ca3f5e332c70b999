package main

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"ferry/test/kratostest"
)

func TestCountAnswers(t *testing.T) {
	t.Parallel()
	const counted = "# TYPE ferry_hook_outcomes_total counter\n" +
		"ferry_hook_outcomes_total{outcome=\"match\",route=\"password-migration\"} 2\n" +
		"ferry_hook_outcomes_total{outcome=\"mismatch\",route=\"password-migration\"} 0\n" +
		"ferry_hook_outcomes_total{outcome=\"match\",route=\"after-login\"} 9\n" +
		"# TYPE ferry_hook_caller_faults_total counter\nferry_hook_caller_faults_total{route=\"password-migration\",status=\"Unauthorized\"} 1e+06\n"
	got, err := countAnswers(strings.NewReader(counted))
	if err != nil || !maps.Equal(got, map[string]int{"match": 2, "mismatch": 0, "Unauthorized": 1_000_000}) {
		t.Errorf("got %v, %v", got, err)
	}
	for name, metrics := range map[string]string{
		"nothing":           "",
		"a renamed counter": strings.ReplaceAll(counted, "ferry_hook", "ferry_hooks"),
		"another route":     strings.ReplaceAll(counted, "password-migration", "password"),
		"not a number":      strings.ReplaceAll(counted, "} 2", "} two"),
	} {
		if got, err := countAnswers(strings.NewReader(metrics)); err == nil {
			t.Errorf("%s: got %v and no error", name, got)
		}
	}
}

func TestReadingSaid(t *testing.T) {
	t.Parallel()
	before := reading{passwords: 3, answers: map[string]int{"match": 1, "mismatch": 0}}
	for want, after := range map[string]map[string]int{
		"not called":                                {"match": 1, "mismatch": 0},
		"called once, answered mismatch":            {"match": 1, "mismatch": 1},
		"called 3 times, answered garbled, match":   {"match": 2, "mismatch": 0, "garbled": 2},
		"called 2 times, answered mismatch":         {"match": 1, "mismatch": 2},
		"called once, answered Unauthorized":        {"match": 1, "mismatch": 0, "Unauthorized": 1},
		"called 2 times, answered match, throttled": {"match": 2, "mismatch": 0, "throttled": 1},
	} {
		if got := (reading{passwords: 4, answers: after}).since(before); got.said() != want || got.passwords != 1 {
			t.Errorf("got %q after %d passwords, want %q after 1", got.said(), got.passwords, want)
		}
	}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	const hash = "$2a$04$abcdefghijklmnop"
	for _, c := range []struct {
		pending            bool
		hash, state, shown string
	}{
		{true, "", pending, `{"hashed_password":"","use_password_migration_hook":true}`},
		{false, hash, migrated, `{"hashed_password":"$2a$04$abcd..."}`},
		{true, hash, "hash stored, still pending", `{"hashed_password":"$2a$04$abcd...","use_password_migration_hook":true}`},
		{false, "", "neither pending nor a hash", `{"hashed_password":""}`},
	} {
		got := credential{kratostest.Identity{Pending: c.pending, HashedPassword: c.hash}}
		if got.state() != c.state || got.shown() != c.shown {
			t.Errorf("%+v: got %q, %s", c, got.state(), got.shown())
		}
	}
}

func TestNarrator(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	n := &narrator{out: &out, colours: true}
	n.step("Done.", "Why.")
	if !n.fact("Auth0", "same", "same", "(detail)") || n.fact("Auth0", "this", "that", "") {
		t.Error("facts were mixed up")
	}
	const want = "\n\x1b[1m1. Done.\x1b[0m\n   Why.\n" +
		"     Auth0       \x1b[32msame\x1b[0m  (detail)\n" +
		"     Auth0       \x1b[1;31mthis\x1b[0m\n     \x1b[1;31m^^^ NOT AS EXPECTED: Auth0 must be: that\x1b[0m\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}

	gone := &goneWriter{}
	n = &narrator{out: gone}
	n.printf("a")
	n.printf("b")
	if n.err == nil || n.err.Error() != "narrate: gone" || gone.calls != 1 {
		t.Errorf("got %v after %d calls", n.err, gone.calls)
	}
}

type goneWriter struct{ calls int }

func (w *goneWriter) Write([]byte) (int, error) {
	w.calls++
	return 0, errors.New("gone")
}
