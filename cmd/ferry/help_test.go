package main

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// helpWidth is what a terminal shows unbroken.
const helpWidth = 120

// TestHelp: what every command says of itself can be read.
func TestHelp(t *testing.T) {
	glued := regexp.MustCompile(`\b[A-Z]{3,}s\b`)
	for _, name := range []string{
		"serve", "export", "import", "reconcile", "rebind", "plan", "status", "runs", "undo", "finish", "clients", "clients export", "clients import", "kratos-config", "hydra-config", "doctor", "doctor why",
		"record", "record keygen", "replay", "map", "config", "health", "version",
	} {
		var stdout bytes.Buffer
		if status := run(t.Context(), append(strings.Fields(name), "--help"), &stdout, io.Discard); status != exitOK {
			t.Errorf("%s --help ends with %d", name, status)
		}
		help, usage, found := strings.Cut(stdout.String(), "\nUsage:\n")
		if line, _, _ := strings.Cut(usage, "\n"); strings.Contains(line, "[--") {
			t.Errorf("%s: optional flags are listed below, not in the usage line: %s", name, line)
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
