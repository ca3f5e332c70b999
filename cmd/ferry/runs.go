package main

import (
	"io"

	"github.com/spf13/cobra"

	"ferry/bulk/progress"
	"ferry/bulk/runs"
	"ferry/config"
)

func runsCommand(stdout, stderr io.Writer) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of imports, and what their identities are now.",
		Long: "Reads all identities in Kratos, which takes some seconds for tens of thousands, and lists the runs of\n" +
			"`ferry import` that created them: the id of the run, when its rows were planned, and how many of its\n" +
			"identities are pending, have the imported hash, and so on. `ferry undo --run ID` takes a run back.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadFor(config.Kratos)
			if err != nil {
				return asFailed(err)
			}
			identities, err := bulkKratos(cfg)
			if err != nil {
				return asFailed(err)
			}
			list, err := runs.Read(cmd.Context(), identities, progress.NewTerminal(stderr))
			if err != nil {
				return asFailed(startAgain(walked(cmd.Context(), err)))
			}
			if asJSON {
				return asFailed(printJSON(stdout, list))
			}
			return asFailed(list.Print(stdout))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as a JSON object")
	return cmd
}
