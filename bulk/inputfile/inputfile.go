// Package inputfile has what the readers of users files and of hash files share: gzip,
// long lines, and errors that say where a file is damaged and what to do. Its errors quote
// nothing of a file. It does not look at what a line says.
package inputfile

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
)

// The first bytes of a file.
const (
	GzipMagic = "\x1f\x8b"
	BOM       = "\ufeff" // UTF-8 byte order mark
)

// Blanks are the blank characters of JSON.
const Blanks = " \t\r\n"

// BufferSize is a size for buffered readers of such files, in bytes.
const BufferSize = 64 << 10

// Fault is why the rest of a file cannot be read, and what to do about it.
type Fault struct{ What, Advice string }

// NewFault returns a Fault as an error.
func NewFault(what, advice string) error { return &Fault{what, advice} }

// Error implements error.
func (f *Fault) Error() string { return f.What + ": " + f.Advice }

// ErrShrunk reports a file that became shorter while it was read.
var ErrShrunk = &Fault{"the file became shorter while it was read", "import a copy that no program writes to"}

var (
	errShort    = &Fault{"the gzip file ends too early", "copy the whole file again"}
	errDamaged  = &Fault{"the gzip file is damaged", "copy it again, and check it with gzip -t"}
	errTrailing = &Fault{"the gzip file has other data after its end", "copy it again, and check it with gzip -t"}
)

// At adds to an error that ended the reading at which entry it did: its kind, such as row,
// and its number. An error of a context is returned as it is.
func At(err error, kind string, number int) error {
	var f *Fault
	switch {
	case errors.As(err, &f):
		return &Fault{fmt.Sprintf("%s at %s %d", f.What, kind, number), f.Advice}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%s %d: %w", kind, number, err)
}

// ReaderFunc is a function that implements io.Reader.
type ReaderFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f ReaderFunc) Read(p []byte) (int, error) { return f(p) }

// Gunzip decompresses all members of a gzip file. Damage is reported as a Fault.
func Gunzip(in *bufio.Reader) (io.Reader, error) {
	decompressed, err := gzip.NewReader(in)
	if err != nil {
		return nil, gzipFault(err)
	}
	return ReaderFunc(func(p []byte) (int, error) {
		n, err := decompressed.Read(p)
		return n, gzipFault(err)
	}), nil
}

func gzipFault(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errShort
	case errors.Is(err, gzip.ErrHeader):
		return errTrailing
	case errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return errDamaged
	}
	return err
}
