package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestCompletion: the shell is offered exactly the values that a flag takes.
func TestCompletion(t *testing.T) {
	for command, flags := range flagValues() {
		for flag, want := range flags {
			var stdout bytes.Buffer
			if status := run(t.Context(), []string{"__complete", command, "--" + flag, ""}, &stdout, io.Discard); status != exitOK {
				t.Fatalf("%s --%s: exit %d", command, flag, status)
			}
			lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
			if got := lines[:len(lines)-1]; !slices.Equal(got, want) { // the last line is for the shell's script
				t.Errorf("%s --%s: offered %q, want %q", command, flag, got, want)
			}
		}
	}
}
