package results

import "math/bits"

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
