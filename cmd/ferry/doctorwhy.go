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
		Short: "Say why a user cannot log in.",
		Long: "Says whether the next login of a user works. If not, it lists the possible causes, most likely first, and how\n" +
			"to fix each. The identifier is what the user types: an e-mail address, a username or a phone number.\n\n" +
			"It checks the user in Kratos; kratos.yml, with --kratos-config; and the user at Auth0, with credentials for\n" +
			"the Management API (scope read:users). It calls ferry's hook for a user that does not exist. If all of that is in\n" +
			"order, it sends Auth0 one failed login for a user that cannot exist (not with --no-grant). It changes nothing and\n" +
			"never tries to log the user in.\n\n" +
			"Exit status: 0: everything was checked and the login works. 1: there is a possible cause, or not everything was\n" +
			"checked. 2: wrong usage.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.options()
			if err != nil {
				return err
			}
			return asFailed(flags.why(cmd.Context(), opts, args[0], stdout))
		},
	}
	flags.shared(cmd)
	cmd.Flags().BoolVar(&flags.noGrant, "no-grant", false, "do not send the failed login; whether Auth0 accepts ferry's client is not checked")
	return cmd
}

func (f *doctorFlags) why(ctx context.Context, opts doctor.Options, identifier string, stdout io.Writer) error {
	cfg, err := readSettings(config.Kratos)
	if err != nil {
		return err
	}
	addSettings(&opts, cfg, nil)
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
		return errors.New("doctor why: no cause found, but not everything was checked, see above")
	}
	return errors.New("doctor why: the login may fail, see above")
}
