package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// narrator prints the story. It keeps the first write error in err, which callers check
// before they continue.
type narrator struct {
	out     io.Writer
	colours bool
	steps   int
	err     error
}

// The colours (ECMA-48, SGR).
const (
	bold  = "1"
	green = "32"
	red   = "1;31"
)

func (n *narrator) paint(colour, text string) string {
	if !n.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (n *narrator) printf(format string, args ...any) {
	if n.err != nil {
		return
	}
	if _, err := fmt.Fprintf(n.out, format, args...); err != nil {
		n.err = fmt.Errorf("narrate: %w", err)
	}
}

func (n *narrator) opening() {
	n.printf("%s\n%s\n", n.paint(bold, "ferry moves users from Auth0 to Kratos, one login at a time."),
		"Here Auth0 is simulated; Kratos, Hydra and ferry are real. Every value below is\n"+
			"measured: at the simulator, in ferry's metrics, in Kratos' admin API.\n"+n.legend()+"\n")
}

// legend explains how an unexpected value is marked.
func (n *narrator) legend() string {
	if n.colours {
		return n.paint(green, "Green") + ": as expected."
	}
	return "A value that is not as expected is marked with ^^^."
}

// step begins a numbered step: what happens, and why.
func (n *narrator) step(done, why string) {
	n.steps++
	n.printf("\n%s\n   %s\n", n.paint(bold, fmt.Sprintf("%d. %s", n.steps, done)), why)
}

// fact prints a measured value and, if it differs, the expected one. It reports whether
// they are equal.
func (n *narrator) fact(about, got, want, detail string) bool {
	if detail != "" {
		const columns, indent = 80, len("     ") + 11 + len(" ")
		separator := "  "
		if indent+utf8.RuneCountInString(got+separator+detail) > columns {
			separator = "\n" + strings.Repeat(" ", indent)
		}
		detail = separator + detail
	}
	if got == want {
		n.printf("     %-11s %s%s\n", about, n.paint(green, got), detail)
		return true
	}
	n.printf("     %-11s %s%s\n     %s\n", about, n.paint(red, got), detail,
		n.paint(red, fmt.Sprintf("^^^ NOT AS EXPECTED: %s must be: %s", about, want)))
	return false
}
