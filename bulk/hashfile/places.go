package hashfile

import (
	"errors"
	"iter"
	"sort"
)

// place is the offset of a line and the mark of its user: 48 bits of each, in three words
// that need no padding.
//
// It is not a map, because docs/import.md promises 12 MiB for a million hashes, and a map
// from marks to offsets takes 36 MiB. Two users with the same mark cost one more read, not
// a wrong hash: Find compares the user id.
type place [3]uint32

const (
	placeBits = 48
	// chunkSize is how many places are allocated together. A list of chunks grows without
	// a copy, which would need its size again.
	chunkSize = 1 << chunkBits
	chunkBits = 13
)

var errTooBig = errors.New("the file is larger than 256 TiB")

func newPlace(mark uint64, offset int64) place {
	return place{uint32(mark >> 32), uint32(mark>>16&0xffff)<<16 | uint32(offset>>32), uint32(offset)} //nolint:gosec // truncated on purpose; add bounds the offset
}

// mark returns the stored part of the mark.
func (p place) mark() uint64 { return uint64(p[0])<<16 | uint64(p[1]>>16) }

func (p place) offset() int64 { return int64(p[1]&0xffff)<<32 | int64(p[2]) }

// held returns the part of a mark that a place stores.
func held(mark uint64) uint64 { return mark >> (64 - placeBits) }

// sameMark reports whether the stored parts of two marks are equal.
func sameMark(a, b uint64) bool { return held(a) == held(b) }

// places are the places of all lines, sorted after the last one was added.
type places struct {
	chunks [][]place
	n      int
}

func (p *places) add(mark uint64, offset int64) error {
	if offset >= 1<<placeBits {
		return errTooBig
	}
	if p.n%chunkSize == 0 {
		p.chunks = append(p.chunks, make([]place, 0, chunkSize))
	}
	last := &p.chunks[len(p.chunks)-1]
	*last = append(*last, newPlace(mark, offset))
	p.n++
	return nil
}

func (p *places) at(i int) *place { return &p.chunks[i>>chunkBits][i&(chunkSize-1)] }

func (p *places) sort() { sort.Sort(p) }

// Len implements sort.Interface.
func (p *places) Len() int { return p.n }

// Less implements sort.Interface: by mark, then by offset.
func (p *places) Less(i, j int) bool {
	a, b := p.at(i), p.at(j)
	if a[0] != b[0] {
		return a[0] < b[0]
	}
	if a[1] != b[1] {
		return a[1] < b[1]
	}
	return a[2] < b[2]
}

// Swap implements sort.Interface.
func (p *places) Swap(i, j int) {
	a, b := p.at(i), p.at(j)
	*a, *b = *b, *a
}

// of returns the offsets of the lines with a mark, in the order of the file.
func (p *places) of(mark uint64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		want := held(mark)
		i := sort.Search(p.n, func(i int) bool { return p.at(i).mark() >= want })
		for ; i < p.n && p.at(i).mark() == want; i++ {
			if !yield(p.at(i).offset()) {
				return
			}
		}
	}
}
