package userfile

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
	errShort    = &fault{"the gzip file ends too early", "it was not copied whole"}
	errDamaged  = &fault{"the gzip file is damaged", "copy it again, and check it with gzip -t"}
	errTrailing = &fault{"the gzip file has other data after its end", "copy it again, and check it with gzip -t"}
	errShrunk   = &fault{"the file became shorter while it was read", "import a copy that nobody writes to"}
	errHeld     = &fault{"the row is longer than 64 MiB", "a quote or a bracket is probably not closed there"}
)

// errTooLong is one row's fault.
var errTooLong = errors.New("the row is longer than 8 MiB")

// located names the row of an error that ends a pass.
func located(err error, row int) error {
	var f *fault
	switch {
	case errors.As(err, &f):
		return fmt.Errorf("read users file: %w", &fault{fmt.Sprintf("%s at row %d", f.what, row), f.advice})
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("read users file: %w", err)
	default:
		return fmt.Errorf("read users file: row %d: %w", row, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// gunzip unpacks one member after the other. Its errors are faults.
func gunzip(in *bufio.Reader) (io.Reader, error) {
	unpacked, err := gzip.NewReader(in)
	if err != nil {
		return nil, gzipFault(err)
	}
	return readerFunc(func(p []byte) (int, error) {
		n, err := unpacked.Read(p)
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
	default:
		return err
	}
}

// openFile gives a file that can be read at any place, and its size.
func openFile(ctx context.Context, name string, stdin io.Reader, dir string) (*os.File, int64, error) {
	if name == "-" {
		return copyToUnlinkedFile(ctx, stdin, dir)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, 0, errors.Join(err, file.Close())
	case info.IsDir():
		return nil, 0, errors.Join(errors.New("it is a directory"), file.Close())
	case info.Mode().IsRegular():
		return file, info.Size(), nil
	}
	defer file.Close() //nolint:errcheck // a pipe or a device that was only read
	return copyToUnlinkedFile(ctx, file, dir)
}

// copyToUnlinkedFile copies a stream to a file that has no name. The copy runs beside, because a
// terminal that says nothing cannot be interrupted; closing the file ends it.
func copyToUnlinkedFile(ctx context.Context, in io.Reader, dir string) (*os.File, int64, error) {
	file, err := unnamed(dir)
	if err != nil {
		return nil, 0, err
	}
	type result struct {
		size int64
		err  error
	}
	done := make(chan result, 1)
	go func() {
		size, err := io.Copy(file, readerFunc(func(p []byte) (int, error) {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			return in.Read(p)
		}))
		done <- result{size, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, 0, errors.Join(fmt.Errorf("copy it to a temporary file: %w", r.err), file.Close())
		}
		return file, r.size, nil
	case <-ctx.Done():
		return nil, 0, errors.Join(ctx.Err(), file.Close())
	}
}

// unnamed makes a file that only its owner may read and that is gone once closed.
func unnamed(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "ferry-users-*") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
