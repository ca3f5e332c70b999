package importer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"

	"ferry/bulk/results"
	"ferry/bulk/scan"
	"ferry/bulk/tempfile"
	"ferry/identifier"
	"ferry/kratos"
	"ferry/provenance"
)

// owner says whose identity it is that has an identifier of a row.
type owner byte

const (
	noOwner owner = iota
	// ownedByUser is an identity of the row's user.
	ownedByUser
	// createdByRun is one that this run created before it was interrupted.
	createdByRun
	// ownedByOther is an identity of another user, or without an Auth0 user.
	ownedByOther
	// linkedTo is an identity of another user that lists the row's user in its binding: the
	// two are linked at Auth0, or were merged by an import.
	linkedTo
	// linkedAndTaken is the same, and the identity has an identifier of the row.
	linkedAndTaken
)

// ofUser returns the owner for a row that is not merged: a link alone is not a conflict.
func (o owner) ofUser() owner {
	switch o {
	case linkedTo:
		return noOwner
	case linkedAndTaken:
		return ownedByOther
	case noOwner, ownedByUser, createdByRun, ownedByOther:
	}
	return o
}

// linked reports whether the identity is of another user and lists the row's.
func (o owner) linked() bool { return o == linkedTo || o == linkedAndTaken }

// existingIdentity is an identity that a row is in conflict with.
type existingIdentity struct {
	owner owner
	id    string
}

// existingIdentities stores for each line of the file the identity in Kratos that it is in
// conflict with. It is an unlinked file of fixed-size entries; a line without a conflict
// has a hole. For an import that updates, another file has the identities of the rows'
// users as they were read, so that those that need no change are not read again.
type existingIdentities struct {
	file    *os.File
	records *os.File // nil: none
	end     int64    // of records
	any     bool
	size    int // identities in Kratos
	// created reports whether this run created one of them, present are the lines of all such.
	created bool
	present results.LineSet
}

// An entry is the owner, the identity's id, and the place and length of its record.
const (
	ownerSize         = 1
	placeSize         = 16
	existingEntrySize = ownerSize + len(uuid.UUID{}) + placeSize
)

