package mapping_test

import (
	"testing"

	"ferry/mapping"
)

// What the next Kratos takes for one identifier has one form.
func TestFold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kim@example.org":            "kim@example.org",
		" kim@example.org ":          "kim@example.org",
		"kim+tag@example.org":        "kim+tag@example.org",
		"ｋｉｍ@example.org":            "kim@example.org",
		"k\u200bim@example.org":      "kim@example.org",
		"k\u202eim@example.org":      "kim@example.org",
		"kim\u00ad@example.org":      "kim@example.org",
		"ﬁnn@example.org":            "finn@example.org",
		"ſam@example.org":            "sam@example.org",
		"jose\u0301@example.org":     "josé@example.org",
		"\u212aim@example.org":       "kim@example.org",
		"İbo":                        "i̇bo",
		"straße":                     "straße",
		"+49 151 99990001":           "+4915199990001",
		"+49 (151) 9999-0001":        "+4915199990001",
		"+4915199990001":             "+4915199990001",
		"＋4915199990001":             "+4915199990001",
		"+1234567890":                "+1234567890",
		"+1 234 567 890":             "+1 234 567 890",
		"4155550123":                 "4155550123",
		"+kim@example.org":           "+kim@example.org",
		"":                           "",
		"\U0001f468\u200d\U0001f469": "\U0001f468\U0001f469",
	} {
		if got := mapping.Fold(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
		if again := mapping.Fold(want); again != want {
			t.Errorf("%q is %q", want, again)
		}
	}
}

// FuzzFold: a form stays as it is.
func FuzzFold(f *testing.F) {
	f.Add("kim@example.org")
	f.Add("+49 151 99990001")
	f.Add("ﬁ\u200b")
	f.Fuzz(func(t *testing.T, text string) {
		once := mapping.Fold(text)
		if twice := mapping.Fold(once); twice != once {
			t.Errorf("%q is %q and then %q", text, once, twice)
		}
	})
}
