package mapping

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ferry/jsonpatch"
	"ferry/provenance"
)

// Current is the identity as it was just read from Kratos.
type Current struct {
	Traits                        map[string]any
	MetadataPublic, MetadataAdmin map[string]any
	// Addresses are the verifiable ones, in the order of that read; other reads may have
	// another order.
	Addresses []CurrentAddress
}

// CurrentAddress is one of an identity's verifiable addresses.
type CurrentAddress struct {
	Value, Via string
	Verified   bool
}

// Result is the result of a merge.
type Result struct {
	// Ops are the changes; empty: there is nothing to write.
	Ops []jsonpatch.Op
	// Traits are the traits with these changes.
	Traits map[string]any
	// Dropped are the traits, by dotted path, whose mapped values the schema refuses.
	Dropped []string
	// Unverified are the identifiers and addresses among the traits that stay empty,
	// because Auth0 did not verify the value or is not trusted.
	Unverified []string
	// Unmarked are verified addresses that Kratos creates from the traits when Ops are
	// applied. A merge with the identity afterwards marks them.
	Unmarked []Address
}

// Merge computes what to change in an identity so that it has the result of the mapper,
// as far as the rules allow. It removes nothing, changes no credential,
// and the binding never changes.
//
//   - Traits follow the rules' policies. Those that are identifiers or addresses are
//     filled only with verified, trusted values, and overwritten only by such values and
//     with [Rules.Move]. The result satisfies the schema: traits that do not are dropped.
//   - The mapper's metadata is merged key by key; other keys stay.
//   - Auth0's metadata and the caller's notes are written into metadata_admin.auth0: see
//     [provenance.Update].
//   - Addresses are marked as verified, never as unverified, if mapper, profile and rules
//     agree.
//
// Without a schema (nil) no trait is changed, because identifiers are unknown; metadata, notes and addresses are as above.
//
// An [InvalidError] means that the identity's own traits do not satisfy the schema, so
// that Kratos would refuse any change. Arguments are not changed; the operations share
// values with them.
func Merge(schema *Schema, current Current, profile Profile, mapped Identity, rules Rules, notes provenance.Content) (Result, error) {
	m := merger{schema: schema, current: current, rules: rules, verified: rules.Verified(profile)}
	trusted := rules.Trusted(profile, mapped)
	if rules.Move { // Auth0 logs the user in by the codes that it sends there
		m.verified, trusted = append(m.verified, profile.Codes...), append(trusted, profile.Codes...)
	}
	traits, err := m.traits(mapped.Traits)
	if err != nil {
		return Result{}, fmt.Errorf("merge: %w", err)
	}
	admin, err := adminMetadata(current.MetadataAdmin, mapped.MetadataAdmin, profile.content(notes))
	if err != nil {
		return Result{}, fmt.Errorf("merge: %w", err)
	}
	m.result.Traits = traits
	m.result.Ops = slices.Concat(
		jsonpatch.Diff([]string{"traits"}, current.Traits, traits),
		jsonpatch.Diff([]string{"metadata_public"}, current.MetadataPublic, overlay(current.MetadataPublic, mapped.MetadataPublic)),
		jsonpatch.Diff([]string{"metadata_admin"}, current.MetadataAdmin, admin, provenance.Pointers()...),
		m.verify(trusted),
	)
	return m.result, nil
}

// adminMetadata returns the next metadata_admin. A mapper cannot write below ferry's key.
func adminMetadata(current, mapped map[string]any, content provenance.Content) (map[string]any, error) {
	mapped = maps.Clone(mapped)
	delete(mapped, provenance.Key)
	return provenance.Update(overlay(current, mapped), content)
}

type merger struct {
	schema   *Schema
	current  Current
	rules    Rules
	verified []Address
	filled   []proposal
	result   Result
}

// proposal is a trait that the policies allow to set.
type proposal struct {
	path  []string
	value any
}

func (p proposal) name() string { return strings.Join(p.path, ".") }

// traits returns the current traits with every proposal that the schema accepts.
func (m *merger) traits(mapped map[string]any) (map[string]any, error) {
	if m.schema == nil {
		return m.current.Traits, nil
	}
	var proposals []proposal
	for _, leaf := range leaves(nil, mapped) {
		if m.wanted(leaf) {
			proposals = append(proposals, leaf)
		}
	}
	kept, err := m.fit(proposals)
	if err != nil {
		return nil, err
	}
	for _, p := range proposals {
		if !slices.ContainsFunc(kept, func(k proposal) bool { return slices.Equal(k.path, p.path) }) {
			m.result.Dropped = append(m.result.Dropped, p.name())
		}
	}
	m.filled = kept
	return m.apply(kept), nil
}

// leaves returns the values of an object that are not empty, in the order of their paths.
func leaves(path []string, object map[string]any) []proposal {
	var out []proposal
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := append(slices.Clone(path), name)
		if child, ok := object[name].(map[string]any); ok {
			out = append(out, leaves(at, child)...)
		} else if !empty(object[name]) {
			out = append(out, proposal{at, object[name]})
		}
	}
	return out
}

