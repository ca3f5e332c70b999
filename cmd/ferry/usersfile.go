package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ferry/bulk/plan"
	"ferry/bulk/userfile"
	"ferry/config"
)

// contentFlags say how to read a users file whose columns have other names, or that lacks
// fields.
type contentFlags struct{ columns, accept []string }

func (f *contentFlags) bind(cmd *cobra.Command) {
	f.bindColumns(cmd)
	cmd.Flags().StringArrayVar(&f.accept, "accept-missing", nil, "`FIELD,…` that the users file may lack, of "+strings.Join(plan.Deciding(), ", ")+"; without it, a file that lacks one is refused")
}

func (f *contentFlags) bindColumns(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.columns, "column", nil, "`FIELD=COLUMN`: this column of the users file has that field of Auth0's, as in connection=provider; may be repeated")
}

// parse returns what the flags say. Its errors are wrong usage.
func (f *contentFlags) parse() (columns userfile.Columns, accepted []string, err error) {
	if columns, err = userfile.ParseColumns(f.columns); err != nil {
		return nil, nil, err
	}
	accepted, err = plan.ParseAccepted(f.accept)
	return columns, accepted, err
}

// advised adds to the refusal of a users file that lacks fields how to get them, and how to
// accept what is missing.
func advised(err error, cfg *config.Config) error {
	var missing *plan.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	way := "export the users again with these fields"
	if cfg.Auth0MgmtClientID != "" {
		way = "fetch them: ferry export --out users.ndjson.gz writes a file with all of them"
	}
	return fmt.Errorf("%w\nhint: %s; or accept what is missing: --accept-missing %s", err, way, strings.Join(missing.Fields(), ","))
}
