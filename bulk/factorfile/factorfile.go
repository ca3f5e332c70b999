// Package factorfile finds the second factors and passkeys of a user in a file that has a
// JSON object a line, plain or gzipped:
//
//	{"user_id": "auth0|5f7c…", "authentication_methods": […], "mfa_factors": […]}
//
// A user may have several lines if each key is in one of them only: secrets of another
// source can be appended to the file of `ferry export --factors`.
//
// It holds only the place of each line, with a hash of the user id; the methods stay in an
// unnamed temporary file. Its errors contain no values of the file.
package factorfile

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"

	"golang.org/x/crypto/blake2b"

	"ferry/bulk/inputfile"
	"ferry/bulk/tempfile"
	"ferry/mapping"
)

// maxLine is the maximum size of a line, many times the usual. maxSize is that of the file.
const (
	maxLine  = 1 << 20
	sizeBits = 21
	maxSize  = 1 << (64 - sizeBits)
)

// place is a hash of a user id, and the offset and the size of the line.
type place struct{ mark, at uint64 }

func (p place) offset() int64 { return int64(p.at >> sizeBits) }
func (p place) size() int     { return int(p.at & (1<<sizeBits - 1)) }

// Index is an open file. Its methods are safe for concurrent use.
type Index struct {
	file   *os.File
	seed   maphash.Seed
	places []place
	digest string
}

// Open reads the file once, into an unnamed temporary file in dir; an empty dir is the
// system's directory. It fails if a line cannot be read, or if a user has a key twice.
func Open(ctx context.Context, name, dir string) (*Index, error) {
	x, err := open(ctx, name, dir)
	if err != nil {
		return nil, fmt.Errorf("read factors file: %w", err)
	}
	return x, nil
}

func open(ctx context.Context, name, dir string) (_ *Index, err error) {
	original, err := os.Open(name) //nolint:gosec // G304: the file that the operator names
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, original.Close()) }()
	x := &Index{seed: maphash.MakeSeed()}
	if x.file, err = tempfile.New(dir); err != nil {
		return nil, err
	}
	sum, err := blake2b.New256(nil)
	if err == nil {
		err = x.readAll(ctx, io.TeeReader(original, sum))
	}
	if err == nil {
		err = x.sort()
	}
	if err != nil {
		return nil, errors.Join(err, x.file.Close())
	}
	x.digest = hex.EncodeToString(sum.Sum(nil))
	return x, nil
}

// readAll copies the file, decompressed, and notes the place of each line.
func (x *Index) readAll(ctx context.Context, original io.Reader) error {
	raw := bufio.NewReaderSize(inputfile.ReaderFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return original.Read(p)
	}), inputfile.BufferSize)
	var text io.Reader = raw
	if start, _ := raw.Peek(len(inputfile.GzipMagic)); string(start) == inputfile.GzipMagic { // the next read repeats an error
		var err error
		if text, err = inputfile.Gunzip(raw); err != nil {
			return err
		}
	}
	lines := inputfile.NewLines(bufio.NewReaderSize(io.TeeReader(text, x.file), inputfile.BufferSize), 0, maxLine)
	for number := 1; ; number++ {
		line, err := lines.Next()
		start, end := lines.Place()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return inputfile.At(err, "line", number)
		case end >= maxSize:
			return errors.New("the file is too large")
		case len(bytes.Trim(line, inputfile.Blanks)) == 0:
			continue
		}
		one, err := mapping.ReadMethods(line)
		if err != nil {
			return inputfile.At(err, "line", number)
		}
		x.places = append(x.places, place{x.mark(one.UserID), uint64(start)<<sizeBits | uint64(len(line))}) //nolint:gosec // not negative
	}
}

// sort sorts the places, and refuses a user who has a key twice.
func (x *Index) sort() error {
	slices.SortFunc(x.places, func(a, b place) int { return cmp.Or(cmp.Compare(a.mark, b.mark), cmp.Compare(a.at, b.at)) })
	for i := 1; i < len(x.places); i++ {
		if x.places[i].mark != x.places[i-1].mark {
			continue
		}
		one, err := x.read(x.places[i-1])
		for j := i; err == nil && j < len(x.places) && x.places[j].mark == x.places[i-1].mark; j++ {
			var other mapping.UserMethods
			if other, err = x.read(x.places[j]); err != nil || other.UserID != one.UserID {
				continue
			}
			if at := slices.IndexFunc(one.Keys, func(key string) bool { return slices.Contains(other.Keys, key) }); at >= 0 {
				return errors.New("a user has " + one.Keys[at] + " twice: keep the newer line")
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) mark(userID string) uint64 { return maphash.String(x.seed, userID) }

func (x *Index) read(p place) (mapping.UserMethods, error) {
	line := make([]byte, p.size())
	if _, err := x.file.ReadAt(line, p.offset()); err != nil {
		return mapping.UserMethods{}, fmt.Errorf("read a temporary file: %w", err)
	}
	return mapping.ReadMethods(line)
}

// Find returns the methods of a user; none if the file does not have the user.
func (x *Index) Find(userID string) (methods []mapping.Method, err error) {
	mark := x.mark(userID)
	i, _ := slices.BinarySearchFunc(x.places, mark, func(p place, mark uint64) int { return cmp.Compare(p.mark, mark) })
	for ; i < len(x.places) && x.places[i].mark == mark; i++ {
		found, err := x.read(x.places[i])
		if err != nil {
			return nil, fmt.Errorf("find factors: %w", err)
		}
		if found.UserID == userID {
			methods = append(methods, found.Methods...)
		}
	}
	return methods, nil
}

// Len returns the number of lines.
func (x *Index) Len() int { return len(x.places) }

// Digest returns the BLAKE2b-256 of the file, not decompressed, in hexadecimal digits.
func (x *Index) Digest() string { return x.digest }

// Close removes the copy.
func (x *Index) Close() error { return x.file.Close() }
