package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"ferry/config"
	"ferry/doctor"
	"ferry/hook"
)

func doctorWhyCommand(stdout io.Writer) *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:   "why IDENTIFIER",
		Short: "Say why a person cannot log in.",
		Long: "Says whether the next login of a person works, and if not, what is in the way, the likeliest first, each with\n" +
			"the way out. The identifier is what the person types: an e-mail address, a username, a phone number.\n\n" +
			"It looks at the person in Kratos; at kratos.yml, with --kratos-config; at the person at Auth0, with credentials\n" +
			"for the Management API (scope read:users). It calls ferry's hook for somebody who does not exist. Where all of\n" +
			"that is in order it asks Auth0 for one grant, for a user that cannot exist: one failed login from this machine\n" +
			"(--no-grant: none). It changes nothing, and never tries a login of the person's.\n\n" +
			"Exit status: 0: everything was looked at and nothing is in the way. 1: something is or may be in the way, or\n" +
			"not everything was looked at. 2: wrong usage.",
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
	cmd.Flags().BoolVar(&flags.noGrant, "no-grant", false, "ask Auth0 for no grant: whether it answers ferry and takes its client is not looked at")
	return cmd
}

func (f *doctorFlags) why(ctx context.Context, opts doctor.Options, identifier string, stdout io.Writer) error {
	cfg, err := readSettings(config.Kratos)
	if err != nil {
		return err
	}
	take(&opts, cfg, nil)
	if !cfg.LogHashKey.Empty() {
		opts.HashIdentifier = func(identifier string) string { return hook.Hash(cfg.LogHashKey, identifier) }
	}
	findings := doctor.Why(ctx, opts, identifier)
	if err := f.print(stdout, findings, findings.Print); err != nil {
		return err
	}
	switch {
	case findings.Good():
		return nil
	case findings.Verdict == doctor.NothingFound:
		return errors.New("doctor why: nothing found, but not everything was looked at: see above")
	}
	return errors.New("doctor why: something is in the way: see above")
}
