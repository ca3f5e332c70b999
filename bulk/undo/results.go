package undo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"ferry/bulk/results"
)

// Result is what became of one identity of the run.
type Result struct {
	Run string `json:"run"`
	// DryRun says that nothing was done.
	DryRun     bool            `json:"dry_run,omitempty"`
	IdentityID string          `json:"identity_id"`
	UserID     string          `json:"user_id,omitempty"`
	Outcome    results.Outcome `json:"outcome"`
	// Reason is a word; Detail says more, and may quote what Kratos said about the user's
	// data.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (r Result) as(outcome results.Outcome, reason, detail string) Result {
	r.Outcome, r.Reason, r.Detail = outcome, reason, detail
	return r
}

// Results receives the results of Undo, a line each.
type Results struct {
	to   io.Writer
	file *results.File // nil: a stream
	kept map[string]Result
	// deleted is the number of identities that earlier calls deleted.
	deleted int
}

// StreamResults writes results to w.
func StreamResults(w io.Writer) *Results { return &Results{to: w} }

// OpenResults opens or creates a results file for the undoing of a run, and reads the lines
// of earlier calls.
func OpenResults(path, run string) (*Results, error) {
	file, err := results.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Results{to: file, file: file, kept: map[string]Result{}}
	if err := file.Load(func(line []byte) error { return r.resume(line, run) }); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// resume notes a line that an earlier call wrote.
func (r *Results) resume(line []byte, run string) error {
	var result Result
	err := json.Unmarshal(line, &result)
	switch {
	case err != nil || result.IdentityID == "" || result.Outcome == "" || result.Run == "":
		return errors.New("a line is not a result of undo; name another file")
	case result.Run != run:
		return fmt.Errorf("it is of the run %s; name another file", result.Run)
	case result.DryRun:
		return nil
	case result.Outcome == results.Deleted:
		r.deleted++
	}
	r.kept[result.IdentityID] = result
	return nil
}

// Earlier returns the number of identities that earlier calls deleted.
func (r *Results) Earlier() int {
	if r == nil {
		return 0
	}
	return r.deleted
}

// write appends a line, unless the last line about the identity says the same.
func (r *Results) write(result Result) error {
	if r == nil || r.kept[result.IdentityID] == result {
		return nil
	}
	line, err := json.Marshal(result)
	if err == nil {
		_, err = r.to.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// Close closes the file.
func (r *Results) Close() error {
	if r == nil || r.file == nil {
		return nil
	}
	return r.file.Close()
}
