// Package hashfile finds the password hash of a user in the export that Auth0's support
// provides: NDJSON in Mongo's extended JSON, or the same objects in a JSON array or over
// several lines, or CSV; plain, gzipped, or alone in a zip archive. It holds only the offset of
// each entry, with a hash of the user id; password hashes stay in the file.
//
// It finds entries by user id only, never by e-mail address. Errors contain no values of
// the file.
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

// Hash is the entry of one user.
type Hash struct {
	// Subject is the user id, such as auth0|5dea9f9c82dd7c0e76e4ec93.
	Subject string
	// Hash is passwordHash, unchanged, and Custom custom_password_hash of Auth0's users_import
	// format, as JSON. An entry has at least one of them.
	Hash, Custom secret.String
	// SetAt is when the password was set; zero if the file does not say.
	SetAt              time.Time
	Tenant, Connection string
	// Twice reports that the file has several newest entries for the user with different
	// hashes, or one with a date that cannot be read: it is not known which one is current.
	// This is the first of the newest, or empty.
	Twice bool
}

const (
	// maxLine is the maximum size of an entry, many times the usual.
	maxLine = 1 << 20
	// maxTenants is how many tenants are recorded. A file has one.
	maxTenants = 16
)

// Index is an open hash file. Its methods are safe for concurrent use.
type Index struct {
	file    io.ReaderAt
	close   func() error
	size    int64 // decompressed
	values  bool  // the entries are not one per line
	marker  func(subject string) uint64
	places  places
	tenants []string
	bad     []Unreadable
	digest  string
}

// Open reads the file once. A file that is gzipped, CSV, or cannot be read twice is copied,
// decompressed and as NDJSON, to an unnamed temporary file in dir; an empty dir is the system's
// directory.
//
// Entries that are not hashes are counted, see [Unreadable]. Open fails if the file cannot
// be read to its end, or if ctx ends.
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
	x := &Index{marker: marker}
	sum, err := blake2b.New256(nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read hash file: %w", err), in.file.Close())
	}
	text, err := in.reader(ctx, sum)
	x.file, x.close = in.file, in.file.Close
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

// entries reads entries one by one.
type entries interface {
	// next returns an entry, valid until the next call. It is empty for a blank line.
	next() ([]byte, error)
	// place returns where the last entry begins and ends.
	place() (start, end int64)
}

// readAll records where each entry is.
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
			x.refuse(number, err)
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
		x.refuse(number, err)
	}
	switch {
	case errors.Is(err, errDate): // it may be newer than the user's other entries
		return x.places.add(x.marker(hash.Subject), offset)
	case err != nil:
		return nil
	}
	if !slices.Contains(x.tenants, hash.Tenant) && hash.Tenant != "" && len(x.tenants) < maxTenants {
		x.tenants = append(x.tenants, hash.Tenant)
	}
	return x.places.add(x.marker(hash.Subject), offset)
}

func (x *Index) refuse(number int, why error) {
	i := slices.IndexFunc(x.bad, func(u Unreadable) bool { return errors.Is(u.Why, why) })
	if i < 0 {
		i, x.bad = len(x.bad), append(x.bad, Unreadable{Why: why, First: number})
	}
	x.bad[i].Count++
}

// Find returns the hash of a user, or false if the file has none. It returns the newest of
// several entries, see Hash.Twice. It fails if the file changed or cannot be read.
func (x *Index) Find(subject string) (Hash, bool, error) {
	mark := x.marker(subject)
	var best Hash
	found, undated := false, false
	for offset := range x.places.of(mark) {
		hash, err := x.read(offset, mark)
		if err != nil {
			return Hash{}, false, fmt.Errorf("find hash: %w", err)
		}
		if hash.Subject != subject {
			continue // another user with the same mark
		}
		if hash.Twice {
			undated, found = true, true
			continue
		}
		switch newer := hash.SetAt.Compare(best.SetAt); {
		case best.Subject == "" || newer > 0:
			best = hash
		case newer == 0 && (hash.Hash.Reveal() != best.Hash.Reveal() || hash.Custom.Reveal() != best.Custom.Reveal()):
			best.Twice = true
		}
		found = true
	}
	if found {
		best.Subject, best.Twice = subject, best.Twice || undated
	}
	return best, found, nil
}

// errChanged reports an entry that changed since the file was opened.
var errChanged = errors.New("the hash file changed since it was opened: import a copy that no program writes to")

// read reads the entry at an offset again.
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
	undated := errors.Is(err, errDate)
	if err != nil && !undated || !sameMark(x.marker(hash.Subject), mark) {
		return Hash{}, errChanged
	}
	hash.Twice = undated
	return hash, nil
}

// Len returns how many entries can be found, including several of one user.
func (x *Index) Len() int { return x.places.n }

// Tenants returns the tenants that the entries name, sorted, at most 16.
func (x *Index) Tenants() []string { return slices.Clone(x.tenants) }

// Unreadable are the entries that are not hashes, for one reason.
type Unreadable struct {
	Why error
	// Count is how many there are, and First the number of the first one, from 1. Blank lines do
	// not count.
	Count, First int
}

// Unreadable returns the entries that are not hashes by reason, in the order of the first ones.
func (x *Index) Unreadable() []Unreadable { return slices.Clone(x.bad) }

// Digest returns the BLAKE2b-256 of the file, not decompressed, in hexadecimal digits.
func (x *Index) Digest() string { return x.digest }

// Close closes the file, and deletes the decompressed copy.
func (x *Index) Close() error {
	if err := x.close(); err != nil {
		return fmt.Errorf("close hash file: %w", err)
	}
	return nil
}
