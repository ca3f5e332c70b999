package results

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLineBytes is more than a result can have: a user id is at most as long as its row,
// and JSON escapes can make it six times as long.
const maxLineBytes = 64 << 20

// File is a results file, one JSON object per line, that runs append to. It is locked
// until Close.
//
// A line is written with a single Write that ends in a newline, and only after what it
// reports was done. So after a crash at any point:
//   - before the Write: the line is missing, and the next run finds the work done.
//   - during the Write: the line has no newline; Load cuts it off, which is the same case.
//   - after the Write: the next run skips the work.
//
// A line is never there for work that was not done, unless the disk loses what Kratos kept.
type File struct{ *os.File }

// Open opens or creates a results file and locks it.
func Open(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // G304: the file that the operator names
	if err != nil {
		return nil, fmt.Errorf("open results: %w", err)
	}
	locked, err := lock(file)
	switch {
	case err != nil:
		err = fmt.Errorf("lock results: %w", err)
	case !locked:
		err = fmt.Errorf("open results: another run writes %s; wait for it to end, or name another file", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &File{file}, nil
}

// Load calls take with each line that earlier runs wrote, cuts off an incomplete last
// line, and lets the next Write append.
func (f *File) Load(take func(line []byte) error) error {
	complete, err := Lines(f.File, take)
	if err == nil {
		err = f.Truncate(complete)
	}
	if err == nil {
		_, err = f.Seek(complete, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("resume from results %s: %w", f.Name(), err)
	}
	return nil
}

// Lines calls take with each complete line, and returns the size of all of them. A line
// without a newline at the end is incomplete.
func Lines(from io.Reader, take func(line []byte) error) (complete int64, err error) {
	in := bufio.NewReaderSize(from, 1<<16)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return complete, nil
		}
		if err == nil {
			err = take(line)
		}
		if err != nil {
			return 0, err
		}
		complete += int64(len(line))
	}
}

// readLine reads up to the end of a line. It returns io.EOF at an incomplete line.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxLineBytes {
			return line, err
		}
	}
}

// Close writes everything to disk and ends the lock.
func (f *File) Close() error { return errors.Join(f.Sync(), f.File.Close()) }
