package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"ferry/bulk/tempfile"

	"github.com/google/uuid"
)

// Journal is where the results of a run go. One in a file makes the run resumable:
// beside the file, under its name and .checkpoint, stands which run it is of.
type Journal struct {
	run        string
	out        io.Writer // nil: nobody wants results
	file       *os.File  // nil: a stream
	checkpoint string
	started    *checkpoint // of the run to resume; nil: a new one
}

// ErrOtherRun is the error if the results file belongs to another run.
var ErrOtherRun = errors.New("the results file is of another run")

// checkpoint says which run a results file is of.
type checkpoint struct {
	Run string `json:"run"`
	// Users and Hashes are the digests of the input files, BLAKE2b-256.
	Users  string `json:"users_blake2b"`
	Hashes string `json:"hashes_blake2b,omitempty"`
	// Options are those that decide what becomes of a row.
	Options map[string]string `json:"options"`
}

// StreamJournal writes results to w, if it is not nil. The run cannot be resumed.
func StreamJournal(w io.Writer) *Journal { return &Journal{run: uuid.NewString(), out: w} }

// OpenJournal opens the results file of a run, to resume it, or creates a new one.
// Going on with a run that has come to its end finds nothing left to do. Nobody else
// can open the journal until it is closed.
func OpenJournal(path string) (_ *Journal, err error) {
	j := &Journal{run: uuid.NewString(), checkpoint: path + ".checkpoint"}
	if j.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open results: %w", err)
	}
	j.out = j.file
	taken, err := lock(j.file)
	switch {
	case err != nil:
		err = fmt.Errorf("lock results: %w", err)
	case !taken:
		err = fmt.Errorf("%s is being written by another import: wait for its end, or name another results file", path)
	default:
		err = j.begin(path) // only now: whoever had the file may have written the checkpoint
	}
	if err != nil {
		return nil, errors.Join(err, j.file.Close())
	}
	return j, nil
}

// begin finds out which run the results file is of.
func (j *Journal) begin(path string) error {
	text, err := os.ReadFile(j.checkpoint)
	switch {
	case err == nil:
		j.started = &checkpoint{}
		if json.Unmarshal(text, j.started) != nil || j.started.Run == "" {
			return fmt.Errorf("%s is not a checkpoint of an import: remove it and %s, or name another results file", j.checkpoint, path)
		}
		j.run = j.started.Run
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("open results: %w", err)
	}
	info, err := j.file.Stat()
	if err == nil && info.Size() > 0 && j.started == nil {
		err = fmt.Errorf("%s exists and has no checkpoint, so it is not of an import: name another results file, or move this one away", path)
	}
	return err
}

// Resumed reports whether the journal resumes an earlier run.
func (j *Journal) Resumed() bool { return j.started != nil }

// load reads what the earlier part of the run wrote, and cuts off half a line.
func (j *Journal) load(into *results) error {
	if j.file == nil {
		return nil
	}
	whole, err := into.resume(j.file)
	if err != nil {
		return err
	}
	if err := j.file.Truncate(whole); err != nil {
		return fmt.Errorf("resume from results: %w", err)
	}
	if _, err := j.file.Seek(whole, io.SeekStart); err != nil {
		return fmt.Errorf("resume from results: %w", err)
	}
	return nil
}

// confirm notes what the run is about, or checks that it is still about the same.
func (j *Journal) checkInputs(now checkpoint) error {
	if j.file == nil {
		return nil
	}
	now.Run = j.run
	if j.started == nil {
		return j.save(now)
	}
	const way = ": give the same again and that run goes on, or name another results file for a new one"
	switch {
	case j.started.Users != now.Users:
		return fmt.Errorf("%w, with another users file%s", ErrOtherRun, way)
	case j.started.Hashes != now.Hashes:
		return fmt.Errorf("%w, with another hash file, or without one%s", ErrOtherRun, way)
	case !maps.Equal(j.started.Options, now.Options):
		var names []string
		for _, name := range slices.Sorted(maps.Keys(now.Options)) {
			if j.started.Options[name] != now.Options[name] {
				names = append(names, fmt.Sprintf("%s was %q", name, j.started.Options[name]))
			}
		}
		return fmt.Errorf("%w, with other options (%s)%s", ErrOtherRun, strings.Join(names, ", "), way)
	}
	return nil
}

// save writes the checkpoint whole or not at all.
func (j *Journal) save(now checkpoint) error {
	text, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := tempfile.Replace(j.checkpoint, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	}); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// Close ends the journal.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	return errors.Join(j.file.Sync(), j.file.Close())
}