// wanted applies the policies, and above them the rule for identifiers and addresses.
func (m *merger) wanted(p proposal) bool {
	was, reachable := lookup(m.current.Traits, p.path)
	if !reachable || jsonpatch.Equal(was, p.value) {
		return false
	}
	policy := m.rules.policy(p.path)
	if policy != Fill && policy != Overwrite {
		return false
	}
	isProtected, vias := m.schema.protected(p.path)
	if !empty(was) && (isProtected && !m.rules.Move || !isProtected && policy == Fill) {
		return false
	}
	if isProtected && !isVerified(m.verified, p.value, vias) {
		m.result.Unverified = append(m.result.Unverified, p.name())
		return false
	}
	return true
}

// lookup finds the value at a path; nil if there is none. It is not reachable if a value
// on the path is not an object.
func lookup(object map[string]any, path []string) (value any, reachable bool) {
	value = object
	for _, name := range path {
		child, ok := value.(map[string]any)
		if !ok {
			return nil, empty(value)
		}
		value = child[name]
	}
	return value, true
}

func (m *merger) apply(proposals []proposal) map[string]any {
	out := m.current.Traits
	for _, p := range proposals {
		out = with(out, p.path, p.value)
	}
	return out
}

// fit keeps as many proposals as the schema accepts together. It tries refused ones again
// with those it kept, so that a second merge finds nothing new.
func (m *merger) fit(proposals []proposal) ([]proposal, error) {
	var kept []proposal
	for rest := proposals; ; {
		more := m.fitBeside(kept, rest)
		kept = slices.Concat(kept, more)
		rest = slices.DeleteFunc(slices.Clone(rest), func(p proposal) bool {
			return slices.ContainsFunc(more, func(k proposal) bool { return slices.Equal(k.path, p.path) })
		})
		if len(more) == 0 || len(rest) == 0 {
			break
		}
	}
	return kept, m.check(m.apply(kept))
}

// check validates traits. It accepts phone numbers that the identity already has: Kratos'
// numbering plans may be of another release.
func (m *merger) check(traits map[string]any) error {
	err := m.schema.Validate(traits)
	if err == nil {
		return nil
	}
	has := leaves(nil, m.current.Traits)
	rest, left := m.schema.WithoutPhones(traits, err, func(number string) bool {
		return !slices.ContainsFunc(has, func(p proposal) bool { return jsonpatch.Equal(p.value, number) })
	})
	if len(left) > 0 {
		err = m.schema.Validate(rest)
	}
	return err
}

// fitBeside takes all proposals, or all but one, or those that add no violation: first
// those within one object together, then each alone.
func (m *merger) fitBeside(kept, proposals []proposal) []proposal {
	beside := func(more []proposal) []string { return m.faults(slices.Concat(kept, more)) }
	if len(beside(proposals)) == 0 {
		return proposals
	}
	for i := range proposals {
		if others := slices.Concat(proposals[:i], proposals[i+1:]); len(beside(others)) == 0 {
			return others
		}
	}
	var taken []proposal
	faults := beside(nil)
	try := func(more []proposal) bool {
		candidate := slices.Concat(taken, more)
		after := beside(candidate)
		if slices.ContainsFunc(after, func(fault string) bool { return !slices.Contains(faults, fault) }) {
			return false
		}
		taken, faults = candidate, after
		return true
	}
	for len(proposals) > 0 {
		n := 1
		for n < len(proposals) && proposals[n].path[0] == proposals[0].path[0] {
			n++
		}
		if group := proposals[:n]; !try(group) && n > 1 {
			for i := range group {
				try(group[i : i+1])
			}
		}
		proposals = proposals[n:]
	}
	return taken
}

func (m *merger) faults(proposals []proposal) []string {
	err := m.schema.Validate(m.apply(proposals))
	var invalid *InvalidError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &invalid):
		return []string{err.Error()}
	}
	var out []string
	for _, v := range invalid.Violations {
		out = append(out, v.String())
	}
	return out
}

// verify marks trusted addresses as verified, at their current index.
func (m *merger) verify(trusted []Address) []jsonpatch.Op {
	var ops []jsonpatch.Op
	for _, address := range trusted {
		found := false
		for i, has := range m.current.Addresses {
			if (Address{Value: has.Value, Via: has.Via}).Normalize() != address {
				continue
			}
			found = true
			if !has.Verified {
				at := []string{"verifiable_addresses", strconv.Itoa(i)}
				ops = append(ops,
					jsonpatch.Op{Op: "replace", Path: jsonpatch.Pointer(append(at, "verified")...), Value: true},
					jsonpatch.Op{Op: "replace", Path: jsonpatch.Pointer(append(at, "status")...), Value: "completed"})
			}
		}
		if !found && m.makes(address) {
			m.result.Unmarked = append(m.result.Unmarked, address)
		}
	}
	return ops
}

// makes reports whether one of the filled traits is the address.
func (m *merger) makes(address Address) bool {
	return slices.ContainsFunc(m.filled, func(p proposal) bool {
		isProtected, _ := m.schema.protected(p.path)
		text, _ := p.value.(string)
		return isProtected && (Address{Value: text, Via: address.Via}).Normalize() == address
	})
}
