package hook_test

import (
	"testing"

	"ferry/hook"
	"ferry/outcome"
	"ferry/secret"
	"ferry/upstream"
)

// TestDecide: Decide returns the outcome that a call would get, and does not log it as
// a call.
func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakes)
		want   hook.Decision
	}{
		"match": {func(*fakes) {}, hook.Decision{Outcome: outcome.Match}},
		"mismatch": {
			func(f *fakes) {
				f.askErr = &upstream.LoginError{Outcome: outcome.Mismatch, Reason: "wrong_credentials", Status: 403, Code: "invalid_grant"}
			},
			hook.Decision{Outcome: outcome.Mismatch, Reason: "wrong_credentials", UpstreamStatus: 403, UpstreamCode: "invalid_grant"},
		},
		"not pending": {func(f *fakes) { f.identity.Pending = false }, hook.Decision{Outcome: outcome.NotPending}},
		"panic":       {func(f *fakes) { f.find = func() { panic(canary) } }, hook.Decision{Outcome: outcome.InvalidResponse, Reason: "panic"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := alice()
			c.change(f)
			h := start(t, f)
			if got := h.handler.Decide(t.Context(), typed, secret.New(canary)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if h.logged() != "" && name != "panic" {
				t.Errorf("logged: %s", h.logged())
			}
		})
	}
}
