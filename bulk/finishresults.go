package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"ferry/bulk/results"
)

// FinishResults receives the results of Finish, a line each.
type FinishResults struct {
	to       io.Writer
	file     *results.File   // nil: a stream
	finished map[string]bool // identities that earlier runs finished
}

// StreamFinishResults writes results to w.
func StreamFinishResults(w io.Writer) *FinishResults { return &FinishResults{to: w} }

// OpenFinishResults opens or creates a results file and reads the lines of earlier runs.
func OpenFinishResults(path string) (*FinishResults, error) {
	file, err := results.Open(path)
	if err != nil {
		return nil, err
	}
	r := &FinishResults{to: file, file: file, finished: map[string]bool{}}
	if err := file.Load(r.resume); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// resume notes a line that an earlier run wrote.
func (r *FinishResults) resume(line []byte) error {
	var result FinishResult
	if err := json.Unmarshal(line, &result); err != nil || result.IdentityID == "" || result.Outcome == "" {
		return errors.New("a line is not a result of finish; name another file")
	}
	switch {
	case result.Outcome == results.Finished, result.Reason == reasonEarlier:
		r.finished[result.IdentityID] = true
	case result.Outcome == results.Restored:
		delete(r.finished, result.IdentityID)
	}
	return nil
}

// has reports whether an earlier run finished the identity.
func (r *FinishResults) has(id string) bool { return r != nil && r.finished[id] }

func (r *FinishResults) write(result FinishResult) error {
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
func (r *FinishResults) Close() error {
	if r == nil || r.file == nil {
		return nil
	}
	return r.file.Close()
}
