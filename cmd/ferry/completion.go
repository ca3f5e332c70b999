package main

import (
	"github.com/spf13/cobra"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/wiring"
)

// flagValues returns the values of flags with fixed values, by command and flag.
func flagValues() map[string]map[string][]string {
	return map[string]map[string][]string{
		"import": {
			"mode":           {string(plan.ModeAuto), string(plan.ModeHook), string(plan.ModeHash)},
			"mfa":            {"skip", "drop", "keep"},
			"unverified":     {"skip", "pending"},
			"accept-missing": plan.Deciding(),
			"on-conflict":    {string(importer.ConflictSkip), string(importer.ConflictUpdate), string(importer.ConflictFail)},
		},
		"reconcile":     {"fix-extra": {"deactivate"}, "mfa": {"skip", "drop", "keep"}, "accept-missing": plan.Deciding()},
		"kratos-config": {"response": {wiring.Ignore, wiring.Parse}, "for": {oryNetwork}},
		"replay":        {"only": recordedOutcomes()},
	}
}

// completeValues registers shell completion for flagValues.
func completeValues(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		for flag, values := range flagValues()[cmd.Name()] {
			// The only error is a flag that the command does not have; a test checks that.
			_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
	}
}
