// Package supplement completes the users of a file with fields that the file lacks, from an
// export of the same tenant.
//
//	decompress the export to an unnamed file
//	note the place of each user in a hash table, which is an unnamed file too
//	for each user of the users file: look up the place, read the user, add its fields
//
// So the memory that it needs does not depend on the number of users. Package mapping says
// which fields a user lacks.
package supplement

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"

	"ferry/bulk/inputfile"
	"ferry/bulk/tempfile"
	"ferry/bulk/userfile"
	"ferry/mapping"
)

// A slot of the table has a mark, which is a hash of the user id and not 0, and the place of
// the line: its offset and its size.
const (
	slotBytes = 16
	sizeBits  = 21
	maxLine   = 1<<sizeBits - 1
	maxSize   = 1 << (64 - sizeBits)
)

// Index is an export whose users can be found. Its methods are safe for concurrent use.
type Index struct {
	users *os.File
	table *os.File
	slots uint64 // a power of 2, more than users
	seed  maphash.Seed
}

// Open reads an export: gzip with one user per line, as many as users says or fewer. It
// creates its files in dir; an empty dir is the system's directory.
func Open(ctx context.Context, export io.Reader, users int64, dir string) (*Index, error) {
	x := &Index{seed: maphash.MakeSeed(), slots: 2}
	for x.slots < 2*uint64(max(users, 0)) {
		x.slots *= 2
	}
	err := x.create(dir)
	if err == nil {
		err = x.readAll(ctx, export)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the export: %w", err), x.Close())
	}
	return x, nil
}

func (x *Index) create(dir string) (err error) {
	if x.users, err = tempfile.New(dir); err != nil {
		return err
	}
	if x.table, err = tempfile.New(dir); err != nil {
		return err
	}
	return x.table.Truncate(int64(x.slots) * slotBytes) //nolint:gosec // far less
}

// readAll copies the export, decompressed, and notes the place of each user.
func (x *Index) readAll(ctx context.Context, export io.Reader) error {
	text, err := inputfile.Gunzip(bufio.NewReaderSize(export, inputfile.BufferSize))
	if err != nil {
		return err
	}
	copied := bufio.NewWriterSize(x.users, inputfile.BufferSize)
	lines := inputfile.NewLines(bufio.NewReaderSize(io.TeeReader(text, copied), inputfile.BufferSize), 0, maxLine)
	for number := 1; ; number++ {
		line, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return copied.Flush()
		case err != nil:
			return inputfile.At(err, "line", number)
		case ctx.Err() != nil:
			return ctx.Err()
		case len(bytes.Trim(line, inputfile.Blanks)) == 0:
			continue
		}
		user, err := mapping.FromUser(line)
		if err != nil {
			return inputfile.At(err, "line", number)
		}
		start, end := lines.Place()
		if end > maxSize {
			return errors.New("the export is too large")
		}
		if err := x.put(x.mark(user.UserID), uint64(start)<<sizeBits|uint64(end-start)); err != nil { //nolint:gosec // not negative
			return err
		}
	}
}

// mark returns the mark of a user.
func (x *Index) mark(userID string) uint64 { return max(maphash.String(x.seed, userID), 1) }

// put stores a place in the first free slot after that of the mark.
func (x *Index) put(mark, place uint64) error {
	for i := range x.slots {
		at := x.slotAt(mark + i)
		stored, _, err := x.slot(at)
		switch {
		case err != nil:
			return err
		case stored != 0:
			continue
		}
		var slot [slotBytes]byte
		binary.BigEndian.PutUint64(slot[:], mark)
		binary.BigEndian.PutUint64(slot[8:], place)
		if _, err := x.table.WriteAt(slot[:], at); err != nil {
			return fmt.Errorf("write a temporary file: %w", err)
		}
		return nil
	}
	return errors.New("it has more users than Auth0 said")
}

// slotAt returns the offset of a slot. Slots are counted in a circle.
func (x *Index) slotAt(number uint64) int64 {
	return int64(number&(x.slots-1)) * slotBytes //nolint:gosec // far less
}

// slot reads a slot; a mark of 0 is a free one.
func (x *Index) slot(at int64) (mark, place uint64, err error) {
	var slot [slotBytes]byte
	if _, err := x.table.ReadAt(slot[:], at); err != nil {
		return 0, 0, fmt.Errorf("read a temporary file: %w", err)
	}
	return binary.BigEndian.Uint64(slot[:]), binary.BigEndian.Uint64(slot[8:]), nil
}

// Complete returns a user of the users file with the fields that it lacks. What is not a user
// it returns as it is. The error is [userfile.ErrAbsent] if the export does not have the user.
func (x *Index) Complete(user []byte) ([]byte, error) {
	var failed error
	completed, err := mapping.Complete(user, func(userID string) (from []byte, err error) {
		from, failed = x.find(userID)
		return from, failed
	})
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		return user, nil //nolint:nilerr // whoever reads the row finds the same error
	}
	return completed, nil
}

// find returns the user in the export.
func (x *Index) find(userID string) ([]byte, error) {
	mark := x.mark(userID)
	for i := range x.slots {
		stored, place, err := x.slot(x.slotAt(mark + i))
		switch {
		case err != nil:
			return nil, err
		case stored == 0:
			return nil, userfile.ErrAbsent
		case stored != mark:
			continue
		}
		line := make([]byte, place&maxLine)
		if _, err := x.users.ReadAt(line, int64(place>>sizeBits)); err != nil {
			return nil, fmt.Errorf("read a temporary file: %w", err)
		}
		user, err := mapping.FromUser(line)
		if err != nil {
			return nil, fmt.Errorf("read a temporary file: %w", err)
		}
		if user.UserID == userID {
			return line, nil
		}
	}
	return nil, userfile.ErrAbsent
}

// Close deletes the files.
func (x *Index) Close() (err error) {
	for _, file := range []*os.File{x.users, x.table} {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
	}
	return err
}
