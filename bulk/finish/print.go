package finish

import (
	"fmt"
	"io"

	"ferry/bulk/results"
)

// Print prints a human-readable summary.
func (s Summary) Print(w io.Writer) {
	line := results.Liner(w)
	if s.DryRun {
		line("dry run: nothing was written; this is what a run would do")
	}
	line("%9d identities in Kratos, %d of them pending", s.Identities, s.Pending)
	for _, outcome := range []results.Outcome{results.Finished, results.Restored, results.Skipped, results.Failed} {
		if s.Outcomes[outcome] == 0 {
			continue
		}
		outcome.Print(line, s.Outcomes, s.Reasons)
	}
	line("%9d pending afterwards", s.Remaining)
}

// Next returns what to do next.
func (s Summary) Next() string {
	left := ""
	if s.Remaining > 0 && !s.Undo {
		left = fmt.Sprintf("%d stay pending and will get an error 500 without the hook: the results name them\n", s.Remaining)
	}
	switch {
	case s.DryRun && s.Undo:
		return "next: ferry finish --undo --yes"
	case s.DryRun:
		return left + "next: set FERRY_MIGRATION_CLOSED=true for every `ferry serve`, restart it, then ferry finish --yes --results finish.ndjson"
	case s.Undo:
		return "next: unset FERRY_MIGRATION_CLOSED for every `ferry serve`, and restart it"
	case s.Remaining > 0:
		return left + "next: bind them with ferry rebind, or delete them, then run the same command again"
	}
	return "next: ferry kratos-config --remove kratos.yml"
}
