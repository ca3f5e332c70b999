package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/kratos"
)

// recorder writes a result for each row and remembers which rows have one.
type recorder struct {
	mu      sync.Mutex
	to      io.Writer // nil: no results
	done    results.LineSet
	failed  results.LineSet
	created results.LineSet
	summary Summary
	broken  error
}

// put appends results, one for each row. Those of merged rows come before that of their
// primary row, so a row that has its result in a torn file has those of its accounts too.
// After a failed write, it always returns that error.
func (r *recorder) put(all ...results.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	var text []byte
	for _, result := range all {
		for _, one := range append(result.OfAccounts(), result) {
			if !r.note(one) || r.to == nil {
				continue
			}
			line, err := json.Marshal(one)
			if err != nil {
				return fmt.Errorf("write results: %w", err)
			}
			text = append(append(text, line...), '\n')
		}
	}
	if len(text) == 0 {
		return nil
	}
	if _, err := r.to.Write(text); err != nil {
		r.broken = fmt.Errorf("write results: %w", err)
	}
	return r.broken
}

// note counts a result. It returns false if the row has a result already.
func (r *recorder) note(result results.Result) bool {
	if r.done.Has(result.Line) {
		return false
	}
	r.done.Add(result.Line)
	switch result.Outcome {
	case results.Failed:
		r.failed.Add(result.Line)
	case results.CreatedHash, results.CreatedPending, results.CreatedSocial, results.CreatedCode, results.CreatedBridge:
		r.created.Add(result.Line)
	case results.Merged, results.Updated, results.Skipped, results.Finished, results.Restored, results.Deleted:
	}
	r.summary.count(result)
	return true
}

// total returns the summary of all results. p is nil if there is no plan; lacks are the
// fields that the identities were created without.
func (r *recorder) total(p *plan.Plan, lacks []kratos.Field) Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	summary := r.summary
	if p == nil {
		return summary
	}
	summary.SocialLeftOut, summary.PhonesLeftOut, summary.HashesUsed = p.SocialLeftOut, p.PhonesLeftOut, p.HashesUsed
	summary.BridgeLeftOut = p.BridgeLeftOut
	summary.WithoutConnection = p.WithoutConnection
	summary.Shared, summary.Folding, summary.FoldingLines = p.Shared, p.Folding, p.FoldingLines
	summary.SeveralAccounts, summary.PeopleMerged, summary.PeopleLeftOut = p.People.Several, p.People.Merged, p.People.LeftOut
	summary.MFADropped, summary.MFAKept = r.created.Shared(p.MFADropped), r.created.Shared(p.MFAKept)
	for _, field := range lacks {
		if n := r.created.Shared(p.Fields[field]); n > 0 {
			if summary.FieldsLeftOut == nil {
				summary.FieldsLeftOut = map[kratos.Field]int{}
			}
			summary.FieldsLeftOut[field] = n
		}
	}
	summary.Unverified = r.created.Shared(p.Unverified)
	summary.NoVerifiedAddress = r.created.Shared(p.Unaddressed)
	return summary
}

// has reports whether the row has its result.
func (r *recorder) has(line int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done.Has(line)
}

// resume counts a line that an earlier part of the run wrote.
func (r *recorder) resume(line []byte) error {
	var result results.Result
	if err := json.Unmarshal(line, &result); err != nil || result.Line < 1 || result.Line > results.MaxLine || result.Outcome == "" {
		return errors.New("the results file holds a line that no import wrote: name another file")
	}
	if r.note(result) {
		r.summary.Resumed++
	}
	return nil
}
