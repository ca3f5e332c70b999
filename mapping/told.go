package mapping

import (
	"slices"
	"strings"
)

// Told is a set of the fields of a user object that decide what may become of the user. A
// user object tells a field that it has, with any value: null says that the user has none.
type Told uint8

// The fields.
const (
	ToldBlocked Told = 1 << iota
	// ToldFactors is multifactor, or another field with second factors.
	ToldFactors
	ToldReset
	// ToldAccounts is identities, or a field with the connection of the first one.
	ToldAccounts

	// ToldAll is all of them.
	ToldAll = ToldBlocked | ToldFactors | ToldReset | ToldAccounts
)

// ToldBy returns the field that a name of a user object or of a column tells, or 0.
func ToldBy(name string) Told {
	list, _, _ := strings.Cut(name, "[")
	switch {
	case list == keyBlocked:
		return ToldBlocked
	case list == keyReset:
		return ToldReset
	case list == keyIdentities, list == keyConnection, list == titleConnection:
		return ToldAccounts
	case slices.Contains(factorKeys(), list):
		return ToldFactors
	}
	return 0
}

// toldBy returns what a user object tells, after its accounts were read: a provider may be
// a connection.
func (p *Profile) toldBy(fields map[string]any) {
	for name := range fields {
		p.Told |= ToldBy(name)
	}
	if p.Source.Connection != "" {
		p.Told |= ToldAccounts
	}
}
