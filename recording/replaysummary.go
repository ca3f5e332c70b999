package recording

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Summary counts the results of a replay.
type Summary struct {
	Calls      int            `json:"calls"`
	Same       int            `json:"same"`
	Differ     int            `json:"differ"`
	Answered   int            `json:"answered"` // without a recorded answer
	Failed     int            `json:"failed"`
	Unreadable int            `json:"unreadable"`
	PassedOver int            `json:"passed_over"` // files of folders without calls
	Skipped    map[string]int `json:"skipped"`     // by reason
}

// Add counts a result. Skipped must not be nil.
func (s *Summary) Add(result Result) {
	s.Calls++
	switch result.Verdict {
	case VerdictSame:
		s.Same++
	case VerdictDiffers:
		s.Differ++
	case VerdictAnswered:
		s.Answered++
	case VerdictFailed:
		s.Failed++
	case VerdictSkipped:
		s.Skipped[result.Reason]++
	}
}

// Print prints the counts that are not 0.
func (s *Summary) Print(w io.Writer) {
	count := func(n int, what string) {
		if n > 0 {
			_, _ = fmt.Fprintf(w, "%9d %s\n", n, what)
		}
	}
	count(s.Same, "answered as recorded")
	count(s.Differ, "answered differently")
	count(s.Answered, "answered, with no recorded answer to compare")
	count(s.Failed, "not answered")
	count(s.Unreadable, "could not be read")
	for _, reason := range slices.Sorted(maps.Keys(s.Skipped)) {
		count(s.Skipped[reason], "skipped: "+reason)
	}
	count(s.PassedOver, "files in folders have no calls")
}

// Diff describes a result with both answers.
func (r Result) Diff() string {
	var out strings.Builder
	before, now := r.Recorded, r.Answered
	fmt.Fprintf(&out, "%s  %s\n  - %d %s\n  + %d %s\n    recorded: %s", r.At, r.Route, before.Status, before.Answer, now.Status, now.Answer, before.Outcome)
	for _, field := range []struct{ name, value string }{
		{"reason", before.Reason},
		{"auth0_error", before.UpstreamCode},
		{"identity_id", before.IdentityID},
		{"identifier_hash", before.Identifier},
		{"request_id", before.RequestID},
	} {
		if field.value != "" {
			fmt.Fprintf(&out, ", %s %s", field.name, field.value)
		}
	}
	if before.UpstreamStatus != 0 {
		fmt.Fprintf(&out, ", auth0_status %d", before.UpstreamStatus)
	}
	fmt.Fprintf(&out, "\n    now: request_id %s in ferry's log\n", r.RequestID)
	return out.String()
}
