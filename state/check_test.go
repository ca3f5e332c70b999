package state_test

import (
	"strings"
	"testing"

	"ferry/secret"
	"ferry/state"
	"ferry/test/redistest"
)

// TestCheck: a Redis that allows the documented commands passes. One that lacks any of
// them fails. The check leaves no keys behind.
func TestCheck(t *testing.T) {
	t.Parallel()
	if refusal, err := check(t, redistest.Run(t, redistest.Options{User: "ferry", Password: "canary", Rules: rules})); refusal != "" || err != nil {
		t.Errorf("with all: %s, %v", refusal, err)
	}
	open := redistest.Run(t, redistest.Options{})
	if refusal, err := check(t, open); refusal != "" || err != nil {
		t.Errorf("without a user: %s, %v", refusal, err)
	}
	for name := range dump(t, open) {
		if !strings.Contains(name, ":claim:") { // claims expire within a second
			t.Errorf("it leaves %s", name)
		}
	}
	for _, rule := range strings.Fields(rules) {
		command, ok := strings.CutPrefix(rule, "+")
		if !ok || strings.HasPrefix(command, "eval") {
			continue // EVAL and EVALSHA replace each other
		}
		server := redistest.Run(t, redistest.Options{User: "ferry", Password: "canary", Rules: rules + " -" + command})
		if refusal, err := check(t, server); err == nil || refusal != "NOPERM" && refusal != "ERR" || strings.Contains(err.Error(), "canary") {
			t.Errorf("without %s: %s, %v", command, refusal, err)
		}
		must(t, server.Stop())
		if refusal, err := check(t, server); err == nil || refusal != "" {
			t.Errorf("down: %s, %v", refusal, err)
		}
	}
}

func check(t *testing.T, server *redistest.Server) (string, error) {
	t.Helper()
	r, err := state.NewRedis(secret.New(server.URL()), secret.New(theKey), state.Options{})
	must(t, err)
	defer func() { must(t, r.Close()) }()
	return r.Check(t.Context())
}
