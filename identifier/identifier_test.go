package identifier_test

import (
	"testing"
	"unicode"

	"ferry/identifier"
)

// TestFold: identifiers that Kratos treats as equal have the same folded form.
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
		if got := identifier.Fold(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
		if again := identifier.Fold(want); again != want {
			t.Errorf("%q is %q", want, again)
		}
	}
}

// FuzzFold: folding twice is the same as folding once.
func FuzzFold(f *testing.F) {
	f.Add("kim@example.org")
	f.Add("+49 151 99990001")
	f.Add("ﬁ\u200b")
	f.Fuzz(func(t *testing.T, text string) {
		once := identifier.Fold(text)
		if twice := identifier.Fold(once); twice != once {
			t.Errorf("%q is %q and then %q", text, once, twice)
		}
	})
}

func TestNormalize(t *testing.T) {
	for typed, want := range map[string]string{
		" Kim@Example.ORG\t":   "kim@example.org",
		"\u212aim@example.org": "kim@example.org", // the Kelvin sign, as Kratos normalizes it
		" Jörg Straße x":       "jörg straße x",
		"+49 151 9999 0001":    "+49 151 9999 0001",
	} {
		if got := identifier.Normalize(typed); got != want {
			t.Errorf("%q became %q, want %q", typed, got, want)
		}
	}
}

// TestNormalizeEmail: two mailboxes have two forms, also where Kratos has one for both.
func TestNormalizeEmail(t *testing.T) {
	for typed, want := range map[string]string{
		" Kim@Example.ORG\t":      "kim@example.org",
		"JÖRG@example.org":        "jörg@example.org",
		"ΘΩ@example.org":          "θω@example.org",
		"\u212aim@example.org":    "\u212aim@example.org",    // Kelvin sign
		"\u0130rem@example.org":   "\u0130rem@example.org",   // dotted capital I
		"\u212bsa@example.org":    "\u212bsa@example.org",    // Angstrom sign
		"\u2126@example.org":      "\u2126@example.org",      // Ohm sign
		"\u03f4@example.org":      "\u03f4@example.org",      // theta symbol
		"stra\u1e9ee@example.org": "stra\u1e9ee@example.org", // capital sharp s
		"\u01c5@example.org":      "\u01c5@example.org",      // a title-case digraph
		"\u017fam@example.org":    "\u017fam@example.org",    // long s, which is a small letter
		"k\u0131m@example.org":    "k\u0131m@example.org",    // dotless i
	} {
		if got := identifier.NormalizeEmail(typed); got != want {
			t.Errorf("%q became %q, want %q", typed, got, want)
		}
	}
	// A mailbox that is not the normal form of a text is kept apart from those that are.
	for r := range unicode.MaxRune {
		one, lower := "x"+string(r), "x"+string(unicode.ToLower(r))
		if upper := "x" + string(unicode.ToUpper(unicode.ToLower(r))); lower != one && upper != one && identifier.NormalizeEmail(one) == identifier.NormalizeEmail(lower) {
			t.Errorf("%q is taken for %q", one, lower)
		}
	}
}
