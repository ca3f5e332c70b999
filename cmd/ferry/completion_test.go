package main

import (
	"bytes"
	"io"
	"regexp"
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

// TestCompletionIsComplete: the error about another value names the values that the shell is
// offered, and no others.
func TestCompletionIsComplete(t *testing.T) {
	needed := map[string][]string{"import": {"--users", "u"}, "reconcile": {"--users", "u"}, "kratos-config": {"--url", "https://ferry.test"}, "replay": {"f"}}
	list := regexp.MustCompile(`(?:must be|outcomes are|name some of) (.+)\n`)
	for command, flags := range flagValues() {
		for flag, want := range flags {
			var stderr bytes.Buffer
			args := append([]string{command, "--" + flag, "no-such-value"}, needed[command]...)
			if status := run(t.Context(), args, io.Discard, &stderr); status != exitUsage {
				t.Errorf("%v: exit %d", args, status)
			}
			found := list.FindStringSubmatch(stderr.String())
			if found == nil {
				t.Errorf("%v: the error names no values: %s", args, stderr.String())
				continue
			}
			named := strings.Split(strings.ReplaceAll(found[1], " or ", ", "), ", ")
			if slices.Sort(named); !slices.Equal(named, slices.Sorted(slices.Values(want))) {
				t.Errorf("%v: the shell is offered %q, the command takes %q", args, want, named)
			}
		}
	}
}
