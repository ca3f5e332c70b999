package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestManual: there is a manual page for each command, with its text and its flags, and man
// renders it without a warning.
func TestManual(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "1764374400")
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"man", dir}, io.Discard, &stderr); status != exitOK || stderr.Len() > 0 {
		t.Fatalf("ferry man ends with %d: %s", status, &stderr)
	}
	want := manualPages(rootCommand(io.Discard, io.Discard))
	if len(want) < 15 || !slices.Contains(want, "ferry-doctor-why.1") {
		t.Fatalf("the commands have the pages %q", want)
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, page := range found {
		if !strings.HasPrefix(page.Name(), "ferry-completion") { // cobra's
			pages = append(pages, page.Name())
		}
		checkPage(t, filepath.Join(dir, page.Name()))
	}
	if slices.Sort(want); !slices.Equal(pages, want) {
		t.Errorf("pages are %q, want %q", pages, want)
	}
	text, err := os.ReadFile(filepath.Join(dir, "ferry-import.1"))
	if err != nil || !strings.Contains(string(text), "\\-\\-retry\\-file") && !strings.Contains(string(text), "--retry-file") || !strings.Contains(string(text), "Nov 2025") {
		t.Errorf("the page of ferry import: %v\n%s", err, text)
	}
}

// manualPages are the pages of a command and those below it that help shows.
func manualPages(cmd *cobra.Command) []string {
	pages := []string{strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"}
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			pages = append(pages, manualPages(sub)...)
		}
	}
	return pages
}

// checkPage has groff, which man uses, read a page.
func checkPage(t *testing.T, path string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "groff", "-Kutf8", "-man", "-Tutf8", "-ww", "-z", path).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%s: %v\n%s", filepath.Base(path), err, out)
	}
}
