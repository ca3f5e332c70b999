package plan

import (
	"cmp"
	"slices"
)

// maxAccounts bounds the accounts of one person.
const maxAccounts = 16

// person says to whose accounts a line belongs.
type person struct {
	line  uint32
	first uint32 // the first line of the accounts
	size  uint32 // how many accounts there are
}

// people are the lines that are merged, sorted by line: sets of accounts of one person at
// Auth0 that become one identity.
//
// A set is merged only where all of this holds:
//
//   - Each of its accounts has the address that they share, and Auth0 verified it for each, in
//     a database or in a connection that the rules trust. Anyone can sign up with an address
//     that is not theirs and leave it unverified; whoever verified it could have reset the
//     passwords of all accounts that have it.
//   - At most one of the accounts has a password. The binding of the identity lists the
//     subjects of all, and a match needs a subject of the binding: with two passwords, either
//     would be a match, and which of them is the user's is not known.
//   - No row that is left out has a better claim to one of its identifiers, and the accounts
//     share no other verified address with further accounts.
//
// So the only password that can reach a merged identity is that of its database account: ferry
// asks Auth0 with the connection of that account, which the binding records, and Auth0's token
// names the account itself as the subject. Accounts at providers log in by the subject that
// the provider gives, as a credential of the identity.
type people []person

func comparePerson(a, b person) int {
	return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.first, b.first), cmp.Compare(a.size, b.size))
}

// of returns the person to whom a line belongs.
func (p people) of(line uint32) (person, bool) {
	i, found := p.find(line)
	if !found {
		return person{}, false
	}
	return p[i], true
}

// find returns the index of a line.
func (p people) find(line uint32) (int, bool) {
	return slices.BinarySearchFunc(p, line, func(one person, line uint32) int { return cmp.Compare(one.line, line) })
}

// same reports whether two lines are one, or are merged.
func (p people) same(a, b uint32) bool {
	if a == b || len(p) == 0 {
		return a == b
	}
	one, found := p.of(a)
	other, merged := p.of(b)
	return found && merged && one.first == other.first
}

// findPeople finds the lines that are merged. It must come before the identifiers are
// resolved.
func (x *index) findPeople(mergeable func(lines []uint32) bool) {
	var found people
	x.eachIdentifier(func(group []indexEntry) {
		lines := linesWith(group, rankVerified)
		if len(lines) < 2 || len(lines) > maxAccounts || !mergeable(lines) {
			return
		}
		for _, line := range lines {
			found = append(found, person{line, lines[0], uint32(len(lines))}) //nolint:gosec // at most maxAccounts
		}
	})
	x.people = found.consistent()
	x.people = x.people.without(x.outdone())
}

// consistent leaves out sets that overlap others.
func (p people) consistent() people {
	slices.SortFunc(p, comparePerson)
	p = slices.Compact(p) // accounts that share several addresses
	wrong, sizes := map[uint32]bool{}, map[uint32]uint32{}
	for i, one := range p {
		sizes[one.first]++
		if i > 0 && p[i-1].line == one.line {
			wrong[one.first], wrong[p[i-1].first] = true, true
		}
	}
	for _, one := range p {
		if sizes[one.first] != one.size {
			wrong[one.first] = true
		}
	}
	return p.without(wrong)
}

func (p people) without(wrong map[uint32]bool) people {
	return slices.Clip(slices.DeleteFunc(p, func(one person) bool { return wrong[one.first] }))
}

// outdone returns the people one of whose accounts would lose an identifier to a row that is
// not theirs.
func (x *index) outdone() map[uint32]bool {
	wrong := map[uint32]bool{}
	if len(x.people) == 0 {
		return wrong
	}
	x.eachIdentifier(func(group []indexEntry) {
		winner := winnerOf(group)
		for _, entry := range group {
			one, found := x.people.of(entry.line())
			if !found || x.sameAccounts(group) || winner >= 0 && x.people.same(group[winner].line(), entry.line()) {
				continue
			}
			wrong[one.first] = true
		}
	})
	return wrong
}

// linesWith returns the lines of the entries that have one of the ranks, each once.
func linesWith(group []indexEntry, ranks ...uint32) []uint32 {
	var lines []uint32
	for _, entry := range group { // sorted by line
		if slices.Contains(ranks, entry.rank()) && (len(lines) == 0 || lines[len(lines)-1] != entry.line()) {
			lines = append(lines, entry.line())
		}
	}
	return lines
}
