package hashfile

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// fault is why a file cannot be read any further: what is wrong, and what to do.
type fault struct{ what, advice string }

func (f *fault) Error() string { return f.what + ": " + f.advice }

var (
	errShort     = &fault{"the gzip file ends too early", "it was not copied whole"}
	errDamaged   = &fault{"the gzip file is damaged", "copy it again, and check it with gzip -t"}
	errTrailing  = &fault{"the gzip file has other data after its end", "copy it again, and check it with gzip -t"}
	errShrunk    = &fault{"the file became shorter while it was read", "import a copy that nobody writes to"}
	errEncrypted = &fault{"the file is not text", "Auth0 delivers it encrypted: decrypt it with gpg first"}
	errCut       = &fault{"the array or an object is not closed", "the file was not copied whole"}
	errSyntax    = &fault{"the array or an object is not JSON", "decrypt and copy the file again"}
)

// errTooLong is one entry's fault.
var errTooLong = errors.New("the entry is longer than 1 MiB")

// located names the entry of an error that ends the reading.
func (x *Index) located(err error, number int) error {
	entry := "line"
	if x.values {
		entry = "entry"
	}
	var f *fault
	switch {
	case errors.As(err, &f):
		return &fault{fmt.Sprintf("%s at %s %d", f.what, entry, number), f.advice}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		return fmt.Errorf("%s %d: %w", entry, number, err)
	}
}

// input is a file that is read for the first time.
type input struct {
	file     *os.File // what lines are read from again
	original *os.File // another one where it is copied
	size     int64    // of the original; -1: not known
}

func openInput(name, dir string) (*input, error) {
	original, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	in := &input{file: original, original: original, size: -1}
	packed, err := in.inspect()
	if err == nil && (packed || in.size < 0) {
		in.file, err = unnamed(dir)
	}
	if err != nil {
		return nil, errors.Join(err, original.Close())
	}
	return in, nil
}

// inspect reports whether a file that can be read twice is gzipped.
func (in *input) inspect() (packed bool, err error) {
	info, err := in.original.Stat()
	switch {
	case err != nil:
		return false, err
	case info.IsDir():
		return false, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return false, nil
	}
	in.size = info.Size()
	start := make([]byte, len(gzipMagic))
	n, err := in.original.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return string(start[:n]) == gzipMagic, nil
}

func (in *input) closeOriginal() error {
	if in.original == in.file {
		return nil
	}
	return in.original.Close()
}

// What a file begins with.
const (
	gzipMagic = "\x1f\x8b"
	bom       = "\ufeff"
)

// reader gives the lines, until ctx ends, copies them where they are kept elsewhere,
// and digests the original.
func (in *input) reader(ctx context.Context, sum io.Writer) io.Reader {
	var read int64
	raw := bufio.NewReaderSize(readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := in.original.Read(p)
		_, _ = sum.Write(p[:n]) // a hash takes everything
		if read += int64(n); errors.Is(err, io.EOF) && read < in.size {
			err = errShrunk
		}
		return n, err
	}), bufferSize)
	if in.original == in.file {
		return raw
	}
	return io.TeeReader(unpacked(raw), in.file)
}

// unpacked unpacks what is gzipped, one member after the other. Its errors are faults.
func unpacked(raw *bufio.Reader) io.Reader {
	if start, _ := raw.Peek(len(gzipMagic)); string(start) != gzipMagic { // an error comes again where it is read
		return raw
	}
	var from *gzip.Reader
	return readerFunc(func(p []byte) (n int, err error) {
		if from == nil {
			if from, err = gzip.NewReader(raw); err != nil {
				from = nil
				return 0, gzipFault(err)
			}
		}
		n, err = from.Read(p)
		return n, gzipFault(err)
	})
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
	default:
		return err
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// unnamed makes a file that only its owner may read and that is gone once closed.
func unnamed(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "ferry-hashes-*") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
