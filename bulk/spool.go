package bulk

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
)

// planned is a row as the plan has it: what it becomes, and with what.
type planned struct {
	Line   int
	UserID string
	// Outcome is what the row becomes if nothing comes in between.
	Outcome Outcome
	Reason  cause
	// Identifiers are those by which Kratos finds whoever is in the row's way: of the
	// password credential, and provider:subject of the others.
	Identifiers []string
	// Body is what creates the identity, with the password hash in clear.
	Body []byte
	// User is the row itself, where an update may need it.
	User []byte
}

func (p planned) result(outcome Outcome, identityID string, why cause) Result {
	return Result{Line: p.Line, UserID: p.UserID, Outcome: outcome, IdentityID: identityID, Reason: why.Word, Detail: why.Detail}
}

// creates reports whether the plan is to make an identity of the row.
func (p planned) creates() bool { return p.Outcome != Skipped && p.Outcome != Failed }

// spool keeps the plan in a file that has no name any more, so that nothing of it
// stays behind, whatever happens to the program.
type spool struct {
	file *os.File
	buf  *bufio.Writer
	enc  *gob.Encoder
	rows int
}

func newSpool(dir string) (*spool, error) {
	file, err := nameless(dir)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewWriterSize(file, 1<<18)
	return &spool{file: file, buf: buf, enc: gob.NewEncoder(buf)}, nil
}

// nameless makes a file that only this program can reach.
func nameless(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "ferry-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make a temporary file: %w", err), file.Close())
	}
	return file, nil
}

func (s *spool) add(p planned) error {
	s.rows++
	if err := s.enc.Encode(p); err != nil {
		return fmt.Errorf("write the plan to a temporary file: %w", err)
	}
	return nil
}

// each reads the plan from its start.
func (s *spool) each(do func(planned) error) error {
	if err := s.buf.Flush(); err != nil {
		return fmt.Errorf("write the plan to a temporary file: %w", err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	dec := gob.NewDecoder(bufio.NewReaderSize(s.file, 1<<18))
	for {
		var p planned
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

func (s *spool) close() error { return s.file.Close() }
