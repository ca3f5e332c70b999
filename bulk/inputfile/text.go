package inputfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"golang.org/x/text/encoding/unicode"
)

// The byte order marks of UTF-16, and of UTF-32, which begins like one of them.
const (
	bigEndianMark    = "\xfe\xff"
	littleEndianMark = "\xff\xfe"
	utf32Mark        = "\xff\xfe\x00\x00"
)

var (
	errUTF16 = &Fault{"the file is damaged UTF-16", "copy the whole file again, or save it as UTF-8"}
	errUTF32 = &Fault{"the file is UTF-32", "save it as UTF-8"}
)

// Text returns the text of a file: decompressed if it is gzip, as UTF-8 if it is UTF-16,
// and without its byte order mark. marked reports whether there was one. Read errors and
// damage appear when the text is read.
func Text(in *bufio.Reader) (text *bufio.Reader, marked bool, err error) {
	if start, _ := in.Peek(len(GzipMagic)); string(start) == GzipMagic { // the next read repeats an error
		unpacked, err := Gunzip(in)
		if err != nil {
			return nil, false, err
		}
		in = bufio.NewReaderSize(unpacked, BufferSize)
	}
	start, _ := in.Peek(len(utf32Mark))
	switch {
	case bytes.HasPrefix(start, []byte(BOM)):
		_, err := in.Discard(len(BOM))
		return in, true, err
	case string(start) == utf32Mark:
		return nil, false, errUTF32
	case bytes.HasPrefix(start, []byte(bigEndianMark)), bytes.HasPrefix(start, []byte(littleEndianMark)):
		checked := &utf16{in: in, little: start[0] == littleEndianMark[0]}
		decoded := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Reader(checked)
		return bufio.NewReaderSize(decoded, BufferSize), true, nil
	}
	return in, false, nil
}

// utf16 reads UTF-16, and fails where a decoder would replace what is not a character: at half a
// unit, or at half a pair of surrogates.
type utf16 struct {
	in     io.Reader
	little bool
	half   []byte // of a unit
	high   bool   // the last unit is the first of a pair
}

// The ranges of surrogates: the first and the second of a pair.
const (
	firstSurrogate  = 0xd8
	secondSurrogate = 0xdc
	afterSurrogates = 0xe0
)

// Read implements io.Reader.
func (r *utf16) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	for _, b := range p[:n] {
		if r.half = append(r.half, b); len(r.half) < 2 {
			continue
		}
		top := r.half[0]
		if r.little {
			top = r.half[1]
		}
		r.half = r.half[:0]
		second := top >= secondSurrogate && top < afterSurrogates
		if second != r.high {
			return 0, errUTF16
		}
		r.high = top >= firstSurrogate && top < secondSurrogate
	}
	if errors.Is(err, io.EOF) && (len(r.half) > 0 || r.high) {
		return 0, errUTF16
	}
	return n, err
}
