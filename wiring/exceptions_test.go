package wiring_test

import (
	"testing"

	"ferry/wiring"
)

// TestExcepted: Kratos reads the exceptions as patterns.
func TestExcepted(t *testing.T) {
	const hook = "http://ferry.internal:4480/hooks/password-migration"
	for pattern, want := range map[string]bool{
		hook:                                 true,
		"http://ferry.internal:4480/hooks/*": true,
		"http://ferry.internal:4480/**":      true,
		"http://*.internal:4480/hooks/{after-login,password-migration}": true,
		"http://ferry.internal:448[0-9]/hooks/password-migration":       true,
		"http://ferry.internal:448[!1-9]/hooks/password-migratio?":      true,
		`http://ferry.internal:4480/hooks/password\-migration`:          true,
		"**":                                 true,
		"http://ferry.internal:4480/*":       false, // a slash in between
		"http://*:4480/hooks/*":              false, // a dot
		"http://ferry.internal:4480":         false,
		"http://ferry.internal:448[!0]/**":   false,
		"http://ferry?internal:4480/**":      false,
		"http://ferry.internal:4480/hooks/{": false,
		"http://ferryXinternal:4480/hooks/*": false,
		"":                                   false,
	} {
		if got := wiring.Excepted([]any{7, pattern}, hook); got != want {
			t.Errorf("%s: %v", pattern, got)
		}
	}
	const six = "http://[::1]:4480/hooks/after-login"
	if wiring.Excepted([]any{six}, six) { // neither a colon nor a 1 is where the brackets are
		t.Error("Kratos does not take brackets for themselves")
	}
	for _, address := range []string{hook, six} {
		if !wiring.Excepted([]any{wiring.Exception(address)}, address) {
			t.Errorf("%s does not name %s", wiring.Exception(address), address)
		}
	}
	if wiring.Excepted(nil, hook) {
		t.Error("no exception is one")
	}
}
