package mapping

import (
	"slices"
	"strings"

	"ferry/identifier"
	"ferry/wire"
)

// Identity is the result of a mapper, in the form of Kratos' OIDC mappers.
type Identity struct {
	Traits         map[string]any `json:"traits"`
	MetadataPublic map[string]any `json:"metadata_public,omitempty"`
	// MetadataAdmin is the mapper's; ferry's own part, below auth0, is not in it.
	MetadataAdmin map[string]any `json:"metadata_admin,omitempty"`
	// VerifiedAddresses are verified according to the mapper. They count only if the
	// profile says so too and its source is trusted: see [Rules].
	VerifiedAddresses []Address `json:"verified_addresses,omitempty"`
	// Notes say which parts of the mapper's result are ignored. They contain no personal
	// data.
	Notes []string `json:"-"`
}

// Address is an e-mail address or a phone number of a user.
type Address struct {
	Value string `json:"value"`
	// Via is email or sms.
	Via string `json:"via"`
}

// The kinds of address, in Kratos' words.
const (
	ViaEmail = "email"
	ViaSMS   = "sms"
)

// Normalize returns the form in which addresses are compared: see
// [identifier.NormalizeEmail] and [identifier.CompactPhone].
func (a Address) Normalize() Address {
	if a.Via == ViaSMS {
		a.Value = identifier.CompactPhone(strings.TrimSpace(a.Value))
	} else {
		a.Value = identifier.NormalizeEmail(a.Value)
	}
	return a
}

// Mapper makes an identity from a profile. It is safe for concurrent use.
type Mapper interface {
	// Map does not change the profile. The identity may share values with it.
	Map(p Profile) (Identity, error)
}

// Policy says what happens to a trait for which the profile has a value.
type Policy string

// The policies. The zero value is Fill; an unknown name is Never.
const (
	// Fill sets the trait if the identity's is absent or empty.
	Fill Policy = wire.PolicyFill
	// Overwrite always sets it.
	Overwrite Policy = wire.PolicyOverwrite
	// Never keeps it.
	Never Policy = wire.PolicyNever
)

// Rules are set by the operator. Only Move loosens the protection of identifiers and
// addresses, and not for unverified ones.
type Rules struct {
	// ByTrait has policies by dotted path. A path includes everything below it; the longest
	// match counts. The default is Fill.
	ByTrait map[string]Policy
	// TrustVerified says whether addresses are trusted that the source of the claims calls
	// verified. The connection is empty if unknown. Nil trusts databases only.
	TrustVerified func(connection, provider string) bool
	// Move lets a verified, trusted address replace the one that the identity has as an
	// identifier or address. For bulk runs whose operator asks for it; a login never sets it.
	Move bool
}

func (r Rules) policy(path []string) Policy {
	for n := len(path); n > 0; n-- {
		if policy, ok := r.ByTrait[strings.Join(path[:n], ".")]; ok && policy != "" {
			return policy
		}
	}
	return Fill
}

// Verified are the addresses that Auth0 verified and that are trusted, normalised.
func (r Rules) Verified(p Profile) []Address {
	var out []Address
	if r.trusts(p.source()) {
		out = claimedVerified(p)
	}
	if linked := p.LinkedVerified; linked != (Address{}) && !slices.Contains(out, linked) && r.trusts(Source{Connection: p.Connection, Provider: p.Provider}) {
		out = append(out, linked)
	}
	return out
}

func (r Rules) trusts(source Source) bool {
	if r.TrustVerified == nil {
		return source.Provider == wire.DatabaseProvider
	}
	return r.TrustVerified(source.Connection, source.Provider)
}

// Trusted returns the mapper's verified addresses that the profile verifies too,
// normalised, as the rules have it.
func (r Rules) Trusted(p Profile, mapped Identity) []Address {
	var trusted []Address
	verified := r.Verified(p)
	for _, address := range mapped.VerifiedAddresses {
		address = address.Normalize()
		if slices.Contains(verified, address) && !slices.Contains(trusted, address) {
			trusted = append(trusted, address)
		}
	}
	return trusted
}

// claimedVerified are the addresses that the claims call verified: with true, not
// with a text that reads so. A number without its country's code is none, nor is an
// address that Kratos would take for another one.
func claimedVerified(p Profile) []Address {
	var out []Address
	for _, address := range []Address{
		verifiedAddress(p.Claims, claimEmail, claimEmailTrue, ViaEmail),
		verifiedAddress(p.Claims, claimPhone, claimPhoneTrue, ViaSMS),
	} {
		if address != (Address{}) {
			out = append(out, address)
		}
	}
	return out
}

// verifiedAddress is the address of a claim that the claims call verified; zero if there
// is none.
func verifiedAddress(claims map[string]any, claim, verdict, via string) Address {
	if verified, _ := claims[verdict].(bool); !verified {
		return Address{}
	}
	value, _ := claims[claim].(string)
	address := Address{Value: strings.TrimSpace(value), Via: via}.Normalize()
	if address.Value == "" {
		return Address{}
	}
	if _, isPhone := identifier.E164(address.Value); via == ViaSMS && !isPhone || address.Value != strings.ToLower(address.Value) {
		return Address{}
	}
	return address
}

// Unverified returns the mapped traits, by dotted path, that are identifiers or addresses
// and that Auth0 did not verify, or whose source is not trusted: [Merge] never fills them.
func (r Rules) Unverified(schema *Schema, p Profile, mapped Identity) []string {
	var names []string
	verified := r.Verified(p)
	for _, leaf := range leaves(nil, mapped.Traits) {
		if isProtected, vias := schema.protected(leaf.path); isProtected && !isVerified(verified, leaf.value, vias) {
			names = append(names, leaf.name())
		}
	}
	return names
}

// isVerified reports whether everything in the value is an address that was verified,
// and by each of the ways.
func isVerified(verified []Address, value any, vias []string) bool {
	switch value := value.(type) {
	case string:
		return slices.ContainsFunc(verified, func(a Address) bool {
			foreign := func(via string) bool { return via != a.Via }
			return (Address{Value: value, Via: a.Via}).Normalize() == a && !slices.ContainsFunc(vias, foreign)
		})
	case []any:
		return !slices.ContainsFunc(value, func(element any) bool { return !isVerified(verified, element, vias) })
	case map[string]any:
		for _, element := range value {
			if !isVerified(verified, element, vias) {
				return false
			}
		}
		return true
	default:
		return false
	}
}
