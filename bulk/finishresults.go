package bulk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// FinishResults receives the results of Finish, a line each. In a file, the lines of
// earlier runs stay and new ones follow.
type FinishResults struct {
	to       io.Writer
	file     *os.File // nil: a stream
	finished map[string]bool
}

// StreamFinishResults writes results to w.
func StreamFinishResults(w io.Writer) *FinishResults { return &FinishResults{to: w} }

// OpenFinishResults opens or creates a results file. An incomplete last line, of a run
// that was killed, is removed. The file is locked until Close.
func OpenFinishResults(path string) (_ *FinishResults, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open results: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	taken, err := lock(file)
	switch {
	case err != nil:
		return nil, fmt.Errorf("lock results: %w", err)
	case !taken:
		return nil, fmt.Errorf("open results: another run writes %s; wait for it to end, or name another file", path)
	}
	r := &FinishResults{to: file, file: file, finished: map[string]bool{}}
	whole, err := r.load(file)
	if err == nil {
		err = file.Truncate(whole)
	}
	if err == nil {
		_, err = file.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	return r, nil
}

// load reads the lines of earlier runs, and returns where the last whole one ends.
func (r *FinishResults) load(from io.Reader) (whole int64, err error) {
	in := bufio.NewReaderSize(from, 1<<16)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		var result FinishResult
		if err == nil {
			err = json.Unmarshal(line, &result)
		}
		if err != nil || result.IdentityID == "" || result.Outcome == "" {
			return 0, errors.New("a line is not a result of finish; name another file")
		}
		whole += int64(len(line))
		switch {
		case result.Outcome == Finished, result.Reason == reasonEarlier:
			r.finished[result.IdentityID] = true
		case result.Outcome == Restored:
			delete(r.finished, result.IdentityID)
		}
	}
}

// has reports whether the file says already that the identity is finished.
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
	return errors.Join(r.file.Sync(), r.file.Close())
}
