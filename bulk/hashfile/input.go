package hashfile

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"ferry/bulk/inputfile"
	"ferry/bulk/tempfile"
)

var (
	errEncrypted = inputfile.NewFault("the file is not text", "Auth0 delivers it encrypted: decrypt it with gpg first")
	errCut       = inputfile.NewFault("the array or an object is not closed", "copy the whole file again")
	errSyntax    = inputfile.NewFault("the array or an object is not JSON", "decrypt and copy the file again")
)

// located adds the entry to an error that ends the reading.
func (x *Index) located(err error, number int) error {
	if x.values {
		return inputfile.At(err, "entry", number)
	}
	return inputfile.At(err, "line", number)
}

// input is a file during its first reading.
type input struct {
	file     *os.File // the file that entries are read from again
	original *os.File // differs from file if that is a copy
	size     int64    // of the original; -1: unknown
	zip      *inputfile.Zip
	dir      string // for a copy
}

func openInput(name, dir string) (*input, error) {
	original, err := os.Open(name) //nolint:gosec // G304: the file that the operator names
	if err != nil {
		return nil, err
	}
	in := &input{file: original, original: original, size: -1, dir: dir}
	packed, err := in.inspect()
	if err == nil && (packed || in.size < 0) {
		in.file, err = tempfile.New(dir)
	}
	if err != nil {
		return nil, errors.Join(err, original.Close())
	}
	return in, nil
}

// inspect finds the size of a regular file, and reports whether it is gzipped or a zip archive.
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
	if in.zip, err = inputfile.OpenZip(in.original, in.size); err != nil {
		return false, err
	}
	if in.zip != nil {
		in.size = in.zip.Size
		return true, nil
	}
	start := make([]byte, len(inputfile.GzipMagic))
	n, err := in.original.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return string(start[:n]) == inputfile.GzipMagic, nil
}

func (in *input) closeOriginal() error {
	if in.original == in.file {
		return nil
	}
	return in.original.Close()
}

// reader reads the decompressed file, CSV as NDJSON, until ctx ends, copies it if it needs a
// copy, and hashes the original.
func (in *input) reader(ctx context.Context, sum io.Writer) (io.Reader, error) {
	var read int64
	var packed io.Reader = in.original
	if in.zip != nil {
		packed = io.NewSectionReader(in.original, in.zip.Offset, in.zip.Size)
	}
	raw := bufio.NewReaderSize(inputfile.ReaderFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := packed.Read(p)
		_, _ = sum.Write(p[:n]) // a hash returns no errors
		if read += int64(n); errors.Is(err, io.EOF) && read < in.size {
			err = inputfile.ErrShrunk
		}
		return n, err
	}), inputfile.BufferSize)
	if in.zip != nil {
		raw = bufio.NewReaderSize(in.zip.Unpack(raw), inputfile.BufferSize)
	}
	text, err := unpacked(raw)
	if err != nil {
		return nil, err
	}
	plain := bufio.NewReaderSize(text, inputfile.BufferSize)
	converted, err := newTable(plain)
	if err != nil {
		return nil, err
	}
	if converted != nil && in.original == in.file {
		if in.file, err = tempfile.New(in.dir); err != nil {
			in.file = in.original
			return nil, err
		}
	}
	switch {
	case converted != nil:
		return io.TeeReader(converted, in.file), nil
	case in.original == in.file:
		return plain, nil
	}
	return io.TeeReader(plain, in.file), nil
}

// unpacked decompresses a gzip file, and leaves every other file as it is.
func unpacked(raw *bufio.Reader) (io.Reader, error) {
	if start, _ := raw.Peek(len(inputfile.GzipMagic)); string(start) != inputfile.GzipMagic { // the next read repeats an error
		return raw, nil
	}
	return inputfile.Gunzip(raw)
}
