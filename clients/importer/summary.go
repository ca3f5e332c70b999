package importer

import (
	"io"
	"maps"
	"slices"

	"ferry/bulk/results"
)

// Summary counts what became of the applications.
type Summary struct {
	DryRun       bool `json:"dry_run"`
	Applications int  `json:"applications"`
	// Results are the applications by outcome; Reasons by outcome and reason, such as
	// "refused: no_secret".
	Results map[Outcome]int `json:"results"`
	Reasons map[string]int  `json:"reasons"`
	// Findings are the fields and values that cannot be moved, by reason.
	Findings map[string]int `json:"findings"`
	// Verified are the clients whose credentials Hydra accepted.
	Verified int     `json:"verified"`
	Seconds  float64 `json:"seconds"`
}

// Outcomes are all outcomes.
func Outcomes() []Outcome {
	return []Outcome{Created, Updated, Unchanged, Skipped, Refused, Failed}
}

func newSummary(dryRun bool) Summary {
	s := Summary{DryRun: dryRun, Results: map[Outcome]int{}, Reasons: map[string]int{}, Findings: map[string]int{}}
	for _, outcome := range Outcomes() {
		s.Results[outcome] = 0
	}
	return s
}

func (s *Summary) add(result Result) {
	s.Applications++
	s.Results[result.Result]++
	if result.Reason != "" {
		s.Reasons[string(result.Result)+": "+string(result.Reason)]++
	}
	for _, finding := range result.Fields {
		s.Findings[string(finding.Reason)]++
	}
	if result.Verified {
		s.Verified++
	}
}

// Failures is the number of applications that should have become clients and did not.
func (s Summary) Failures() int { return s.Results[Refused] + s.Results[Failed] }

// Print prints the summary for people. cut says that the run was interrupted.
func (s Summary) Print(w io.Writer, cut bool) {
	line := results.Liner(w)
	if s.DryRun {
		line("dry run: nothing was written; this is what a run would do")
	}
	line("%9d applications", s.Applications)
	outcomes := map[results.Outcome]int{}
	for outcome, n := range s.Results {
		outcomes[results.Outcome(outcome)] = n
	}
	for _, outcome := range Outcomes() {
		results.Outcome(outcome).Print(line, outcomes, s.Reasons)
	}
	if !s.DryRun {
		line("%9d clients verified: Hydra accepts their credentials", s.Verified)
	}
	if len(s.Findings) > 0 {
		line("fields and values that cannot be moved; the results name them:")
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Findings)) {
		line("%9d %s", s.Findings[reason], reason)
	}
	if !cut && !s.DryRun && s.Applications > 0 && s.Results[Created]+s.Results[Updated] == 0 {
		line("nothing was changed at Hydra")
	}
}
