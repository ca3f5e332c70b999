package reconcile

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/bulk/tempfile"
)

// userStore keeps plan rows by line in two unlinked files: the rows one after the other, and
// the place of each.
type userStore struct {
	rows, index *os.File
	end         int64
	lines       results.LineSet
}

func newUserStore(dir string) (*userStore, error) {
	rows, err := tempfile.New(dir)
	if err != nil {
		return nil, err
	}
	index, err := tempfile.New(dir)
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return &userStore{rows: rows, index: index}, nil
}

const placeBytes = 16 // offset and length

func (s *userStore) put(p plan.Row) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	var place [placeBytes]byte
	binary.BigEndian.PutUint64(place[:], uint64(s.end)) //nolint:gosec // never negative
	binary.BigEndian.PutUint64(place[8:], uint64(len(text)))
	if _, err = s.rows.WriteAt(text, s.end); err == nil {
		_, err = s.index.WriteAt(place[:], int64(p.Line)*placeBytes)
	}
	if err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	s.end += int64(len(text))
	s.lines.Add(p.Line)
	return nil
}

func (s *userStore) get(line int) (plan.Row, error) {
	var place [placeBytes]byte
	var p plan.Row
	if _, err := s.index.ReadAt(place[:], int64(line)*placeBytes); err != nil {
		return p, fmt.Errorf("read a temporary file: %w", err)
	}
	text := make([]byte, binary.BigEndian.Uint64(place[8:]))
	if _, err := s.rows.ReadAt(text, int64(binary.BigEndian.Uint64(place[:]))); err != nil { //nolint:gosec // as put wrote it
		return p, fmt.Errorf("read a temporary file: %w", err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("read a temporary file: %w", err)
	}
	return p, nil
}

// each calls do with the lines in order.
func (s *userStore) each(do func(line int) error) error {
	for line := range len(s.lines) * 64 {
		if s.lines.Has(line) {
			if err := do(line); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *userStore) close() error { return errors.Join(s.rows.Close(), s.index.Close()) }
