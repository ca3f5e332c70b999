package mapping

import (
	"slices"
	"strings"

	"ferry/identifier"
)

// takeLinkedPassword reads the names of a linked account with the password: the user object
// describes the primary account, which may have another e-mail address. Auth0 accepts the
// password with the account's own names only.
//
// If the account verified an address of its own, that is the profile's address: the user
// proves with the password that it is theirs. Verified addresses of the primary account
// then do not count, because they have another source. If both accounts have the same
// address, it is enough that one of them verified it.
func (p *Profile) takeLinkedPassword(identity, fields map[string]any) {
	data, _ := identity[keyProfileData].(map[string]any)
	for _, key := range []string{claimEmail, userUsername, claimPhone} {
		if name, _ := data[key].(string); strings.TrimSpace(name) != "" {
			p.PasswordNames = append(p.PasswordNames, name)
		}
	}
	email, _ := data[claimEmail].(string)
	verified, _ := data[claimEmailTrue].(bool)
	primary, _ := fields[claimEmail].(string)
	switch {
	case email == "" || !verified:
		return
	case sameName(email, primary):
		p.LinkedVerified = verifiedAddress(data, claimEmail, claimEmailTrue, ViaEmail)
		return
	}
	p.Source = Source{Connection: p.Connection, Provider: p.Provider}
	p.OwnEmail = true
	fields[claimEmail], fields[claimEmailTrue] = email, true
	delete(fields, userPhoneTrue)
}

// Crosses reports whether Auth0 accepts the password with one of the identifiers, as far as
// the profile shows.
func (p Profile) Crosses(identifiers []string) bool {
	return len(p.PasswordNames) == 0 || slices.ContainsFunc(p.PasswordNames, func(name string) bool {
		return slices.ContainsFunc(identifiers, func(other string) bool { return sameName(name, other) })
	})
}

// sameName reports whether Kratos stores two names as one identifier.
func sameName(a, b string) bool {
	return identifier.NormalizeEmail(a) == identifier.NormalizeEmail(b)
}
