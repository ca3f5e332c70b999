package mapping

import "slices"

// WithAccounts returns the profile with the accounts of other profiles of the same person:
// their user ids, accounts, passwordless addresses and second factors. It is blocked if one
// of them is. Everything else is the profile's own, among that the connection of the
// password.
//
// The caller makes sure that the profiles are of one person, and that none of the others has
// a password: the user ids become the binding, and a match needs nothing but a subject that
// is in it.
func (p Profile) WithAccounts(others ...Profile) Profile {
	p.UserIDs, p.Accounts, p.Factors, p.Codes = slices.Clone(p.UserIDs), slices.Clone(p.Accounts), slices.Clone(p.Factors), slices.Clone(p.Codes)
	p.Merged = slices.Clone(p.Merged)
	for _, other := range others {
		p.Merged = append(p.Merged, other.Subjects()...)
		for _, id := range other.UserIDs {
			if !slices.Contains(p.UserIDs, id) {
				p.UserIDs = append(p.UserIDs, id)
			}
		}
		p.Accounts = append(p.Accounts, other.Accounts...)
		p.Factors = append(p.Factors, other.Factors...)
		p.Methods = append(slices.Clone(p.Methods), other.Methods...)
		p.Codes = append(p.Codes, other.Codes...)
		p.CodeNames = append(slices.Clone(p.CodeNames), other.CodeNames...)
		p.Blocked = p.Blocked || other.Blocked
	}
	return p
}
