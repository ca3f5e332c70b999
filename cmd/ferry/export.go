package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"ferry/bulk/export"
	"ferry/bulk/progress"
	"ferry/config"
	"ferry/upstream"
)

// exportFlags are the flags of `ferry export`.
type exportFlags struct {
	out, connection, job string
	force, json          bool

	factors factorFlags
}

func exportCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags exportFlags
	cmd := &cobra.Command{
		Use:   "export --out FILE | --factors FILE --users USERS",
		Short: "Export Auth0's users to a file.",
		Long: "Has Auth0 export its users and writes them to a file, one JSON object per line. The file appears only\n" +
			"when it is complete and checked. An interrupted export continues with --job, for up to a day.\n\n" +
			"With --factors it asks Auth0 for the second factors and passkeys of each user of a users file, and writes\n" +
			"them to the file that `ferry import --factors` reads. Run the same command again after an interruption.\n" +
			"Exit 0: written, 1: not written, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("connection") && flags.connection == "" {
				return errors.New("--connection is empty: give a name, or leave it out for the whole tenant")
			}
			if err := flags.check(cmd.Flags().Changed); err != nil {
				return err
			}
			if flags.factors.out != "" {
				return asFailed(runExportFactors(cmd.Context(), flags, stdout, stderr))
			}
			return asFailed(runExport(cmd.Context(), flags, stdout, stderr))
		},
	}
	cmd.Flags().StringVar(&flags.out, "out", "", "`FILE` to write: gzip if its name ends in .gz, else NDJSON; - for standard output")
	cmd.Flags().StringVar(&flags.connection, "connection", "", "`NAME` or id of the connection whose users are exported; without it, all users of the tenant")
	cmd.Flags().StringVar(&flags.job, "job", "", "`ID` of an earlier job to continue")
	cmd.Flags().BoolVar(&flags.force, "force", false, "replace FILE if it exists")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print a summary on standard output, as JSON")
	flags.factors.bind(cmd)
	return cmd
}

// check finds wrong usage, before any request.
func (f exportFlags) check(given func(string) bool) error {
	if f.factors.out != "" {
		return f.factors.check(f, given)
	}
	if name := firstGiven(given, factorOnly()); name != "" {
		return errors.New("--" + name + " needs --factors FILE")
	}
	switch {
	case f.out == "":
		return errors.New("name the file to write: --out FILE, or --out - for standard output")
	case f.json && f.out == "-":
		return errors.New("--json and --out - both write to standard output: leave one out")
	case f.job != "" && f.connection != "":
		return errors.New("--job continues an earlier export, with the connection of that export: leave --connection out")
	case f.job != "" && !upstream.IsJobID(f.job):
		return errors.New("--job must be the id that `ferry export` printed: job_ and 16 letters or digits")
	}
	return export.CheckOut(f.out, f.force)
}

func runExport(ctx context.Context, flags exportFlags, stdout, stderr io.Writer) error {
	cfg, err := config.LoadFor(config.Management)
	if err != nil {
		return err
	}
	auth0, err := newManagement(cfg, nil)
	if err != nil {
		return err
	}
	_, domain := tenantOf(cfg)
	reporter := progress.NewTerminal(stderr)
	done, err := export.Run(ctx, export.Options{
		Auth0: auth0, Connection: flags.connection, Job: flags.job, Tenant: domain,
		Out: flags.out, Force: flags.force, Stdout: stdout, Progress: reporter,
	})
	if err != nil {
		return err
	}
	if flags.json {
		return json.NewEncoder(stdout).Encode(done)
	}
	reporter.Say("exported " + progress.Grouped(done.Users) + " users, " + progress.Size(done.Bytes) + ", to " + done.Path)
	return nil
}
