// Package secret holds values that must never be printed: passwords, keys and
// tokens. A [String] shows itself as [redacted] in every formatter; only Reveal
// gives the value, so a reader can find every place where one leaves its wrapper.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// Redacted is what a secret shows of itself, whatever asks.
const Redacted = "[redacted]"

// String is a secret text. The zero value is the empty secret.
//
// The text stands behind a pointer: a formatter that reaches the value by
// reflection, in an unexported field say, prints an address.
type String struct{ text *string }

// New wraps text, byte for byte.
func New(text string) String { return String{text: &text} }

// Reveal returns the text exactly as it was given to New.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Len is the length of the text in bytes.
func (s String) Len() int { return len(s.Reveal()) }

// Empty reports whether there is no text.
func (s String) Empty() bool { return s.Len() == 0 }

// Equal compares two secrets in a time that does not depend on their texts.
func (s String) Equal(other String) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String implements fmt.Stringer.
func (String) String() string { return Redacted }

// GoString implements fmt.GoStringer.
func (String) GoString() string { return Redacted }

// Format implements fmt.Formatter, so that no verb shows the text.
func (String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// MarshalText implements encoding.TextMarshaler, which JSON, XML and zap use.
func (String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalText takes the text from a decoder, such as a JSON string.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
