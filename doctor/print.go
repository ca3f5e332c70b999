package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the report for people: a line each, what to change below it.
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
	fmt.Fprintf(&text, "%d checks: %d ok, %d to think about, %d wrong, %d not looked at\n",
		len(r.Checks), counts[OK], counts[Warn], counts[Fail], counts[Skip])
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// word makes a failure stand out where there are no colours.
func word(s Status) string {
	if s == Fail {
		return "FAIL"
	}
	return string(s)
}
