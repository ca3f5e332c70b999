package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"ferry/bulk/results"
)

// index records which lines of the file have which identifier or Auth0 user
// id. An entry takes 12 bytes: 72 bits of a digest (8 of them select the bucket), the line
// and the rank. A map from digest to lines would take at least four times as much, too much
// for files of ten million users. Two of a million values have the same digest with a
// probability below one in a billion; a row then fails although it need not.
type index struct {
	buckets    [256][]indexEntry
	collisions []collision // sorted by line, once resolved
	people     people      // whose accounts are merged, once resolved
	repeats    []collision // those of user ids
}

type indexEntry struct {
	high, low uint32 // of the digest
	mark      uint32 // rank and line
}

// collision is a line that does not get a value because another line has it too.
type collision struct {
	line, against uint32
	user          bool // the value is an Auth0 user id
}

// The ranks of an entry.
const (
	// rankUnverified is an identifier that Auth0 did not verify.
	rankUnverified uint32 = iota
	// rankVerified is an address that Auth0 verified and that the rules trust.
	rankVerified
	// rankUser is an Auth0 user id. The first line with it wins.
	rankUser
	// rankClaimed is an address that its source calls verified, and that the rules do not
	// trust: it counts as rankUnverified.
	rankClaimed
)

const (
	rankBits = 2
)

var errTooLong = errors.New("the file has more than 1,073,741,823 lines: split it")

func (e indexEntry) line() uint32 { return e.mark >> rankBits }
func (e indexEntry) rank() uint32 { return e.mark & (1<<rankBits - 1) }

// digest returns the bucket of a value and the bits of its digest that are stored.
func digest(value string, rank uint32) (bucket byte, high, low uint32) {
	kind := byte('i')
	if rank == rankUser {
		kind = 'u'
	}
	sum := sha256.Sum256(append([]byte{kind}, value...))
	return sum[0], binary.BigEndian.Uint32(sum[1:]), binary.BigEndian.Uint32(sum[5:])
}

// add records that a line has a value.
func (x *index) add(value string, line int, rank uint32) error {
	if line > results.MaxLine {
		return errTooLong
	}
	bucket, high, low := digest(value, rank)
	x.buckets[bucket] = append(x.buckets[bucket], indexEntry{high, low, uint32(line)<<rankBits | rank}) //nolint:gosec // bounded above
	return nil
}

// resolve decides which line gets a value that several lines have:
//   - a user id: the first line.
//   - an identifier: the first line on which Auth0 verified it. Without one, no line gets
//     it, because the file does not say whose it is.
//
// User ids come first. A row that repeats a user id does not compete for identifiers: it
// is the same user. Rows that are merged do not compete with each other; mergeable says which
// lines may be, and may be nil: none.
//
// A row that loses one value fails as a whole. Its other identifiers still count, so other
// rows can fail because of them.
func (x *index) resolve(mergeable func(lines []uint32) bool) {
	for i := range x.buckets {
		slices.SortFunc(x.buckets[i], compareEntries)
	}
	x.eachGroup(func(group []indexEntry) {
		if group[0].rank() == rankUser {
			x.resolveGroup(group)
		}
	})
	x.sortCollisions()
	x.repeats = slices.Clone(x.collisions)
	if mergeable != nil {
		x.findPeople(mergeable)
	}
	x.eachIdentifier(x.resolveGroup)
	x.sortCollisions()
}

// eachIdentifier calls do with the entries of each identifier that several entries have,
// without those of rows that repeat a user id.
func (x *index) eachIdentifier(do func(group []indexEntry)) {
	x.eachGroup(func(group []indexEntry) {
		if group[0].rank() == rankUser {
			return
		}
		if group = competing(group, x.repeats); len(group) > 1 {
			do(group)
		}
	})
}

// eachGroup calls do with the entries of each value that has several.
func (x *index) eachGroup(do func(group []indexEntry)) {
	for i := range x.buckets {
		bucket := x.buckets[i]
		for start := 0; start < len(bucket); {
			end := start + 1
			for end < len(bucket) && same(bucket[start], bucket[end]) {
				end++
			}
			if end-start > 1 {
				do(bucket[start:end])
			}
			start = end
		}
	}
}

// competing returns the entries of a group without those of rows that repeat a user id.
func competing(group []indexEntry, repeated []collision) []indexEntry {
	if len(repeated) == 0 {
		return group
	}
	return slices.DeleteFunc(slices.Clone(group), func(e indexEntry) bool {
		_, found := slices.BinarySearchFunc(repeated, e.line(), compareLine)
		return found
	})
}

func (x *index) sortCollisions() {
	slices.SortFunc(x.collisions, func(a, b collision) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.against, b.against))
	})
}

func compareLine(l collision, line uint32) int { return cmp.Compare(l.line, line) }

func compareEntries(a, b indexEntry) int {
	return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low), cmp.Compare(a.line(), b.line()))
}

func same(a, b indexEntry) bool { return a.high == b.high && a.low == b.low }

// resolveGroup decides among the entries of one value, which are sorted by line.
func (x *index) resolveGroup(group []indexEntry) {
	first, last := group[0].line(), group[len(group)-1].line()
	if x.sameAccounts(group) {
		return
	}
	winner := winnerOf(group)
	for _, entry := range group {
		lost := collision{entry.line(), first, entry.rank() == rankUser}
		switch {
		case winner >= 0 && x.people.same(group[winner].line(), entry.line()):
			continue
		case winner >= 0:
			lost.against = group[winner].line()
		case entry.line() == first:
			lost.against = last
		}
		x.collisions = append(x.collisions, lost)
	}
}

// winnerOf returns the entry that gets a value, or -1: no entry does.
func winnerOf(group []indexEntry) int {
	return slices.IndexFunc(group, func(e indexEntry) bool { return e.rank() == rankVerified || e.rank() == rankUser })
}

// sameAccounts reports whether all entries are of one row, or of rows that are merged.
func (x *index) sameAccounts(group []indexEntry) bool {
	return !slices.ContainsFunc(group, func(e indexEntry) bool { return !x.people.same(group[0].line(), e.line()) })
}

// collisionOf returns the first collision of a line, a user id before an identifier.
func (x *index) collisionOf(line int) (_ collision, found bool) {
	i, found := slices.BinarySearchFunc(x.collisions, uint32(line), compareLine) //nolint:gosec // bounded in add
	if !found {
		return collision{}, false
	}
	return x.collisions[i], true
}

// lines returns the lines that have the value. Call it after resolve.
func (x *index) lines(value string, rank uint32) []int {
	return x.linesOf(digest(value, rank))
}

// linesOf returns the lines with an entry of this digest.
func (x *index) linesOf(bucket byte, high, low uint32) []int {
	all := x.buckets[bucket]
	i, _ := slices.BinarySearchFunc(all, indexEntry{high: high, low: low}, compareEntries)
	var lines []int
	for ; i < len(all) && all[i].high == high && all[i].low == low; i++ {
		if line := int(all[i].line()); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// cause returns why the line loses.
func (c collision) cause() results.Cause {
	word := results.ReasonTwice
	if c.user {
		word = results.ReasonDuplicateUser
	}
	return results.Because(word, fmt.Sprintf("line %d has it too", c.against))
}
