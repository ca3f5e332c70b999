package history

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// FileName is the name of the file in the data directory.
const FileName = "history.db"

const (
	// lockWait is how long Open waits for another process to close the file.
	lockWait = time.Second
	// maxFileBytes is far above what the values of KeepHourly and KeepDaily need.
	maxFileBytes = 64 << 20
)

// bucketName is the bucket of all values.
func bucketName() []byte { return []byte("history 1") }

// file is the history's file. A bbolt file is mapped into memory and trusted, so a damaged one
// can make any call panic or touch a page that does not exist: every call is guarded, and
// nothing is done with the file after that.
type file struct{ db *bbolt.DB }

// openFile opens the file, or creates it, and reads all of it.
func openFile(path string) (f *file, kept values, err error) {
	kept = newValues()
	err = guarded(func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, MaxSize: maxFileBytes, PreLoadFreelist: true})
		if errors.Is(err, bolterrors.ErrTimeout) {
			return errors.New("another process has it open")
		}
		if err != nil {
			return err
		}
		f = &file{db}
		err = db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists(bucketName())
			if err != nil {
				return err
			}
			return bucket.ForEach(func(key, value []byte) error { return kept.set(string(key), value) })
		})
		if err != nil {
			return errors.Join(err, db.Close())
		}
		return nil
	})
	if err != nil {
		return nil, newValues(), fmt.Errorf("open the history: %w", err)
	}
	return f, kept, nil
}

// writer writes values in one transaction.
type writer struct{ bucket *bbolt.Bucket }

func (w *writer) put(kind string, key int64, value any) error {
	text, err := encode(value)
	if err != nil {
		return err
	}
	return w.bucket.Put([]byte(name(kind, key)), text)
}

// write makes a change and removes what is too old, in one transaction.
func (f *file) write(now time.Time, change func(*writer) error) error {
	return guarded(func() error {
		return f.db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(bucketName())
			if bucket == nil {
				return errors.New("the bucket is missing")
			}
			if err := change(&writer{bucket}); err != nil {
				return err
			}
			return drop(bucket, now)
		})
	})
}

// drop removes what is too old.
func drop(bucket *bbolt.Bucket, now time.Time) error {
	var old [][]byte
	err := bucket.ForEach(func(key, _ []byte) error {
		if expired(string(key), now) {
			old = append(old, bytes.Clone(key))
		}
		return nil
	})
	for _, key := range old {
		err = errors.Join(err, bucket.Delete(key))
	}
	return err
}

func (f *file) close() error {
	return guarded(f.db.Close)
}

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