// scanIdentities reads every identity in Kratos once. It finds users by their binding, which
// Kratos cannot search, so also users whose address changed. This costs less than a conflict
// for each row.
func (r *importer) scanIdentities(ctx context.Context) (*existingIdentities, error) {
	file, err := tempfile.New(r.TempDir)
	if err != nil {
		return nil, err
	}
	c := &existingIdentities{file: file}
	if r.OnConflict == ConflictUpdate {
		if c.records, err = tempfile.New(r.TempDir); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	err = scan.Identities(ctx, r.Kratos, r.Progress, func(record kratos.Record) error {
		c.size++
		return c.note(r, record)
	})
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// note finds the lines that are in conflict with the identity.
func (c *existingIdentities) note(r *importer, record kratos.Record) error {
	ofRun := provenance.ImportOf(record.MetadataAdmin).Run == r.Journal.run
	var owned []int
	for i, subject := range record.Binding.Subjects {
		whose := ownedByUser
		switch {
		case i > 0:
			whose = linkedTo
		case ofRun:
			whose = createdByRun
		}
		lines := r.plan.LinesOfUser(subject)
		if i == 0 {
			owned = lines
		}
		for _, line := range lines {
			if ofRun {
				c.created = true
				c.present.Add(line)
			}
			if err := c.put(line, existingIdentity{whose, record.ID}, &record); err != nil {
				return err
			}
		}
	}
	return c.noteTaken(r, record, owned)
}

// noteTaken finds the lines whose identifiers the identity has, other than those of its owner.
func (c *existingIdentities) noteTaken(r *importer, record kratos.Record, owned []int) error {
	note := func(lines []int) error {
		for _, line := range lines {
			if slices.Contains(owned, line) {
				continue
			}
			if err := c.put(line, existingIdentity{ownedByOther, record.ID}, nil); err != nil {
				return err
			}
		}
		return nil
	}
	for _, identifier := range taken(record) {
		if err := note(r.plan.LinesOfIdentifier(identifier)); err != nil {
			return err
		}
	}
	for _, login := range record.Social { // the index has the user ids without the provider
		if subject, isBridge := strings.CutPrefix(login, r.Bridge+":"); isBridge {
			if err := note(r.plan.LinesOfUser(subject)); err != nil {
				return err
			}
		}
	}
	return nil
}

// taken returns the identifiers that no other identity can have.
func taken(record kratos.Record) []string {
	var all []string
	all = append(all, record.Identifiers...)
	all = append(all, record.Social...)
	all = append(all, record.SAML...)
	all = append(all, record.Codes...)
	for _, address := range record.Addresses {
		all = append(all, identifier.Normalize(address.Value))
	}
	return all
}

// put stores the identity that a line is in conflict with, and its record unless that is
// nil. It does not replace one of another user, nor the user's own by one that the user is
// linked to.
func (c *existingIdentities) put(line int, found existingIdentity, record *kratos.Record) error {
	was := c.of(line)
	switch {
	case was.owner == ownedByOther, found.owner == linkedTo && was.owner != noOwner:
		return nil
	case found.owner == ownedByOther && was.owner.linked() && was.id == found.id:
		found.owner = linkedAndTaken
	}
	id, err := uuid.Parse(found.id)
	if err != nil {
		return fmt.Errorf("identity %q: %w", found.id, err)
	}
	c.any = true
	entry := append([]byte{byte(found.owner)}, id[:]...)
	if c.records != nil && record != nil {
		text, err := json.Marshal(record)
		if err == nil {
			_, err = c.records.WriteAt(text, c.end)
		}
		if err != nil {
			return fmt.Errorf("write a temporary file: %w", err)
		}
		entry = binary.BigEndian.AppendUint64(entry, uint64(c.end)) //nolint:gosec // never negative
		entry = binary.BigEndian.AppendUint64(entry, uint64(len(text)))
		c.end += int64(len(text))
	}
	entry = append(entry, make([]byte, existingEntrySize-len(entry))...)
	if _, err := c.file.WriteAt(entry, int64(line)*int64(existingEntrySize)); err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	return nil
}

// record returns the identity that a line is in conflict with as it was read; false if it
// is not stored.
func (c *existingIdentities) record(line int) (record kratos.Record, found bool, err error) {
	var place [placeSize]byte
	if c == nil || c.records == nil {
		return record, false, nil
	}
	if n, _ := c.file.ReadAt(place[:], int64(line+1)*int64(existingEntrySize)-placeSize); n < placeSize {
		return record, false, nil
	}
	text := make([]byte, binary.BigEndian.Uint64(place[8:]))
	if len(text) == 0 {
		return record, false, nil
	}
	if _, err = c.records.ReadAt(text, int64(binary.BigEndian.Uint64(place[:]))); err == nil { //nolint:gosec // as put wrote it
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		err = dec.Decode(&record)
	}
	if err != nil {
		return record, false, fmt.Errorf("read a temporary file: %w", err)
	}
	return record, true, nil
}

// of returns the identity that a line is in conflict with.
func (c *existingIdentities) of(line int) existingIdentity {
	if c == nil || !c.any {
		return existingIdentity{}
	}
	var entry [existingEntrySize]byte
	if n, _ := c.file.ReadAt(entry[:], int64(line)*int64(existingEntrySize)); n < existingEntrySize || entry[0] == 0 {
		return existingIdentity{}
	}
	return existingIdentity{owner(entry[0]), uuid.UUID(entry[ownerSize : ownerSize+len(uuid.UUID{})]).String()}
}

func (c *existingIdentities) close() error {
	if c.records == nil {
		return c.file.Close()
	}
	return errors.Join(c.file.Close(), c.records.Close())
}
