package mapping

import (
	"fmt"
	"slices"

	"ferry/provenance"
)

// New is an identity that Kratos is about to store.
type New struct {
	Traits, MetadataPublic, MetadataAdmin map[string]any
	// Addresses are all verifiable ones.
	Addresses []CurrentAddress
}

// MergeNew is Merge for an identity that its user makes at Kratos, and that Kratos has not
// stored: the result of the merge, bound to all user ids of the profile. The metadata_admin
// of current is not kept.
func MergeNew(schema *Schema, current Current, profile Profile, mapped Identity, rules Rules, notes provenance.Content) (New, error) {
	m := merger{schema: schema, current: current, rules: rules, verified: rules.Verified(profile)}
	traits, err := m.traits(mapped.Traits)
	if err != nil {
		return New{}, fmt.Errorf("merge: %w", err)
	}
	addresses := slices.Clone(current.Addresses)
	for _, address := range rules.Trusted(profile, mapped) {
		i := slices.IndexFunc(addresses, func(a CurrentAddress) bool {
			return (Address{Value: a.Value, Via: a.Via}).Normalize() == address
		})
		switch {
		case i >= 0:
			addresses[i].Verified = true
		case m.makes(address):
			addresses = append(addresses, CurrentAddress{Value: address.Value, Via: address.Via, Verified: true})
		}
	}
	return New{
		Traits: traits, MetadataPublic: overlay(current.MetadataPublic, mapped.MetadataPublic),
		MetadataAdmin: Record(profile, mapped, notes), Addresses: addresses,
	}, nil
}
