package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages, for packages and releases.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write a manual page for each command into a directory.",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return asFailed(writeManual(cmd.Root(), args[0]))
		},
	}
}

func writeManual(root *cobra.Command, dir string) error {
	const mode = 0o755
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("man: %w", err)
	}
	root.DisableAutoGenTag = true // it has the date
	header := &doc.GenManHeader{Section: "1", Source: "ferry " + root.Version, Manual: "ferry", Date: nil}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("man: %w", err)
	}
	return nil
}
