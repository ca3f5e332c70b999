package results

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Liner returns a function that prints a human-readable line.
func Liner(w io.Writer) func(format string, args ...any) {
	return func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
}

// Print prints the number of results with the outcome, and with each reason for it.
func (o Outcome) Print(line func(string, ...any), outcomes map[Outcome]int, reasons map[string]int) {
	line("%9d %s", outcomes[o], o)
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if why, ok := strings.CutPrefix(name, string(o)+": "); ok {
			line("%9s   %d %s", "", reasons[name], why)
		}
	}
}
