// Package secret holds values that must never be printed: passwords, keys and tokens.
// Every formatter prints a [String] as [redacted]. Only Reveal returns the value, so all
// places that use it can be found. The package does not encrypt values or clear memory.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// Redacted is the text that every formatter prints for a secret.
const Redacted = "[redacted]"

// String is a secret text. The zero value is the empty secret.
//
// The text is behind a pointer: a formatter that reaches the value by reflection, for
// example in an unexported field, prints an address.
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

// Len returns the length of the text in bytes.
func (s String) Len() int { return len(s.Reveal()) }

// Empty reports whether there is no text.
func (s String) Empty() bool { return s.Len() == 0 }

// Equal compares two secrets in constant time.
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

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
