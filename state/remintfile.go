package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"ferry/boltfile"
	"ferry/secret"
)

// RemintFileName is the name of the file of a RemintFile in the data directory.
const RemintFileName = "remints.db"

// sweepFileEvery is how often a RemintFile removes what has expired.
const sweepFileEvery = time.Hour

// The buckets of the file.
func bucketValues() []byte { return []byte("remints 1") }
func bucketUses() []byte   { return []byte("uses 1") }

// RemintFile keeps what package remint must not lose in a file, for one ferry: values, sealed,
// under keyed hashes. When Put returns, the value is on the disk. It is safe for concurrent use.
type RemintFile struct {
	file *boltfile.File
	keys *keys
	now  func() time.Time

	mu     sync.Mutex
	claims map[[32]byte]time.Time
	swept  time.Time
}

// OpenRemintFile opens the file, or creates it. The key has 32 bytes or more. It fails if another
// process has the file open, or it is damaged.
func OpenRemintFile(path string, key secret.String, now func() time.Time) (*RemintFile, error) {
	k, err := newKeys(key)
	if err != nil {
		return nil, err
	}
	file, err := boltfile.Open(path, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = file.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketValues(), bucketUses()} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return sweepFile(tx, now())
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, errors.Join(err, file.Close()))
	}
	return &RemintFile{file: file, keys: k, now: now, claims: map[[32]byte]time.Time{}, swept: now()}, nil
}

// sweepFile removes what has expired. The expiry is in the header of a sealed value.
func sweepFile(tx *bbolt.Tx, now time.Time) error {
	bucket := tx.Bucket(bucketValues())
	var old [][]byte
	err := bucket.ForEach(func(key, value []byte) error {
		if len(value) < headLen || binary.BigEndian.Uint64(value[1+genSize:boundLen]) <= uint64(now.UnixMilli()) {
			old = append(old, bytes.Clone(key))
		}
		return nil
	})
	for _, key := range old {
		err = errors.Join(err, bucket.Delete(key))
	}
	return err
}

// Get returns a value. ok is false if there is none, or it has expired. The error is
// ErrUnreadable for a value that cannot be decrypted.
func (r *RemintFile) Get(_ context.Context, key [32]byte) (text []byte, ok bool, err error) {
	place := r.keys.place(kindRemint, key[:])
	var value []byte
	err = r.file.View(func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket(bucketValues()).Get([]byte(place)))
		return nil
	})
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("state: read remint: %w", err)
	case value == nil:
		return nil, false, nil
	}
	return opened(r.keys, place, value, r.now())
}

// Put replaces a value, and keeps it for a time.
func (r *RemintFile) Put(_ context.Context, key [32]byte, text []byte, keep time.Duration) error {
	if keep <= 0 {
		return errTime
	}
	place, now := r.keys.place(kindRemint, key[:]), r.now()
	value := r.keys.seal(kindRemint, place, newGen(), now.Add(keep), text)
	sweep := r.sweepIsDue(now)
	return r.update("write remint", func(tx *bbolt.Tx) error {
		if sweep {
			if err := sweepFile(tx, now); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketValues()).Put([]byte(place), value)
	})
}

func (r *RemintFile) sweepIsDue(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := now.Sub(r.swept) >= sweepFileEvery
	if due {
		r.swept = now
	}
	return due
}

// Delete deletes a value.
func (r *RemintFile) Delete(_ context.Context, key [32]byte) error {
	place := r.keys.place(kindRemint, key[:])
	return r.update("delete remint", func(tx *bbolt.Tx) error { return tx.Bucket(bucketValues()).Delete([]byte(place)) })
}

// Claim is won by the first caller that claims the key within ttl. A claim ends with the process.
func (r *RemintFile) Claim(_ context.Context, key [32]byte, ttl time.Duration) (won bool, err error) {
	if ttl <= 0 {
		return false, errTime
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for claimed, ends := range r.claims {
		if !now.Before(ends) {
			delete(r.claims, claimed)
		}
	}
	if _, taken := r.claims[key]; taken {
		return false, nil
	}
	r.claims[key] = now.Add(ttl)
	return true, nil
}

// Unclaim ends a claim before its time.
func (r *RemintFile) Unclaim(_ context.Context, key [32]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.claims, key)
	return nil
}

// CountUse counts that a client came with a refresh token of Auth0.
func (r *RemintFile) CountUse(_ context.Context, clientID string, at time.Time) error {
	return r.update("count remint", func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bucketUses())
		var use useJSON
		if text := bucket.Get([]byte(clientID)); text != nil && json.Unmarshal(text, &use) != nil {
			use = useJSON{} // it begins anew
		}
		use.Count, use.Last = use.Count+1, max(use.Last, at.Unix())
		text, err := json.Marshal(use)
		if err != nil {
			return err
		}
		return bucket.Put([]byte(clientID), text)
	})
}

// Uses returns the uses of all clients, by their ids.
func (r *RemintFile) Uses(context.Context) (map[string]RemintUse, error) {
	uses := map[string]RemintUse{}
	err := r.file.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketUses()).ForEach(func(id, text []byte) error {
			var use useJSON
			if json.Unmarshal(text, &use) != nil {
				return ErrUnreadable
			}
			uses[string(id)] = use.use()
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("state: read remint counts: %w", err)
	}
	return uses, nil
}

func (r *RemintFile) update(operation string, change func(*bbolt.Tx) error) error {
	if err := r.file.Update(change); err != nil {
		return fmt.Errorf("state: %s: %w", operation, err)
	}
	return nil
}

// Close closes the file.
func (r *RemintFile) Close() error { return r.file.Close() }
