package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"ferry/config"
	"ferry/doctor"
)

func doctorWhyCommand(stdout io.Writer) *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:   "why IDENTIFIER",
		Short: "Say why the hook is not called for a person, or why they are refused.",
		Long: "Looks at the person in Kratos and, with credentials for the Management API, at Auth0, and with --kratos-config\n" +
			"at the hook: what is or may be in the way, the likeliest first, each with the way out. It changes nothing and\n" +
			"asks for no grant. The identifier is what the person types: an e-mail address, a username, a phone number.\n" +
			"Exit 0: nothing is in the way, 1: something is or may be, or Kratos cannot be asked, 2: wrong usage.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.options()
			if err != nil {
				return err
			}
			return work(func(ctx context.Context) error { return flags.why(ctx, opts, args[0], stdout) })(cmd, args)
		},
	}
	flags.shared(cmd)
	return cmd
}

func (f *doctorFlags) why(ctx context.Context, opts doctor.Options, identifier string, stdout io.Writer) error {
	cfg, err := readSettings(config.Kratos)
	if err != nil {
		return err
	}
	take(&opts, cfg, nil)
	findings := doctor.Why(ctx, opts, identifier)
	if err := f.print(stdout, findings, findings.Print); err != nil {
		return err
	}
	if findings.Found() {
		return errors.New("doctor why: something is in the way, see above")
	}
	return nil
}
