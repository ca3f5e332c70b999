package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the report as text: one line for each check, and below it the fix.
func (r Report) Print(w io.Writer) error {
	counts := map[Status]int{}
	var text strings.Builder
	width := 0
	for _, check := range r.Checks {
		width = max(width, len(check.Name))
	}
	for _, check := range r.Checks {
		counts[check.Status]++
		fmt.Fprintf(&text, "%-4s  %-*s  %s\n", word(check.Status), width, check.Name, check.Detail)
		if check.Fix != "" {
			fmt.Fprintf(&text, "      %-*s  -> %s\n", width, "", check.Fix)
		}
	}
	fmt.Fprintf(&text, "%d checks: %d ok, %d warnings, %d failed, %d skipped\n",
		len(r.Checks), counts[OK], counts[Warn], counts[Fail], counts[Skip])
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// word returns a status in a form that makes failures visible without colours.
func word(s Status) string {
	if s == Fail {
		return "FAIL"
	}
	return string(s)
}
