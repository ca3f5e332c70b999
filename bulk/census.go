package bulk

import (
	"context"
	"fmt"
	"os"

	"github.com/google/uuid"

	"ferry/kratos"
)

// standing says whose the identity is that stands where a row wants to be.
type standing byte

const (
	none standing = iota
	// ours is an identity of the row's user.
	ours
	// created is one that an earlier part of this very run made.
	created
	// theirs is one of anybody else's, or of nobody that ferry knows.
	theirs
)

// seen is an identity that stands where a row wants to be.
type seen struct {
	kind standing
	id   string
}

// census knows for each line of the file the identity that was there before: in a
// nameless file of fixed records, a hole where there is none.
type census struct {
	file *os.File
	any  bool
	size int // how many identities it has seen
	// created is whether it has seen one that this run made.
	created bool
}

const censusRecord = 1 + len(uuid.UUID{})

// takeCensus reads every identity of Kratos' once. It finds users by their binding,
// which Kratos itself does not look up, and so also those who have changed their
// address since; and it costs less than a conflict for each.
func takeCensus(ctx context.Context, r *importer) (*census, error) {
	file, err := nameless(r.TempDir)
	if err != nil {
		return nil, err
	}
	c := &census{file: file}
	r.Progress.Start("identities in Kratos", 0)
	defer r.Progress.Done()
	err = r.Kratos.Walk(ctx, func(record kratos.Record) error {
		r.Progress.Add(1)
		c.size++
		return c.note(r, record)
	})
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("read the identities in Kratos: %w", walkFault(ctx, err))
	}
	return c, nil
}

// note finds the lines that the identity concerns.
func (c *census) note(r *importer, record kratos.Record) error {
	subject := primary(record)
	owned := map[int]bool{}
	if subject != "" {
		for _, line := range r.claims.lines(subject, user) {
			owned[line] = true
			kind := ours
			if originOf(record).Run == r.Journal.run {
				kind, c.created = created, true
			}
			if err := c.put(line, seen{kind, record.ID}); err != nil {
				return err
			}
		}
	}
	for _, identifier := range taken(record) {
		for _, line := range r.claims.lines(identifier, unproven) {
			if owned[line] {
				continue
			}
			if err := c.put(line, seen{theirs, record.ID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// primary is the Auth0 user that an identity was made of; the others of its binding
// are linked to that one.
func primary(record kratos.Record) string {
	if len(record.Binding.Subjects) == 0 {
		return ""
	}
	return record.Binding.Subjects[0]
}

// taken is what nobody else can have while the identity is there.
func taken(record kratos.Record) []string {
	var all []string
	all = append(all, record.Identifiers...)
	all = append(all, record.Social...)
	for _, address := range record.Addresses {
		all = append(all, kratos.NormalizeIdentifier(address.Value))
	}
	return all
}

// put notes what stands in a line's way: what is somebody else's for good.
func (c *census) put(line int, s seen) error {
	if was := c.of(line); was.kind == theirs {
		return nil
	}
	id, err := uuid.Parse(s.id)
	if err != nil {
		return fmt.Errorf("identity %q: %w", s.id, err)
	}
	c.any = true
	if _, err := c.file.WriteAt(append([]byte{byte(s.kind)}, id[:]...), int64(line)*int64(censusRecord)); err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	return nil
}

// of is what stands in a line's way.
func (c *census) of(line int) seen {
	if c == nil || !c.any {
		return seen{}
	}
	var record [censusRecord]byte
	if n, _ := c.file.ReadAt(record[:], int64(line)*int64(censusRecord)); n < censusRecord || record[0] == 0 {
		return seen{}
	}
	return seen{standing(record[0]), uuid.UUID(record[1:]).String()}
}

func (c *census) close() error { return c.file.Close() }
