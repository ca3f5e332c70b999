package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestWalkThrough: every command of docs/login-fails.md exists, with its flags.
func TestWalkThrough(t *testing.T) {
	text, err := os.ReadFile("../../docs/login-fails.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]int{}
	for line := range strings.Lines(string(text)) {
		_, command, found := strings.Cut(line, "build/ferry ")
		if !found || strings.Contains(line, "`") { // within a sentence: no flags, and no line for a shell
			continue
		}
		root := &cobra.Command{Use: "ferry"}
		root.AddCommand(doctorCommand(nil, io.Discard, io.Discard), recordCommand(io.Discard, io.Discard), replayCommand(io.Discard, io.Discard))
		cmd, args, err := root.Find(strings.Fields(command))
		if err != nil || cmd == root {
			t.Errorf("%s: no such command: %v", command, err)
			continue
		}
		if err := cmd.ParseFlags(args); err != nil {
			t.Errorf("%s: %v", command, err)
		} else if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
			t.Errorf("%s: %v", command, err)
		}
		checked[cmd.CommandPath()]++
	}
	if len(checked) != 3 || checked["ferry replay"] != 2 {
		t.Errorf("checked %v", checked)
	}
}
