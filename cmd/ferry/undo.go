package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"ferry/audit"
	"ferry/bulk/progress"
	"ferry/bulk/undo"
	"ferry/config"
)

// undoFlags are the flags of `ferry undo`.
type undoFlags struct {
	yes, json    bool
	run, results string
}

func undoCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags undoFlags
	cmd := &cobra.Command{
		Use:   "undo --run ID",
		Short: "Delete the identities of an import that no one has used.",
		Long: "Deletes the identities that a run of `ferry import` created, if they are as the import left them: still\n" +
			"pending, or with the imported hash, or without a password; without a session; not changed by anyone. The\n" +
			"results say why it keeps the others. Without --yes it only says what it would do. `ferry runs` lists the\n" +
			"runs. Run the same command again after an interruption.\n" +
			"Exit 0: done, 1: an identity could not be deleted, or the run was interrupted, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if uuid.Validate(flags.run) != nil {
				return errors.New("name the run of the import: --run ID; `ferry runs` lists the ids")
			}
			return asFailed(flags.do(cmd.Context(), stdout, stderr))
		},
	}
	cmd.Flags().StringVar(&flags.run, "run", "", "`ID` of the run to undo, as `ferry runs` lists it")
	cmd.Flags().BoolVar(&flags.yes, "yes", false, "delete the identities (default: say what would be deleted)")
	cmd.Flags().StringVar(&flags.results, "results", "", "`FILE` for a line per identity; another call appends to it (default: standard output)")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print the summary as JSON on standard output")
	return cmd
}

func (f *undoFlags) do(ctx context.Context, stdout, stderr io.Writer) (err error) {
	cfg, err := config.LoadFor(config.Kratos)
	if err != nil {
		return err
	}
	opts := undo.Options{Run: f.run, Write: f.yes, Progress: progress.NewTerminal(stderr), Now: time.Now}
	if opts.Kratos, err = bulkKratos(cfg); err != nil {
		return err
	}
	if opts.Results, err = f.open(stdout); err != nil {
		return err
	}
	earlier := opts.Results.Earlier()
	started := time.Now()
	summary, err := undo.Undo(ctx, opts)
	if err == nil && f.yes {
		keepRecord(ctx, cfg, undoRecord(summary, started), stderr)
	}
	if f.yes {
		auditCommand(cfg, audit.Record{Command: "undo", Counts: countsOf(summary.Outcomes)}, err, stderr)
	}
	err = errors.Join(walked(ctx, err), opts.Results.Close())
	return f.conclude(summary, earlier, err, stdout, stderr)
}

func (f *undoFlags) open(stdout io.Writer) (*undo.Results, error) {
	switch {
	case f.results != "":
		return undo.OpenResults(f.results, f.run)
	case f.json:
		return nil, nil //nolint:nilnil // no results are wanted
	}
	return undo.StreamResults(stdout), nil
}

// conclude prints the summary. earlier is the number of identities that earlier calls
// deleted. The error says that the run was interrupted, or that identities could not be
// deleted.
func (f *undoFlags) conclude(s undo.Summary, earlier int, cut error, stdout, stderr io.Writer) error {
	switch {
	case s.Identities > 0 || cut == nil:
	default:
		return startAgain(cut) // it did not begin
	}
	if f.json {
		if err := printJSON(stdout, s); err != nil {
			return errors.Join(err, cut)
		}
	}
	if earlier > 0 {
		_, _ = fmt.Fprintf(stderr, "%9d deleted earlier, by %s\n", earlier, f.results)
	}
	s.Print(stderr)
	switch {
	case cut != nil:
		return resumableError{cut, "to continue, run the same command again"}
	case s.Failed() > 0:
		return fmt.Errorf("%d identities could not be deleted; the results say why", s.Failed())
	}
	_, _ = fmt.Fprintln(stderr, s.Next())
	return nil
}
