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
	for _, check := range r.Checks {
		counts[check.Status]++
		fmt.Fprintf(&text, "%-4s  %-28s  %s\n", word(check.Status), check.Name, check.Detail)
		if check.Fix != "" {
			fmt.Fprintf(&text, "      %-28s  -> %s\n", "", check.Fix)
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
