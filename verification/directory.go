package verification

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"ferry/bulk/tempfile"
)

// Directory is a Store with one JSON file for each name. Several processes may use it: a file
// is replaced whole. Its files have the mode 0600.
type Directory string

const (
	dirMode   = 0o700
	extension = ".json"
)

// PutNote replaces the file. It creates the directory if it is missing.
func (d Directory) PutNote(_ context.Context, name string, text []byte) error {
	if err := os.MkdirAll(string(d), dirMode); err != nil {
		return err
	}
	return tempfile.Replace(d.file(name), func(to *os.File) error {
		_, err := to.Write(append(text, '\n'))
		return err
	})
}

// Note returns the content of the file, or nil if there is none.
func (d Directory) Note(_ context.Context, name string) ([]byte, error) {
	text, err := os.ReadFile(d.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (d Directory) file(name string) string { return filepath.Join(string(d), name+extension) }
