package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ferry/bulk/export"
	"ferry/bulk/plan"
	"ferry/bulk/progress"
	"ferry/bulk/supplement"
	"ferry/bulk/userfile"
	"ferry/config"
	"ferry/mapping"
)

// contentFlags say how to read a users file whose columns have other names, or that lacks
// fields.
type contentFlags struct {
	columns, accept []string
	fetch           bool
}

func (f *contentFlags) bind(cmd *cobra.Command) {
	f.bindColumns(cmd)
	cmd.Flags().BoolVar(&f.fetch, "fetch-missing", false, "have Auth0 export the fields that users in the file lack, of those that --accept-missing names, and use them; needs the settings of the Management API")
	cmd.Flags().StringArrayVar(&f.accept, "accept-missing", nil, "`FIELD,…` that the users file may lack: any of "+strings.Join(plan.Deciding(), ", ")+"; without this flag, a file that lacks one is refused")
}

func (f *contentFlags) bindColumns(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.columns, "column", nil, "`FIELD=COLUMN`: the column of the users file that has this Auth0 field, such as connection=provider; may be repeated")
}

// parse returns what the flags say. Its errors are wrong usage.
func (f *contentFlags) parse() (columns userfile.Columns, accepted []string, err error) {
	if columns, err = userfile.ParseColumns(f.columns); err != nil {
		return nil, nil, err
	}
	accepted, err = plan.ParseAccepted(f.accept)
	return columns, accepted, err
}

// parts returns the settings that reading the file needs, besides others.
func (f *contentFlags) parts(others ...config.Part) []config.Part {
	if f.fetch {
		others = append(others, config.Management)
	}
	return others
}

// fetchMissing completes the users of the file with fields that it has Auth0 export, if the
// flag says so. The returned function closes what the users are completed from.
func (f *contentFlags) fetchMissing(ctx context.Context, users *userfile.Source, cfg *config.Config, dir string, reporter progress.Reporter) (closer func() error, err error) {
	if !f.fetch {
		return func() error { return nil }, nil
	}
	auth0, err := newManagement(cfg, nil)
	if err != nil {
		return nil, err
	}
	file, count, err := export.Fetch(ctx, auth0, mapping.CompletedFrom(), dir, reporter)
	if err != nil {
		return nil, fmt.Errorf("fetch the missing fields: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	index, err := supplement.Open(ctx, file, count, dir)
	if err != nil {
		return nil, fmt.Errorf("fetch the missing fields: %w", err)
	}
	users.Complete(index.Complete)
	return index.Close, nil
}

// advised adds to the refusal of a users file that lacks fields how to get them, and how to
// accept what is missing.
func advised(err error, cfg *config.Config) error {
	var missing *plan.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	way := "export the users again with these fields, as ferry export does"
	if cfg.Auth0MgmtClientID != "" {
		way = "have ferry fetch them from Auth0: --fetch-missing"
	}
	return fmt.Errorf("%w\nhint: %s; or accept what is missing: --accept-missing %s", err, way, strings.Join(missing.Fields(), ","))
}
