// Package tempfile creates temporary files that leave nothing behind, and replaces files
// atomically. It does not write to the files that it creates.
package tempfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// New creates a temporary file in dir, or in the system's directory if dir is empty, and
// removes its name. Only this process can read it, and nothing remains of it when the
// program ends, however it ends.
func New(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "ferry-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("create a temporary file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("create a temporary file: %w", err), file.Close())
	}
	return file, nil
}

// Replace writes the file at path through write. The content goes to another file first,
// which is renamed once it is complete and on disk, so path never has part of it. The
// mode of the new file is 0600, unless write changes it.
func Replace(path string, write func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(file), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(file.Name()))
	}
	return err
}
