package finish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"ferry/bulk/results"
)

// Results receives the results of Finish, a line each.
type Results struct {
	to       io.Writer
	file     *results.File   // nil: a stream
	finished map[string]bool // identities that earlier runs finished
}

// StreamResults writes results to w.
func StreamResults(w io.Writer) *Results { return &Results{to: w} }

// OpenResults opens or creates a results file and reads the lines of earlier runs.
func OpenResults(path string) (*Results, error) {
	file, err := results.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Results{to: file, file: file, finished: map[string]bool{}}
	if err := file.Load(r.resume); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// resume notes a line that an earlier run wrote.
func (r *Results) resume(line []byte) error {
	var result Result
	if err := json.Unmarshal(line, &result); err != nil || result.IdentityID == "" || result.Outcome == "" {
		return errors.New("a line is not a result of finish; name another file")
	}
	switch {
	case result.DryRun:
	case result.Outcome == results.Finished, result.Reason == reasonEarlier:
		r.finished[result.IdentityID] = true
	case result.Outcome == results.Restored:
		delete(r.finished, result.IdentityID)
	}
	return nil
}

// has reports whether an earlier run finished the identity.
func (r *Results) has(id string) bool { return r != nil && r.finished[id] }

func (r *Results) write(result Result) error {
	if r == nil {
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
