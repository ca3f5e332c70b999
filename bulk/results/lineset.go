package results

import (
	"math/bits"
	"slices"
)

// MaxLine is the last line that a users file may have.
const MaxLine = 1<<30 - 1

// LineSet is a set of lines of a users file, a bit each.
type LineSet []uint64

// Add adds a line.
func (s *LineSet) Add(line int) {
	for line/64 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[line/64] |= 1 << (line % 64)
}

// Remove removes a line.
func (s *LineSet) Remove(line int) {
	if line/64 < len(*s) {
		(*s)[line/64] &^= 1 << (line % 64)
	}
}

// Without returns the lines of s that are not in other.
func (s LineSet) Without(other LineSet) LineSet {
	rest := slices.Clone(s)
	for i := range min(len(s), len(other)) {
		rest[i] &^= other[i]
	}
	return rest
}

// Count returns the number of lines.
func (s LineSet) Count() int { return s.Shared(s) }

// First returns the first n lines, or all of them.
func (s LineSet) First(n int) (lines []int) {
	for line := 0; line < len(s)*64 && len(lines) < n; line++ {
		if s.Has(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Has reports whether the line is in the set.
func (s LineSet) Has(line int) bool {
	return line/64 < len(s) && s[line/64]&(1<<(line%64)) != 0
}

// Shared returns the number of lines that are in both sets.
func (s LineSet) Shared(other LineSet) (n int) {
	for i := range min(len(s), len(other)) {
		n += bits.OnesCount64(s[i] & other[i])
	}
	return n
}
