package recording

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	// maxFiles limits the total size, in files of the maximum size.
	maxFiles = 16
	// ages divides the retention time: a file is written to for one part of it, so its newest
	// records are kept up to one part shorter than its oldest.
	ages       = 28
	timeLayout = "20060102T150405Z"
)

// namePattern matches the names of recordings. They have the time of the first record.
var namePattern = regexp.MustCompile(`^ferry-(\d{8}T\d{6}Z)-[0-9a-f]{8}\.ndjson$`)

// sink is an open file.
type sink interface {
	io.WriteCloser
	Truncate(size int64) error
}

// files are the recordings in a directory, and the open one.
type files struct {
	dir      string
	maxBytes int64
	keep     time.Duration
	now      func() time.Time
	create   func(path string) (sink, error)

	open sink // nil if no file is open
	name string
	size int64
	born time.Time
}

func create(path string) (sink, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // G304: in FERRY_RECORD_DIR, by a name of its own
}

// prepare creates the directory, or checks that it may be used.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("create the directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("check the directory: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s can be written by others (mode %04o): chmod 700 it, or set another directory", dir, mode)
	}
	probe, err := os.CreateTemp(dir, ".ferry-*")
	if err != nil {
		return fmt.Errorf("write into the directory: %w", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// isFull reports whether the disk is full, or the file as large as it may be. That must not
// prevent logins, so serve starts anyway.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// sweepEvery is the interval of sweep.
func (f *files) sweepEvery() time.Duration { return min(time.Hour, f.keep/ages) }

// write appends whole lines. After an error some of them may be written, but no part of a
// line. The next write begins a new file.
func (f *files) write(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if f.open != nil && (f.size > 0 && f.size+int64(len(lines)) > f.maxBytes || f.isOld() || f.isGone()) {
		if err := f.close(); err != nil {
			return err
		}
	}
	if f.open == nil {
		if err := f.begin(); err != nil {
			return err
		}
	}
	n, err := f.open.Write(lines)
	if err != nil {
		return errors.Join(err, f.giveUp(f.size+int64(bytes.LastIndexByte(lines[:n], '\n')+1)))
	}
	f.size += int64(n)
	return nil
}

// giveUp truncates the open file after its last whole line and closes it. It removes an empty
// file, because a full disk would get another one every minute.
func (f *files) giveUp(whole int64) error {
	path := filepath.Join(f.dir, f.name)
	err := errors.Join(f.open.Truncate(whole), f.close())
	if whole == 0 {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// isOld reports whether the open file is too old, or the clock was set back.
func (f *files) isOld() bool { return f.now().Sub(f.born).Abs() >= f.keep/ages }

// isGone reports whether the open file was removed.
func (f *files) isGone() bool {
	_, err := os.Lstat(filepath.Join(f.dir, f.name))
	return errors.Is(err, fs.ErrNotExist)
}

// begin opens a new file and makes room for it.
func (f *files) begin() error {
	if err := prepare(f.dir); err != nil {
		return err
	}
	var tail [4]byte
	_, _ = rand.Read(tail[:]) // never fails: crypto/rand crashes the process instead
	now := f.now()
	name := fmt.Sprintf("ferry-%s-%x.ndjson", now.UTC().Format(timeLayout), tail)
	open, err := f.create(filepath.Join(f.dir, name))
	if err != nil {
		return fmt.Errorf("begin a file: %w", err)
	}
	f.open, f.name, f.size, f.born = open, name, 0, now
	_ = f.sweep() // the periodic sweep reports errors
	return nil
}

func (f *files) close() error {
	if f.open == nil {
		return nil
	}
	err := f.open.Close()
	f.open, f.name = nil, ""
	return err
}

// recorded is a file in the directory.
type recorded struct {
	name string
	born time.Time
	last time.Time
	size int64
}

// sweep closes the open file if it is too old, and removes the files that are too old or
// exceed the total size. It does not touch other files.
func (f *files) sweep() error {
	all, err := f.list()
	if err != nil {
		return err
	}
	var faults []error
	isCurrent := func(r recorded) bool { return r.name == f.name }
	if f.open != nil && (f.isOld() || !slices.ContainsFunc(all, isCurrent)) {
		faults = append(faults, f.close())
	}
	limit := f.now().Add(-f.keep)
	held := f.maxBytes      // reserved for the open file
	for _, r := range all { // the newest first
		if isCurrent(r) {
			continue
		}
		held += r.size
		if r.born.Before(limit) || r.last.Before(limit) || held > maxFiles*f.maxBytes {
			if err := os.Remove(filepath.Join(f.dir, r.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				faults = append(faults, err)
			}
		}
	}
	return errors.Join(faults...)
}

// list returns the recordings in the directory, newest first.
func (f *files) list() ([]recorded, error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []recorded
	for _, entry := range entries {
		found := namePattern.FindStringSubmatch(entry.Name())
		if found == nil {
			continue
		}
		born, err := time.Parse(timeLayout, found[1])
		info, statErr := entry.Info()
		if err != nil || statErr != nil || !info.Mode().IsRegular() {
			continue
		}
		all = append(all, recorded{entry.Name(), born, info.ModTime(), info.Size()})
	}
	slices.SortFunc(all, func(a, b recorded) int { return cmp.Or(b.born.Compare(a.born), b.last.Compare(a.last)) })
	return all, nil
}
