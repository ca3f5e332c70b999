package doctor_test

import (
	"testing"

	"ferry/doctor"
	"ferry/wiring"
)

func TestHookOn(t *testing.T) {
	t.Parallel()
	merged := wiring.Fragment(wiring.Options{URL: "http://127.0.0.1:4480"})
	hook := func(enabled, url string) string {
		return "selfservice: {methods: {password: {config: {migrate_hook: {enabled: " + enabled + ", config: {url: '" + url + "'}}}}}}"
	}
	for name, c := range map[string]struct {
		text string
		on   bool
	}{
		"what ferry writes": {merged, true},
		"without a hook":    {"dsn: memory", false},
		"switched off":      {hook("false", "http://f/hooks/password-migration"), false},
		"of another":        {hook("true", "http://f/other"), false},
		"a variable":        {hook("true", "${URL}"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if on, err := doctor.HookOn([]byte(c.text)); err != nil || on != c.on {
				t.Errorf("got %v, %v\n%s", on, err, c.text)
			}
		})
	}
	if _, err := doctor.HookOn([]byte("[")); err == nil {
		t.Error("a file that is not YAML has no error")
	}
}
