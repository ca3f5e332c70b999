// Package hashfile finds the password hash of one user in the export that Auth0's
// support hands out: NDJSON in Mongo's extended form, or the same objects in a JSON array
// or over several lines each, plain or gzipped. The hashes stay in the file; what is held
// of an entry is where it begins, and a mark of whose it is. An entry is a line of
// NDJSON, or an object of the other formats.
//
// A hash is found by the user's id and by nothing else: an e-mail address in the file
// is never looked at. No error holds a value of a line.
package hashfile

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/blake2b"

	"ferry/bulk/inputfile"
	"ferry/secret"
)

// Hash is one user's entry.
type Hash struct {
	// Subject is the user id, such as auth0|5dea9f9c82dd7c0e76e4ec93.
	Subject string
	// Hash is passwordHash as it stands.
	Hash secret.String
	// SetAt is when the password was chosen; zero: not told.
	SetAt              time.Time
	Tenant, Connection string
	// Twice is true where the file has several entries for the user and none of them is
	// newer than all others: this is the first of the newest, and which one holds is
	// not known.
	Twice bool
}

const (
	// maxLine is many times what an entry has, in bytes.
	maxLine = 1 << 20
	// maxTenants is how many tenants are told apart: one file has one.
	maxTenants = 16
)

// Index is a hash file that is open. Its methods are safe for concurrent use.
type Index struct {
	file     io.ReaderAt
	close    func() error
	size     int64 // unpacked
	values   bool  // the entries are not lines
	marker   func(subject string) uint64
	places   places
	tenants  []string
	bad      int
	firstBad int
	digest   string
}

// Open reads the file once. One that is gzipped or cannot be read twice is copied,
// unpacked, to a file in dir (empty: where the system has such files) that has no name
// from the start and is gone once closed.
//
// An entry that is no hash is counted, see Unreadable. The error is that of a file
// that cannot be read at all or only in part, or of ctx.
func Open(ctx context.Context, name, dir string) (*Index, error) {
	seed := maphash.MakeSeed()
	x, err := open(ctx, name, dir, func(subject string) uint64 { return maphash.String(seed, subject) })
	if err != nil {
		return nil, fmt.Errorf("read hash file: %w", err)
	}
	return x, nil
}

func open(ctx context.Context, name, dir string, marker func(string) uint64) (*Index, error) {
	in, err := openInput(name, dir)
	if err != nil {
		return nil, err
	}
	x := &Index{file: in.file, close: in.file.Close, marker: marker}
	sum, err := blake2b.New256(nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read hash file: %w", err), in.file.Close())
	}
	text, err := in.reader(ctx, sum)
	if err == nil {
		err = x.readAll(text)
	} else {
		err = x.located(err, 1)
	}
	if err := errors.Join(err, in.closeOriginal()); err != nil {
		return nil, errors.Join(err, in.file.Close())
	}
	x.places.sort()
	slices.Sort(x.tenants)
	x.digest = hex.EncodeToString(sum.Sum(nil))
	return x, nil
}

// entries gives one entry after the other, and knows where the last one begins and ends.
type entries interface {
	// next gives an entry until the next call; nothing, where there is none here.
	next() ([]byte, error)
	place() (start, end int64)
}

// readAll notes where each entry is.
func (x *Index) readAll(in io.Reader) error {
	entries, err := x.newEntries(in)
	if err != nil {
		return x.located(err, 1)
	}
	for number := 1; ; number++ {
		text, err := entries.next()
		start, end := entries.place()
		switch {
		case errors.Is(err, io.EOF):
			x.size = end
			return nil
		case errors.Is(err, inputfile.ErrTooLong):
			x.refuse(number)
		case err != nil:
			return x.located(err, number)
		case len(text) > 0:
			if err := x.note(number, start, text); err != nil {
				return x.located(err, number)
			}
		}
	}
}

func (x *Index) note(number int, offset int64, text []byte) error {
	hash, err := parseLine(text)
	if err != nil {
		x.refuse(number)
		return nil
	}
	if !slices.Contains(x.tenants, hash.Tenant) && hash.Tenant != "" && len(x.tenants) < maxTenants {
		x.tenants = append(x.tenants, hash.Tenant)
	}
	return x.places.add(x.marker(hash.Subject), offset)
}

func (x *Index) refuse(number int) {
	if x.bad == 0 {
		x.firstBad = number
	}
	x.bad++
}

// Find reads the hash of a user; false: the file has none. Of several entries for him the
// newest counts, see Hash.Twice. An error means that the file is no longer what it was,
// or cannot be read.
func (x *Index) Find(subject string) (Hash, bool, error) {
	mark := x.marker(subject)
	var best Hash
	found := false
	for offset := range x.places.of(mark) {
		hash, err := x.read(offset, mark)
		if err != nil {
			return Hash{}, false, fmt.Errorf("find hash: %w", err)
		}
		if hash.Subject != subject {
			continue // another one with the same mark
		}
		switch newer := hash.SetAt.Compare(best.SetAt); {
		case !found || newer > 0:
			best = hash
		case newer == 0:
			best.Twice = true
		}
		found = true
	}
	return best, found, nil
}

// errChanged is an entry that is not the one which was there when the file was opened.
var errChanged = errors.New("the hash file changed since it was opened: import a copy that no program writes to")

// read reads the entry at an offset once more.
func (x *Index) read(offset int64, mark uint64) (Hash, error) {
	at := lineAt
	if x.values {
		at = valueAt
	}
	text, err := at(x.file, offset, x.size)
	if err != nil {
		return Hash{}, err
	}
	hash, err := parseLine(text)
	if err != nil || !sameMark(x.marker(hash.Subject), mark) {
		return Hash{}, errChanged
	}
	return hash, nil
}

// Len is how many entries can be found, several of one user among them.
func (x *Index) Len() int { return x.places.n }

// Tenants are those that the entries name, sorted; no more than 16.
func (x *Index) Tenants() []string { return slices.Clone(x.tenants) }

// Unreadable is how many entries are no hashes, and the number of the first, from 1.
// Blank lines are not among them.
func (x *Index) Unreadable() (count, first int) { return x.bad, x.firstBad }

// Digest is the BLAKE2b-256 of the file as it stands, packed or not, in hexadecimal digits.
func (x *Index) Digest() string { return x.digest }

// Close gives the file back; what was unpacked is gone with it.
func (x *Index) Close() error {
	if err := x.close(); err != nil {
		return fmt.Errorf("close hash file: %w", err)
	}
	return nil
}
