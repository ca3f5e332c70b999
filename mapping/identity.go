package mapping

import (
	"slices"
	"strings"

	"ferry/identifier"
)

// Identity is what a mapper makes, in the shape of Kratos' OIDC mappers.
type Identity struct {
	Traits         map[string]any `json:"traits"`
	MetadataPublic map[string]any `json:"metadata_public,omitempty"`
	// MetadataAdmin is what the mapper itself put there; ferry's own part is below
	// its key auth0, which no mapper writes.
	MetadataAdmin map[string]any `json:"metadata_admin,omitempty"`
	// VerifiedAddresses are those that the mapper says are verified. They count only
	// where the profile says so too and its source is believed: see [Rules].
	VerifiedAddresses []Address `json:"verified_addresses,omitempty"`
	// Notes say what of the mapper's answer is ignored. They hold no person's data.
	Notes []string `json:"-"`
}

// Address is where a person can be reached.
type Address struct {
	Value string `json:"value"`
	// Via is email or sms.
	Via string `json:"via"`
}

// The ways to reach somebody, in Kratos' words.
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

// Mapper makes an identity of a profile. It is safe for concurrent use.
type Mapper interface {
	// Map changes nothing of the profile. The identity may share values with it.
	Map(p Profile) (Identity, error)
}

// Policy says what becomes of a trait for which the profile has a value.
type Policy string

// The policies. The zero value is Fill; a name that is none of them is Never.
const (
	// Fill sets the trait where the identity has none, or an empty one.
	Fill Policy = "fill"
	// Overwrite sets it whatever the identity has.
	Overwrite Policy = "overwrite"
	// Never leaves it alone.
	Never Policy = "never"
)

// Rules are the operator's. None of them loosens what holds for identifiers and
// addresses.
type Rules struct {
	// ByTrait is by dotted path; a path stands for everything below it too. The
	// longest that fits counts, and Fill where none does.
	ByTrait map[string]Policy
	// TrustVerified says whether the source of the claims is believed when it says
	// verified. The connection is empty where it is not known. Nil: databases are
	// trusted, and nothing else.
	TrustVerified func(connection, provider string) bool
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
	source := p.source()
	trusted := source.Provider == databases
	if r.TrustVerified != nil {
		trusted = r.TrustVerified(source.Connection, source.Provider)
	}
	if !trusted {
		return nil
	}
	return claimedVerified(p)
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
	add := func(claim, verdict, via string) {
		if verified, _ := p.Claims[verdict].(bool); !verified {
			return
		}
		address := Address{Value: p.text(claim), Via: via}.Normalize()
		if address.Value == "" {
			return
		}
		if _, isPhone := identifier.E164(address.Value); via == ViaSMS && !isPhone || address.Value != strings.ToLower(address.Value) {
			return
		}
		out = append(out, address)
	}
	add(claimEmail, claimEmailTrue, ViaEmail)
	add(claimPhone, claimPhoneTrue, ViaSMS)
	return out
}

// Unverified are the mapped traits, by dotted path, that are identifiers or addresses
// and that Auth0 did not verify, or is not believed to have: [Merge] never fills them.
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
