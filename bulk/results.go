package bulk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
)

// Outcome is what became of one row; in a dry run, what would become of it.
type Outcome string

// The outcomes.
const (
	// CreatedHash is an identity with the password hash that Auth0 exported.
	CreatedHash Outcome = "created_hash"
	// CreatedPending is an identity whose password Kratos asks the migration hook for.
	CreatedPending Outcome = "created_pending"
	// CreatedSocial is an identity without a password, for a login at a provider.
	CreatedSocial Outcome = "created_social"
	// Updated is an identity of this user that was there and has changed.
	Updated Outcome = "updated"
	// Skipped is a row that was left alone, for the reason given.
	Skipped Outcome = "skipped"
	// Failed is a row that should have become an identity and has not.
	Failed Outcome = "failed"
)

// Result is what became of one row.
type Result struct {
	// Line is where the row begins: the physical line, or the element of an array; from 1.
	Line int `json:"line"`
	// UserID is the Auth0 user; empty where the row does not tell.
	UserID  string  `json:"user_id"`
	Outcome Outcome `json:"outcome"`
	// IdentityID is the Kratos identity that the row became or was, or the one that is in
	// its way.
	IdentityID string `json:"identity_id,omitempty"`
	// Reason is one of a few words, listed in docs/import.md.
	Reason string `json:"reason,omitempty"`
	// Detail says more about the reason, or about what was left out. It may quote what
	// Kratos said of the person's data: it is for the operator, not for a log.
	Detail string `json:"detail,omitempty"`
}

// results writes a line for each row as it happens, and remembers which are done.
type results struct {
	mu      sync.Mutex
	to      io.Writer // nil: nobody wants them
	done    lineSet
	failed  lineSet
	created lineSet
	mfa     lineSet // those of users whose second factor is dropped, if they cross
	// unverified are rows with addresses of which Auth0 verified none, and unaddressed
	// those whose identity gets no verified address.
	unverified, unaddressed lineSet
	summary                 Summary
	broken                  error
}

// put writes results, each once; once it cannot, it says why for good.
func (r *results) put(all ...Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	var text []byte
	for _, result := range all {
		if !r.note(result) || r.to == nil {
			continue
		}
		line, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("write results: %w", err)
		}
		text = append(append(text, line...), '\n')
	}
	if len(text) == 0 {
		return nil
	}
	if _, err := r.to.Write(text); err != nil {
		r.broken = fmt.Errorf("write results: %w", err)
	}
	return r.broken
}

// note counts a result; it reports false of a row that has one.
func (r *results) note(result Result) bool {
	if r.done.has(result.Line) {
		return false
	}
	r.done.add(result.Line)
	switch result.Outcome {
	case Failed:
		r.failed.add(result.Line)
	case CreatedHash, CreatedPending, CreatedSocial:
		r.created.add(result.Line)
	case Updated, Skipped, Finished, Restored:
	}
	r.summary.count(result)
	return true
}

// addDraft notes what the plan of a row tells for the summary.
func (r *results) addDraft(s draft) {
	r.summary.SocialLeftOut += s.socialLeftOut
	r.summary.PhonesLeftOut += s.phonesLeftOut
	if s.mfaDropped {
		r.mfa.add(s.Line)
	}
	if s.unverified {
		r.unverified.add(s.Line)
	}
	if s.unaddressed {
		r.unaddressed.add(s.Line)
	}
}

// total is the summary of all results.
func (r *results) total() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	summary := r.summary
	summary.MFADropped = r.created.shared(r.mfa)
	summary.Unverified = r.created.shared(r.unverified)
	summary.NoVerifiedAddress = r.created.shared(r.unaddressed)
	return summary
}

// has reports whether the row has its result.
func (r *results) has(line int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done.has(line)
}

// resume takes what an earlier part of the same run wrote. The last line counts only
// with its newline. The answer is how many bytes of it are whole.
func (r *results) resume(from io.Reader) (whole int64, err error) {
	in := bufio.NewReaderSize(from, 1<<16)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		var result Result
		if err == nil {
			err = json.Unmarshal(line, &result)
		}
		if err != nil || result.Line < 1 || result.Line > maxLine || result.Outcome == "" {
			return 0, errors.New("the results file holds a line that no import wrote: name another file")
		}
		whole += int64(len(line))
		if r.note(result) {
			r.summary.Resumed++
		}
	}
}

// maxResultBytes is more than a result can have: a user id is at most as long as the
// row it is of, and what JSON escapes may be six times as long.
const maxResultBytes = 64 << 20

// readLine reads up to the end of a line; io.EOF: there is none any more.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxResultBytes {
			return line, err
		}
	}
}

// lineSet is a set of lines, a bit each.
type lineSet []uint64

func (s *lineSet) add(line int) {
	for line/64 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[line/64] |= 1 << (line % 64)
}

func (s lineSet) has(line int) bool {
	return line/64 < len(s) && s[line/64]&(1<<(line%64)) != 0
}

// shared is how many lines are in both sets.
func (s lineSet) shared(other lineSet) (n int) {
	for i := range min(len(s), len(other)) {
		n += bits.OnesCount64(s[i] & other[i])
	}
	return n
}
