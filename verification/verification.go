// Package verification keeps what ferry's commands verified: one record for each command, of
// its last run. `ferry plan` and the page read them.
//
// A record has counts, digests and times, and no data of a user. It does not say what to
// conclude from it: package migration does.
package verification

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Command is a command that leaves a record.
type Command string

// The commands that leave a record.
const (
	Doctor       Command = "doctor"
	KratosConfig Command = "kratos-config"
	Import       Command = "import"
	ImportDryRun Command = "import-dry-run"
	Reconcile    Command = "reconcile"
	Finish       Command = "finish"
	Undo         Command = "undo"
)

// Commands returns all commands that leave a record.
func Commands() []Command {
	return []Command{Doctor, KratosConfig, Import, ImportDryRun, Reconcile, Finish, Undo}
}

// Record is what the last run of a command verified.
type Record struct {
	Command Command   `json:"command"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// InputAt is when the users file of the run was written; nil: not known, or none.
	InputAt *time.Time `json:"input_at,omitempty"`
	// Version is that of the ferry that ran.
	Version string `json:"version"`
	// OK is true if the run ended and found nothing wrong: no FAIL of doctor, no open finding
	// of reconcile, no failed row of import or finish.
	OK bool `json:"ok"`
	// Flags are those of an import or a reconciliation that another run needs too, as
	// --name=value.
	Flags []string `json:"flags,omitempty"`
	// Settings is the digest of the settings that the run had, and KratosConfig that of the
	// kratos.yml it was given or wrote; empty: none.
	Settings     string `json:"settings,omitempty"`
	KratosConfig string `json:"kratos_config,omitempty"`
	// HookOn says whether the migration hook is on in that kratos.yml; nil: not known.
	HookOn *bool `json:"hook_on,omitempty"`
	// Counts are the numbers that the command found, by the names of its own JSON, and
	// Connections the same by Auth0 connection.
	Counts      map[string]int            `json:"counts,omitempty"`
	Connections map[string]map[string]int `json:"connections,omitempty"`
}

// Records are the last records, by command.
type Records map[Command]Record

// Store keeps a text for each name: a directory, or Redis.
type Store interface {
	// PutNote replaces the text of a name.
	PutNote(ctx context.Context, name string, text []byte) error
	// Note returns the text of a name, or nil if there is none.
	Note(ctx context.Context, name string) ([]byte, error)
}

// namePrefix begins the names of the records in a Store.
const namePrefix = "verified-"

// Put replaces the record of the command.
func Put(ctx context.Context, to Store, record Record) error {
	text, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("record of %s: %w", record.Command, err)
	}
	if err := to.PutNote(ctx, namePrefix+string(record.Command), text); err != nil {
		return fmt.Errorf("write the record of %s: %w", record.Command, err)
	}
	return nil
}

// Read returns all records. A record that cannot be read is missing, and the error says so.
func Read(ctx context.Context, from Store) (Records, error) {
	records, faults := Records{}, []error{}
	for _, command := range Commands() {
		text, err := from.Note(ctx, namePrefix+string(command))
		if err == nil && text == nil {
			continue
		}
		var record Record
		if err == nil {
			err = json.Unmarshal(text, &record)
		}
		if err == nil && record.Command != command {
			err = errors.New("it is of another command")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("read the record of %s: %w", command, err))
			continue
		}
		records[command] = record
	}
	return records, errors.Join(faults...)
}
