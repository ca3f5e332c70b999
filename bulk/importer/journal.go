package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"ferry/bulk/results"
	"ferry/bulk/tempfile"

	"github.com/google/uuid"
)

// Journal receives the results of a run. A journal in a file makes the run resumable: the
// file beside it, with .checkpoint added to its name, says which run the results are of.
//
// Crash points, in the order in which a run writes:
//
//  1. The results file is created empty. A run that finds it empty and without a
//     checkpoint starts anew.
//  2. The plan is complete; save writes the checkpoint atomically. Only then does the run
//     write to Kratos, so every identity that it creates has the run id of a checkpoint
//     on disk. A run that finds a checkpoint and no results continues with that id.
//  3. Kratos creates a batch, then put appends its results. If the program ends between
//     the two, the next run plans these rows again, and its scan finds the identities by
//     run id: they are reported as created, not as conflicts.
//  4. Part of a line is on disk: Load cuts it off, which is the case before.
type Journal struct {
	run        string
	out        io.Writer     // nil: no results
	file       *results.File // nil: a stream
	checkpoint string
	started    *checkpoint // of the run to resume; nil: a new run
}

// ErrOtherRun means that the results file belongs to another run.
var ErrOtherRun = errors.New("the results file is of another run")

// checkpoint says which run a results file belongs to.
type checkpoint struct {
	Run string `json:"run"`
	// Users and Hashes are the digests of the input files, BLAKE2b-256.
	Users  string `json:"users_blake2b"`
	Hashes string `json:"hashes_blake2b,omitempty"`
	// Options are the options that decide what becomes of a row.
	Options map[string]string `json:"options"`
}

// StreamJournal writes results to w, which may be nil. The run cannot be resumed.
func StreamJournal(w io.Writer) *Journal { return &Journal{run: uuid.NewString(), out: w} }

// OpenJournal opens the results file of a run to resume it, or creates a new one. The file
// is locked until Close. A completed run has nothing left to do.
func OpenJournal(path string) (*Journal, error) {
	file, err := results.Open(path)
	if err != nil {
		return nil, err
	}
	j := &Journal{run: uuid.NewString(), out: file, file: file, checkpoint: path + ".checkpoint"}
	if err := j.begin(path); err != nil { // after the lock: another run may have written the checkpoint
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

// begin finds out which run the results file belongs to.
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
		err = fmt.Errorf("%s exists but has no checkpoint, so no import wrote it: name another results file, or move this one away", path)
	}
	return err
}

// Resumed reports whether the journal resumes an earlier run.
func (j *Journal) Resumed() bool { return j.started != nil }

// load calls take with each line of the earlier part of the run.
func (j *Journal) load(take func(line []byte) error) error {
	if j.file == nil {
		return nil
	}
	return j.file.Load(take)
}

// checkInputs writes the checkpoint of a new run, or checks that a resumed one has the same
// inputs and options.
func (j *Journal) checkInputs(now checkpoint) error {
	if j.file == nil {
		return nil
	}
	now.Run = j.run
	if j.started == nil {
		return j.save(now)
	}
	const way = ": repeat the same to continue that run, or name another results file for a new one"
	switch {
	case j.started.Users != now.Users:
		return fmt.Errorf("%w, with another users file%s", ErrOtherRun, way)
	case j.started.Hashes != now.Hashes:
		return fmt.Errorf("%w, with another hash file, or without one%s", ErrOtherRun, way)
	case !maps.Equal(j.started.Options, now.Options):
		var names []string
		all := maps.Clone(j.started.Options)
		maps.Copy(all, now.Options)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if j.started.Options[name] != now.Options[name] {
				names = append(names, fmt.Sprintf("%s was %q", name, j.started.Options[name]))
			}
		}
		return fmt.Errorf("%w, with other options (%s)%s", ErrOtherRun, strings.Join(names, ", "), way)
	}
	return nil
}

// save writes the checkpoint atomically.
func (j *Journal) save(now checkpoint) error {
	text, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := tempfile.Replace(j.checkpoint, func(w *os.File) error {
		_, err := w.Write(append(text, '\n'))
		return err
	}); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// Close closes the results file.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
