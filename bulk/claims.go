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
// User ids are settled first. A row that repeats a user does not compete for
// identifiers: it is the same person, and not another one who claims them.
//
// Whoever else does not get one of the things he claims gets nothing at all, and yet
// his other claims stand: they may be the reason why somebody else gets nothing.
func (c *claims) settle() {
	for i := range c.buckets {
		slices.SortFunc(c.buckets[i], compareClaims)
	}
	c.eachGroup(func(group []claim) {
		if group[0].rank() == user {
			c.settleGroup(group)
		}
	})
	c.sortLosses()
	repeated := len(c.losses)
	c.eachGroup(func(group []claim) {
		if group[0].rank() != user {
			c.settleGroup(c.competing(group, c.losses[:repeated]))
		}
	})
	c.sortLosses()
}

// eachGroup calls do with the claims of each value that several claims are for.
func (c *claims) eachGroup(do func(group []claim)) {
	for i := range c.buckets {
		bucket := c.buckets[i]
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

// competing are the claims of a group without those of rows that repeat a user, which
// are among the losses.
func (c *claims) competing(group []claim, repeated []loss) []claim {
	if len(repeated) == 0 {
		return group
	}
	return slices.DeleteFunc(slices.Clone(group), func(c claim) bool {
		_, found := slices.BinarySearchFunc(repeated, c.line(), compareLine)
		return found
	})
}

func (c *claims) sortLosses() {
	slices.SortFunc(c.losses, func(a, b loss) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.against, b.against))
	})
}

func compareLine(l loss, line uint32) int { return cmp.Compare(l.line, line) }

func compareClaims(a, b claim) int {
	return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low), cmp.Compare(a.line(), b.line()))
}

func same(a, b claim) bool { return a.high == b.high && a.low == b.low }

// settleGroup decides among the claims of one value, in the order of their lines.
func (c *claims) settleGroup(group []claim) {
	if len(group) == 0 {
		return
	}
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

// lost tells whether the line lost one of its claims, and what: a user id, or else an
// identifier.
func (c *claims) lost(line int) (what loss, lost bool) {
	i, found := slices.BinarySearchFunc(c.losses, uint32(line), compareLine) //nolint:gosec // bounded in add
	if !found {
		return loss{}, false
	}
	return c.losses[i], true
}

// lines are those that claim the value, once settled.
func (c *claims) lines(value string, rank uint32) []int {
	return c.linesOf(digest(value, rank))
}

// linesOf are those with a claim of this digest.
func (c *claims) linesOf(bucket byte, high, low uint32) []int {
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
