// Package identifier gives e-mail addresses, usernames and phone numbers the
// forms in which Kratos and Auth0 store and compare them. It does not know which
// of these a text is: the caller does, or the identity schema says so.
package identifier

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Normalize returns the form in which Kratos stores and looks up the identifiers of
// passwords: without spaces around it, in lower case.
func Normalize(text string) string {
	return strings.ToLower(strings.TrimSpace(text))
}

// NormalizeEmail is Normalize, but keeps a capital letter whose lower case belongs to another
// letter: kim@ and the same with a Kelvin sign are two mailboxes, although Kratos looks them
// up as one. So are θ@ and the same with the theta symbol.
func NormalizeEmail(text string) string {
	return strings.Map(func(r rune) rune {
		lower := unicode.ToLower(r)
		if r >= utf8.RuneSelf && lower != r && unicode.ToUpper(lower) != r {
			return r
		}
		return lower
	}, strings.TrimSpace(text))
}

// CompactPhone removes spaces, dashes, dots, slashes and parentheses: without them
// +49 (151) 99-99 is E.164. It never guesses a country.
func CompactPhone(number string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\u00a0', '-', '.', '/', '(', ')':
			return -1
		}
		return r
	}, number)
}

// The digits of a number with its country code: ITU-T E.164 has at most 15.
const (
	minDigits = 7
	maxDigits = 15
)

// E164 returns the compact form of a phone number, and whether that is a plus, a country
// code and digits. It does not look at the country's numbering plan: see IsPhone.
func E164(text string) (number string, ok bool) {
	number = CompactPhone(strings.TrimSpace(text))
	digits, international := strings.CutPrefix(number, "+")
	ok = international && len(digits) >= minDigits && len(digits) <= maxDigits && digits[0] != '0' && isDigits(digits)
	return number, ok
}

func isDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// IsPhone reports whether Kratos accepts a text as a phone number: one with a plus and a
// country code that is valid in the country's numbering plan. Kratos uses the same
// library.
func IsPhone(text string) bool {
	number, err := phonenumbers.Parse(text, "")
	return err == nil && phonenumbers.IsValidNumber(number)
}

// Fold gives an identifier, as Kratos stores it today, the form that releases after 26.2
// give it: compatibility forms are replaced (NFKC), invisible and control characters
// dropped, letters made lower case, phone numbers written as E.164. Two identifiers with
// the same fold belong to two identities today, and are in conflict then.
func Fold(identifier string) string {
	identifier = strings.TrimSpace(identifier)
	if !isPlain(identifier) {
		identifier = norm.NFKC.String(strings.Map(visible, identifier))
		identifier = norm.NFKC.String(cases.Lower(language.Und).String(strings.Map(visible, identifier)))
		identifier = strings.TrimSpace(identifier)
	}
	if !strings.HasPrefix(identifier, "+") || isDigits(identifier[1:]) {
		return identifier
	}
	if number, err := phonenumbers.Parse(identifier, ""); err == nil && phonenumbers.IsValidNumber(number) {
		return phonenumbers.Format(number, phonenumbers.E164)
	}
	return identifier
}

// isPlain reports whether a text is lower-case ASCII, as most are: Fold keeps it.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}

// visible drops invisible characters.
func visible(r rune) rune {
	if unicode.In(r, unicode.C, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	return r
}

// Similar reports whether some release of Kratos may store both texts as one identifier.
// It is more tolerant than Fold, and only good for choosing among the identifiers of one
// identity: it must not decide whose a login is.
func Similar(a, b string) bool { return loose(a) == loose(b) }

func loose(text string) string {
	text = strings.TrimSpace(strings.ToLower(norm.NFKC.String(text)))
	if strings.HasPrefix(text, "+") {
		text = CompactPhone(text)
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || r == '\u0307' { // the dot left of a dotted capital I
			return -1
		}
		return r
	}, text)
}
