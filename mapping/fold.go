package mapping

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Fold gives an identifier, as Kratos stores it today, the form that releases after 26.2
// give it: compatibility forms are replaced (NFKC), invisible and control characters
// dropped, capitals made small, phone numbers written as E.164. Two identifiers that Fold
// makes one are two identities today, and a conflict then.
func Fold(identifier string) string {
	identifier = strings.TrimSpace(identifier)
	if !isPlain(identifier) {
		identifier = norm.NFKC.String(strings.Map(visible, identifier))
		identifier = norm.NFKC.String(cases.Lower(language.Und).String(strings.Map(visible, identifier)))
		identifier = strings.TrimSpace(identifier)
	}
	if !strings.HasPrefix(identifier, "+") || isE164(identifier) {
		return identifier
	}
	if number, err := phonenumbers.Parse(identifier, ""); err == nil && phonenumbers.IsValidNumber(number) {
		return phonenumbers.Format(number, phonenumbers.E164)
	}
	return identifier
}

// isPlain reports whether a text is ASCII that stays as it is, as most are.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}

// isE164 reports whether a text has the form of E.164: a plus and digits.
func isE164(text string) bool {
	return strings.Trim(text[1:], "0123456789") == ""
}

// visible drops characters that show nothing.
func visible(r rune) rune {
	if unicode.In(r, unicode.C, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	return r
}
