package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"ferry/bulk/progress"
	"ferry/bulk/status"
	"ferry/bulk/userfile"
	"ferry/config"
	"ferry/migration"
)

// planFlags are the flags of `ferry plan`.
type planFlags struct {
	json                bool
	kratosConfig, users string
	metrics             []string
	content             contentFlags

	kratosConfigGiven, usersGiven bool
}

func planCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags planFlags
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show where the migration stands, and which command comes next.",
		Long: "Reads kratos.yml, all identities in Kratos, and what ferry's commands recorded in FERRY_DATA_DIR or Redis.\n" +
			"Shows the state of the migration, what was verified and when, what blocks it, how many people would\n" +
			"lose access without Auth0, and the one command that comes next. It does not call a step ready while its verification\n" +
			"is missing or stale. It changes nothing. Use the environment of `ferry serve`. See docs/plan.md.\n" +
			"Exit 0: printed, 1: something could not be read, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags.kratosConfigGiven, flags.usersGiven = cmd.Flags().Changed("kratos-config"), cmd.Flags().Changed("users")
			if flags.users == "-" {
				return errors.New("--users must be a file: the commands of the plan name it")
			}
			if err := metricsURLs(flags.metrics); err != nil {
				return err
			}
			columns, _, err := flags.content.parse()
			if err != nil {
				return err
			}
			return asFailed(flags.run(cmd.Context(), columns, stdout, stderr))
		},
	}
	cmd.Flags().BoolVar(&flags.json, "json", false, "print JSON, see docs/plan.schema.json")
	cmd.Flags().StringVar(&flags.kratosConfig, "kratos-config", kratosConfigName, "`FILE` with the kratos.yml of the running Kratos; without this flag and without such a file, what ferry doctor and ferry kratos-config recorded is used")
	cmd.Flags().StringVar(&flags.users, "users", usersName, "users `FILE` of an export for the commands of the plan; with this flag, its last logins are counted")
	cmd.Flags().StringArrayVar(&flags.metrics, "metrics", nil, "`URL` of the admin listener of a running ferry: adds its mode, the applications that use Auth0 refresh tokens, and the logins with a password that is too long; repeat it for each ferry")
	flags.content.bindColumns(cmd)
	return cmd
}

func (f *planFlags) run(ctx context.Context, columns userfile.Columns, stdout, stderr io.Writer) error {
	cfg, err := config.LoadFor(config.Kratos)
	if err != nil {
		return err
	}
	records, kept, err := readRecords(ctx, cfg)
	if err != nil {
		warner(stderr)(err.Error())
	}
	facts, err := planFacts(cfg, status.Status{}, records, kept)
	if err != nil {
		return err
	}
	if err := f.addFiles(&facts); err != nil {
		return err
	}
	if facts.Status, err = f.count(ctx, cfg, columns, facts.UsersAt, stderr); err != nil {
		return startAgain(walked(ctx, err))
	}
	if err := addRemints(ctx, &facts, cfg); err != nil {
		warner(stderr)(err.Error())
	}
	plan := migration.Decide(facts)
	if f.json {
		return printJSON(stdout, plan)
	}
	return plan.Print(stdout, func(command []string) string { return commandLine(command[1:]) })
}

// addFiles adds what the files say. Only a file that a flag names has to exist.
func (f *planFlags) addFiles(facts *migration.Facts) error {
	facts.Files = migration.Files{KratosConfig: f.kratosConfig, Users: f.users}
	facts.UsersAt, facts.FilesUnseen = writtenAt(f.users), false
	text, err := readFile(f.kratosConfig)
	if errors.Is(err, fs.ErrNotExist) && !f.kratosConfigGiven {
		return nil
	}
	if err != nil {
		return err
	}
	return addKratosConfig(facts, text)
}

// count counts the identities in Kratos, and the users of the file if a flag names one that
// exists.
func (f *planFlags) count(ctx context.Context, cfg *config.Config, columns userfile.Columns, usersAt *time.Time, stderr io.Writer) (current status.Status, err error) {
	opts := status.Options{Progress: progress.NewTerminal(stderr), Now: time.Now, Metrics: f.metrics, Client: metricsClient()}
	if opts.Kratos, err = bulkKratos(cfg); err != nil {
		return current, err
	}
	if f.usersGiven && usersAt != nil {
		opts.CountUsers = true
		if opts.Users, err = userfile.Open(ctx, f.users, nil, "", columns); err != nil {
			return current, err
		}
		defer func() { err = errors.Join(err, opts.Users.Close()) }()
	}
	return status.Read(ctx, opts)
}
