// Package boltfile opens files of bbolt. Such a file is mapped into memory and trusted, so a
// damaged one can make any call panic, or touch a page that does not exist: here both are
// errors.
package boltfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long Open waits for another process to close the file.
const lockWait = time.Second

// File is an open file. It is safe for concurrent use. After an error that is not one of the
// function passed in, the file may be damaged.
type File struct{ db *bbolt.DB }

// Open opens the file, or creates it and its directory. maxBytes limits its size; 0 sets no
// limit. It fails if another process has the file open.
func Open(path string, maxBytes int) (f *File, err error) {
	err = guarded(func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, MaxSize: maxBytes, PreLoadFreelist: true})
		if errors.Is(err, bolterrors.ErrTimeout) {
			return errors.New("another process has it open")
		}
		f = &File{db}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Update makes a change. When it returns without an error, the change is on the disk.
func (f *File) Update(change func(*bbolt.Tx) error) error {
	return guarded(func() error { return f.db.Update(change) })
}

// View reads.
func (f *File) View(read func(*bbolt.Tx) error) error {
	return guarded(func() error { return f.db.View(read) })
}

// Close closes the file.
func (f *File) Close() error { return guarded(f.db.Close) }

// guarded returns what bbolt panics with as an error, and the access to a page that a damaged
// file does not have.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the file is damaged: %v", fault)
		}
	}()
	return do()
}
