package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ferry/test/auth0sim/gen"
)

// genCommand returns the subcommand that makes tenants; its one line goes to stderr.
func genCommand(stderr io.Writer) *cobra.Command {
	var o gen.Options
	cmd := &cobra.Command{
		Use:   "gen --users N --out DIR",
		Short: "Generate the files of a tenant, and the results that an import must give",
		Long: "Generates the files of a tenant, and the results that an import must give: " + gen.UsersFile + " as a job\n" +
			"exporting users writes it, " + gen.HashesFile + " as Auth0 exports password hashes,\n" +
			gen.ExpectedFile + ", " + gen.SchemaFile + ", and " + gen.SeedFile + " for --seed.\n\n" +
			"The same number and seed give the same bytes. With 500 users or more, the files have every\nkind of line.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Check(); err != nil {
				return &usageError{err}
			}
			summary, err := gen.Write(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(stderr, "wrote to %s: %s\n", o.Dir, summary)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Users, "users", 0, "`number` of lines in "+gen.UsersFile+", blank ones not counted")
	flags.Uint64Var(&o.Seed, "seed", 1, "`number` that everything is drawn with")
	flags.StringVar(&o.Dir, "out", "", "`directory`, made where it does not exist; its files are replaced")
	flags.StringVar((*string)(&o.Format), "format", string(gen.FormatNDJSON), "also write "+gen.CSVFile+" or "+gen.ArrayFile+": `ndjson, csv, json or all`")
	flags.IntVar(&o.Cost, "cost", gen.DefaultCost, "bcrypt `cost` of the password hashes, 4 to 15")
	return cmd
}
