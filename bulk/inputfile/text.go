package inputfile

import (
	"bufio"
	"bytes"
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
		decoded := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Reader(in)
		return bufio.NewReaderSize(&intact{in: decoded}, BufferSize), true, nil
	}
	return in, false, nil
}

// intact reads decoded text, and fails where the decoder replaced what is no character.
type intact struct {
	in   io.Reader
	last []byte // the last bytes, which may begin a replacement
}

// replacement is the character U+FFFD.
const replacement = "\ufffd"

// Read implements io.Reader.
func (r *intact) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.last = append(r.last, p[:n]...)
	if bytes.Contains(r.last, []byte(replacement)) {
		return 0, errUTF16
	}
	keep := min(len(r.last), len(replacement)-1)
	r.last = append(r.last[:0], r.last[len(r.last)-keep:]...)
	return n, err
}
