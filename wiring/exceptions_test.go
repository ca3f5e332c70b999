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
	if wiring.Excepted(nil, hook) {
		t.Error("no exception is one")
	}
}
