package doctor_test

import (
	"testing"

	"ferry/doctor"
)

// The domains are those of kratos.yml; what it does not say is not guessed.
func TestRelyingParties(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config, passkey, webAuthn string
		fails                     bool
	}{
		"both":       {"selfservice: {methods: {passkey: {config: {rp: {id: login.example.org}}}, webauthn: {config: {rp: {id: example.org}}}}}", "login.example.org", "example.org", false},
		"one":        {"selfservice: {methods: {passkey: {config: {rp: {id: login.example.org}}}}}", "login.example.org", "", false},
		"none":       {"selfservice: {methods: {passkey: {enabled: true}}}", "", "", false},
		"no text":    {"selfservice: {methods: {passkey: {config: {rp: {id: 1}}}}}", "", "", false},
		"a variable": {"selfservice: {methods: {passkey: {config: {rp: {id: \"${RP}\"}}}}}", "", "", true},
		"no YAML":    {"{", "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			passkey, webAuthn, err := doctor.RelyingParties([]byte(c.config))
			if passkey != c.passkey || webAuthn != c.webAuthn || (err != nil) != c.fails {
				t.Errorf("got %q, %q, %v", passkey, webAuthn, err)
			}
		})
	}
}
