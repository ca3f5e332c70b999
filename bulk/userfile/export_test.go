package userfile

import (
	"bytes"
	"context"
	"io/fs"
	"os"
)

// OpenBytes opens a file that is in memory.
func OpenBytes(ctx context.Context, data []byte) (*Source, error) {
	return newSource(ctx, bytes.NewReader(data), int64(len(data)), func() error { return nil }, nil)
}

// Limit sets the longest row, and what is held of one.
func (s *Source) Limit(row, held int) { s.row, s.held = row, held }

// Mode is that of the file that is read.
func (s *Source) Mode() (fs.FileMode, error) {
	info, err := s.raw.(*os.File).Stat()
	if err != nil {
		return 0, err
	}
	return info.Mode(), nil
}
