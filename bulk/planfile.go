package bulk

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"

	"ferry/bulk/results"
	"ferry/bulk/tempfile"
)

// planRow is one row of the plan: what it becomes, and with what data.
type planRow struct {
	Line   int
	UserID string
	// Outcome is what the row becomes unless there is a conflict.
	Outcome results.Outcome
	Reason  results.Cause
	// Identifiers find the identities that the row can be in conflict with: those of the
	// password credential, and provider:subject of the others.
	Identifiers []string
	// Body is the request that creates the identity. It holds the password hash.
	Body []byte
	// User is the row itself, if an update may need it.
	User []byte
}

func (p planRow) result(outcome results.Outcome, identityID string, why results.Cause) results.Result {
	return results.Result{Line: p.Line, UserID: p.UserID, Outcome: outcome, IdentityID: identityID, Reason: why.Reason, Detail: why.Detail}
}

// creates reports whether the plan creates an identity for the row.
func (p planRow) creates() bool { return p.Outcome != results.Skipped && p.Outcome != results.Failed }

// planFile stores the plan in an unlinked temporary file, so that nothing remains if the
// program ends in any way.
type planFile struct {
	file *os.File
	buf  *bufio.Writer
	enc  *gob.Encoder
	rows int
}

func newPlanFile(dir string) (*planFile, error) {
	file, err := tempfile.New(dir)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewWriterSize(file, 1<<18)
	return &planFile{file: file, buf: buf, enc: gob.NewEncoder(buf)}, nil
}

func (s *planFile) add(p planRow) error {
	s.rows++
	if err := s.enc.Encode(p); err != nil {
		return fmt.Errorf("write the plan to a temporary file: %w", err)
	}
	return nil
}

// each calls do with every row of the plan, from the start.
func (s *planFile) each(do func(planRow) error) error {
	if err := s.buf.Flush(); err != nil {
		return fmt.Errorf("write the plan to a temporary file: %w", err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	dec := gob.NewDecoder(bufio.NewReaderSize(s.file, 1<<18))
	for {
		var p planRow
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
