package undo

import (
	"fmt"
	"io"

	"ferry/bulk/results"
)

// Print prints a human-readable summary.
func (s Summary) Print(w io.Writer) {
	line := results.Liner(w)
	if s.DryRun {
		line("dry run: nothing was deleted; this is what a run would do")
	}
	line("%9d identities in Kratos, %d of them created by run %s", s.Identities, s.OfRun, s.Run)
	for _, outcome := range []results.Outcome{results.Deleted, results.Skipped, results.Failed} {
		if s.Outcomes[outcome] > 0 {
			outcome.Print(line, s.Outcomes, s.Reasons)
		}
	}
	line("%9d of the run afterwards", s.Remaining)
}

// Next returns what to do next.
func (s Summary) Next() string {
	switch {
	case s.OfRun == 0:
		return "no identity records this run: it has been undone, or the id is wrong; `ferry runs` lists the runs"
	case s.DryRun && s.Outcomes[results.Deleted] == 0:
		return "nothing can be undone: the results say why"
	case s.DryRun:
		return fmt.Sprintf("next: ferry undo --run %s --yes --results undo.ndjson", s.Run)
	case s.Remaining > 0:
		return fmt.Sprintf("%d identities of the run stay: the results say why; ferry reconcile compares them with Auth0", s.Remaining)
	}
	return "the run is undone; import again with another results file"
}
