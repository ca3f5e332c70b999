package userfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"ferry/bulk/inputfile"
	"ferry/bulk/tempfile"
)

var errHeld = inputfile.NewFault("the row is longer than 64 MiB", "a quote or a bracket is probably not closed there")

// errTooLong is the error of one row.
var errTooLong = errors.New("the row is longer than 8 MiB")

// located adds the row to an error that ends a pass.
func located(err error, row int) error {
	return fmt.Errorf("read users file: %w", inputfile.At(err, "row", row))
}

// openFile opens a file that can be read at any offset, and returns its size.
func openFile(ctx context.Context, name string, stdin io.Reader, dir string) (*os.File, int64, error) {
	if name == "-" {
		return copyToUnlinkedFile(ctx, stdin, dir)
	}
	file, err := os.Open(name) //nolint:gosec // G304: the file that the operator names
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
	defer file.Close() //nolint:errcheck // a pipe or device, read only
	return copyToUnlinkedFile(ctx, file, dir)
}

// copyToUnlinkedFile copies a stream to an unnamed file. It copies in a goroutine, because
// a read of a terminal cannot be interrupted; closing the file ends the goroutine.
func copyToUnlinkedFile(ctx context.Context, in io.Reader, dir string) (*os.File, int64, error) {
	file, err := tempfile.New(dir)
	if err != nil {
		return nil, 0, err
	}
	type result struct {
		size int64
		err  error
	}
	done := make(chan result, 1)
	go func() {
		size, err := io.Copy(file, inputfile.ReaderFunc(func(p []byte) (int, error) {
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
