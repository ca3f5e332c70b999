package bulk

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
)

// claims knows which line of the file claims which identifier, in 12 bytes each: a
// part of its digest, and the line. That two different ones have the same part is one
// chance in ten million for a million users, and then a row fails that need not have.
type claims struct {
	buckets [256][]claim
	losses  []loss // in the order of the lines, once settled
}

type claim struct {
	high, low uint32 // of the digest
	mark      uint32 // rank and line
}

// loss is a line that does not get what it claims, and the line that stands against it.
type loss struct {
	line, against uint32
	user          bool // it is the user that is twice, not an identifier
}

// The ranks of a claim.
const (
	unproven uint32 = iota
	// proven is an address that Auth0 verified and that is believed.
	proven
	// user is an Auth0 user id: the first line that has it is the user.
	user
)

const (
	rankBits = 2
	maxLine  = 1<<(32-rankBits) - 1
)

var errTooLong = errors.New("the file has more than 1,073,741,823 lines: split it")

func (c claim) line() uint32 { return c.mark >> rankBits }
func (c claim) rank() uint32 { return c.mark & (1<<rankBits - 1) }

// digest is where a claim is kept, and the part of its digest that is.
func digest(value string, rank uint32) (bucket byte, high, low uint32) {
	kind := byte('i')
	if rank == user {
		kind = 'u'
	}
	sum := sha256.Sum256(append([]byte{kind}, value...))
	return sum[0], binary.BigEndian.Uint32(sum[1:]), binary.BigEndian.Uint32(sum[5:])
}

// add notes that a line claims a value.
func (c *claims) add(value string, line int, rank uint32) error {
	if line > maxLine {
		return errTooLong
	}
	bucket, high, low := digest(value, rank)
	c.buckets[bucket] = append(c.buckets[bucket], claim{high, low, uint32(line)<<rankBits | rank}) //nolint:gosec // bounded above
	return nil
}

// settle decides who gets what several lines claim:
//   - a user id: the first line.
//   - an identifier: the first of those that Auth0 verified; nobody where none is, for
//     then the file does not tell whose it is.
//
// Whoever does not get one of the things he claims gets nothing at all, and yet his
// other claims stand: they may be the reason why somebody else gets nothing.
func (c *claims) settle() {
	for i := range c.buckets {
		bucket := c.buckets[i]
		slices.SortFunc(bucket, compareClaims)
		for start := 0; start < len(bucket); {
			end := start + 1
			for end < len(bucket) && same(bucket[start], bucket[end]) {
				end++
			}
			c.settleGroup(bucket[start:end])
			start = end
		}
	}
	slices.SortFunc(c.losses, func(a, b loss) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(b.kind(), a.kind()), cmp.Compare(a.against, b.against))
	})
}

func (l loss) kind() int {
	if l.user {
		return 1
	}
	return 0
}

func compareClaims(a, b claim) int {
	return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low), cmp.Compare(a.line(), b.line()))
}

func same(a, b claim) bool { return a.high == b.high && a.low == b.low }

// settleGroup decides among the claims of one value, in the order of their lines.
func (c *claims) settleGroup(group []claim) {
	first, last := group[0].line(), group[len(group)-1].line()
	if first == last {
		return
	}
	winner := slices.IndexFunc(group, func(c claim) bool { return c.rank() != unproven })
	for _, claimant := range group {
		lost := loss{claimant.line(), first, claimant.rank() == user}
		switch {
		case winner >= 0 && group[winner].line() == claimant.line():
			continue
		case winner >= 0:
			lost.against = group[winner].line()
		case claimant.line() == first:
			lost.against = last
		}
		c.losses = append(c.losses, lost)
	}
}

// lost tells whether the line lost one of its claims, and what: a user id before an
// identifier.
func (c *claims) lost(line int) (what loss, lost bool) {
	i, found := slices.BinarySearchFunc(c.losses, uint32(line), func(l loss, line uint32) int { //nolint:gosec // bounded in add
		return cmp.Compare(l.line, line)
	})
	if !found {
		return loss{}, false
	}
	return c.losses[i], true
}

// lines are those that claim the value, once settled.
func (c *claims) lines(value string, rank uint32) []int {
	bucket, high, low := digest(value, rank)
	all := c.buckets[bucket]
	i, _ := slices.BinarySearchFunc(all, claim{high: high, low: low}, compareClaims)
	var lines []int
	for ; i < len(all) && all[i].high == high && all[i].low == low; i++ {
		if line := int(all[i].line()); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}
