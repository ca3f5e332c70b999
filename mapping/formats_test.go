package mapping_test

import (
	netmail "net/mail"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ferry/mapping"
)

// TestIsEmail: whatever passes, the parser of addresses takes as one.
func TestIsEmail(t *testing.T) {
	parts := rapid.StringOfN(rapid.SampledFrom([]rune("aZ09._+-@@..\"<>() ,;:\\[]ü\u212a%!")), 0, 70, -1)
	check := func(t rapid.TB, text string) {
		t.Helper()
		if a, err := netmail.ParseAddress(text); mapping.IsEmail(text) && err != nil {
			t.Fatalf("%q passes; it is %v, %v", text, a, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, parts.Draw(t, "text"))
		check(t, parts.Draw(t, "local")+"@"+rapid.StringMatching(`[a-z0-9.-]{1,8}`).Draw(t, "domain"))
		check(t, rapid.StringMatching(`[a-zA-Z0-9._+-]{0,8}`).Draw(t, "plain local")+"@example.org"+rapid.SampledFrom([]string{"", "."}).Draw(t, "end"))
	})
	for text, want := range map[string]bool{
		"kim@example.org": true, "kim.s+x_y-z@example.org": true, "1@x": true, strings.Repeat("a", 64) + "@x.org": true, "jörg@x.org": true, `"k m"@x.org`: true,
		"": false, "@x.org": false, ".kim@x.org": false, "kim.@x.org": false, "k..m@x.org": false, "k m@x.org": false, "kim@x.org.": false, "kim@-x.org": false,
		strings.Repeat("a", 65) + "@x.org": false, "a@b@x.org": false,
	} {
		if mapping.IsEmail(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
