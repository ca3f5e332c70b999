package hashfile

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"ferry/bulk/filetype"
	"ferry/bulk/inputfile"
	"ferry/bulk/jsonstream"
)

// newEntries detects the format from the first bytes, and skips a UTF-8 byte order mark.
func (x *Index) newEntries(unbuffered io.Reader) (entries, error) {
	in := bufio.NewReaderSize(unbuffered, inputfile.BufferSize)
	text, err := in.Peek(inputfile.BufferSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	what, advice, foreign := filetype.Foreign(text)
	rest, marked := strings.CutPrefix(string(text), inputfile.BOM)
	switch {
	case strings.HasPrefix(rest, pgpArmour):
		return nil, errEncrypted
	case foreign:
		return nil, inputfile.NewFault("the file is "+what, advice)
	case !marked && len(text) > 0 && text[0] >= 0x80: // JSON does not begin with such a byte
		return nil, errEncrypted
	}
	base := int64(len(text) - len(rest))
	if _, err := in.Discard(int(base)); err != nil {
		return nil, err
	}
	shape, err := jsonstream.Sniff(strings.NewReader(rest))
	if err != nil {
		return nil, err
	}
	if shape == jsonstream.Array || shape == jsonstream.Objects {
		x.values = true
		return &values{in: jsonstream.NewReader(in, shape, mostHeld), base: base, end: base}, nil
	}
	return lines{inputfile.NewLines(in, base, maxLine)}, nil
}

const (
	pgpArmour = "-----BEGIN PGP"
	// mostHeld is the maximum size of an object that is too long and is skipped.
	mostHeld = 16 * maxLine
)

// values reads entries that are JSON objects over any number of lines.
type values struct {
	in         *jsonstream.Reader
	base       int64 // where the JSON begins
	start, end int64
}

func (v *values) place() (start, end int64) { return v.start, v.end }

func (v *values) next() ([]byte, error) {
	text, err := v.in.Next()
	v.end = v.base + v.in.Offset()
	v.start = v.end - int64(len(text))
	switch {
	case err != nil:
		return nil, valueFault(err)
	case len(text) > maxLine:
		return nil, inputfile.ErrTooLong
	}
	return text, nil
}

// valueFault returns an error about the file.
func valueFault(err error) error {
	switch {
	case errors.Is(err, jsonstream.ErrCut):
		return errCut
	case errors.Is(err, jsonstream.ErrSyntax), errors.Is(err, jsonstream.ErrTail), errors.Is(err, jsonstream.ErrHeld):
		return errSyntax
	}
	return err
}

// valueAt reads the object that begins at an offset of a file of the given size.
func valueAt(file io.ReaderAt, offset, size int64) ([]byte, error) {
	in := io.NewSectionReader(file, offset, size-offset)
	text, err := jsonstream.NewReader(in, jsonstream.Objects, mostHeld).Next()
	var f *inputfile.Fault
	if errors.Is(err, io.EOF) || errors.As(valueFault(err), &f) {
		return nil, errChanged
	}
	return text, err
}
