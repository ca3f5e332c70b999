package history

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"ferry/boltfile"
)

// FileName is the name of the file in the data directory.
const FileName = "history.db"

// maxFileBytes is far above what the values of KeepHourly and KeepDaily need.
const maxFileBytes = 64 << 20

// bucketName is the bucket of all values.
func bucketName() []byte { return []byte("history 1") }

// file is the history's file. After an error nothing is done with it.
type file struct{ db *boltfile.File }

// openFile opens the file, or creates it, and reads all of it.
func openFile(path string) (f *file, kept values, err error) {
	kept = newValues()
	opened, err := boltfile.Open(path, maxFileBytes)
	if err != nil {
		return nil, newValues(), fmt.Errorf("open the history: %w", err)
	}
	err = opened.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(bucketName())
		if err != nil {
			return err
		}
		return bucket.ForEach(func(key, value []byte) error { return kept.set(string(key), value) })
	})
	if err != nil {
		return nil, newValues(), fmt.Errorf("open the history: %w", errors.Join(err, opened.Close()))
	}
	return &file{opened}, kept, nil
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

func (f *file) close() error { return f.db.Close() }
