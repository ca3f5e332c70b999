package main

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpWidth is what a terminal shows unbroken.
const helpWidth = 120

// TestHelp: what every command says of itself can be read.
func TestHelp(t *testing.T) {
	glued := regexp.MustCompile(`\b[A-Z]{3,}s\b`)
	names := commandNames(rootCommand(io.Discard, io.Discard), "")
	if len(names) < 21 {
		t.Fatalf("only the commands %q", names)
	}
	for _, name := range names {
		var stdout bytes.Buffer
		if status := run(t.Context(), append(strings.Fields(name), "--help"), &stdout, io.Discard); status != exitOK {
			t.Errorf("%s --help ends with %d", name, status)
		}
		help, usage, found := strings.Cut(stdout.String(), "\nUsage:\n")
		if line, _, _ := strings.Cut(usage, "\n"); strings.Contains(line, "[--") || strings.Count(line, "[flags]") != 1 {
			t.Errorf("%s: optional flags are listed below, and named once in the usage line: %s", name, line)
		}
		for _, line := range strings.Split(help, "\n") {
			if !found || utf8.RuneCountInString(line) > helpWidth {
				t.Errorf("%s: this is too long, or all: %s", name, line)
			}
		}
		if word := glued.FindString(stdout.String()); word != "" {
			t.Errorf("%s: a placeholder is no word: %s", name, word)
		}
	}
}

// TestHelpNamesValues: the help names each value of a flag that takes a few only. The outcomes of
// replay are too many for a line.
func TestHelpNamesValues(t *testing.T) {
	const few = 6
	root := rootCommand(io.Discard, io.Discard)
	for command, flags := range flagValues() {
		cmd, _, err := root.Find([]string{command})
		if err != nil {
			t.Fatal(err)
		}
		for flag, values := range flags {
			if len(values) > few {
				continue
			}
			for _, value := range values {
				if usage := cmd.Flags().Lookup(flag).Usage; !regexp.MustCompile(`\b` + value + `\b`).MatchString(usage) {
					t.Errorf("%s --%s does not name %s: %s", command, flag, value, usage)
				}
			}
		}
	}
}

// commandNames returns the names of the commands below cmd, as they are typed.
func commandNames(cmd *cobra.Command, before string) []string {
	var names []string
	for _, child := range cmd.Commands() {
		name := before + child.Name()
		names = append(names, name)
		names = append(names, commandNames(child, name+" ")...)
	}
	return names
}
