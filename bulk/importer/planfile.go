package importer

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"

	"ferry/bulk/plan"
	"ferry/bulk/tempfile"
)

// planFile stores the plan in an unlinked temporary file, so that nothing remains if the
// program ends in any way.
type planFile struct {
	file *os.File
	buf  *bufio.Writer
	enc  *gob.Encoder
	rows int // of the users file
}

func newPlanFile(dir string) (*planFile, error) {
	file, err := tempfile.New(dir)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewWriterSize(file, 1<<18)
	return &planFile{file: file, buf: buf, enc: gob.NewEncoder(buf)}, nil
}

func (s *planFile) add(p plan.Row) error {
	if len(p.Merged) == 0 { // the accounts of the others are rows of their own
		s.rows++
	}
	if err := s.enc.Encode(p); err != nil {
		return fmt.Errorf("write the plan to a temporary file: %w", err)
	}
	return nil
}

// each calls do with every row of the plan, from the start.
func (s *planFile) each(do func(plan.Row) error) error {
	if err := s.buf.Flush(); err != nil {
		return fmt.Errorf("write the plan to a temporary file: %w", err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	dec := gob.NewDecoder(bufio.NewReaderSize(s.file, 1<<18))
	for {
		var p plan.Row
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the plan: %w", err)
		}
		if err := do(p); err != nil {
			return err
		}
	}
}

func (s *planFile) close() error { return s.file.Close() }
