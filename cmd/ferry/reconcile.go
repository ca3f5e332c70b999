package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ferry/audit"
	"ferry/bulk/plan"
	"ferry/bulk/progress"
	"ferry/bulk/reconcile"
	"ferry/bulk/userfile"
	"ferry/config"
	"ferry/doctor"
)

// reconcileFlags are the flags of `ferry reconcile`.
type reconcileFlags struct {
	users, findings, tmpDir string
	kratosConfig, bridge    string
	schema                  schemaFlags
	content                 contentFlags
	providers               []string
	fix, hookOff, json      bool
	rearm                   bool
	fixExtra, mfa           string
	maxExtra                int
	lasting                 []string // flags for the record
}

func reconcileCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	var flags reconcileFlags
	cmd := &cobra.Command{
		Use:   "reconcile --users FILE",
		Short: "Compare Auth0's users with Kratos' identities, and say who can log in.",
		Long: "Compares a fresh export of Auth0's users with all identities in Kratos. It ends with a table and a one-line\n" +
			"verdict: how many of Auth0's users can log in to Kratos today, and how. With --fix it writes the\n" +
			"differences to the identities, and e-mail addresses that Auth0 verified; adds accounts that were linked since;\n" +
			"deactivates identities whose users are blocked at Auth0, and activates again those that ferry deactivated.\n" +
			"It changes no password unless --rearm is given.\n" +
			"Exit 0: no finding is open, 1: some are, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.users == "" {
				return errors.New("name the users file: --users FILE, or --users - for standard input")
			}
			if sameFile(flags.users, flags.findings) {
				return errors.New("--findings would overwrite the users file: name another file")
			}
			if err := flags.check(); err != nil {
				return err
			}
			if flags.json && flags.findings == "-" {
				return errors.New("--json and --findings - both write to standard output: leave one out")
			}
			providers, warnings, err := plan.ParseProviders(flags.providers)
			if err != nil {
				return err
			}
			if err := plan.CheckBridge(flags.bridge, providers); err != nil {
				return err
			}
			for _, text := range warnings {
				warner(stderr)(text)
			}
			flags.lasting = lastingFlags(cmd)
			return asFailed(flags.run(cmd.Context(), providers, stdin, stdout, stderr))
		},
	}
	cmd.Flags().StringVar(&flags.users, "users", "", "users `FILE` of a fresh export, in a format that `ferry import` reads; - for standard input")
	cmd.Flags().BoolVar(&flags.fix, "fix", false, "fix what is safe to fix")
	cmd.Flags().BoolVar(&flags.rearm, "rearm", false, "with --fix: make identities pending whose password was reset at Auth0 after their hash was imported, unless the user has changed it at Kratos")
	cmd.Flags().StringVar(&flags.fixExtra, "fix-extra", "", "deactivate: with --fix, deactivate the identities of users that are not in the file")
	cmd.Flags().IntVar(&flags.maxExtra, "max-extra", reconcile.DefaultMaxExtra, "`PERCENT` of the active identities that --fix-extra may deactivate; if more are extra, it deactivates none")
	cmd.Flags().StringVar(&flags.mfa, "mfa", "skip", "pending users with a second factor at Auth0: skip, drop or keep; skip counts them as unable to log in, drop says that Auth0 asks ferry's application for no factor, keep says the same and counts those whose factor Kratos has")
	cmd.Flags().BoolVar(&flags.hookOff, "hook-off", false, "the migration hook is switched off in Kratos, so pending identities may be written")
	cmd.Flags().StringArrayVar(&flags.providers, "provider", nil, "`AUTH0=KRATOS`, as for import")
	cmd.Flags().StringVar(&flags.bridge, "bridge", "", "`ID` of Kratos' OIDC provider that is the tenant itself, as for import")
	cmd.Flags().StringVar(&flags.findings, "findings", "", "`FILE` for a line per finding, NDJSON; - for standard output")
	cmd.Flags().StringVar(&flags.kratosConfig, "kratos-config", "", "kratos.yml `FILE`: if it has require_verified_address, users without a verified address count as unable to log in, and so do users with a login by code only if passwordless_enabled is off")
	cmd.Flags().StringVar(&flags.tmpDir, "temp-dir", "", "`DIR` that has about as much space as the users file (default: the system's, else beside --findings or --users)")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print the table as JSON on standard output")
	flags.schema.bind(cmd)
	flags.content.bind(cmd)
	return cmd
}

func (f *reconcileFlags) run(ctx context.Context, providers plan.Providers, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	limitHeap()
	tmpDir, err := workDir(f.tmpDir, slices.Concat([]string{systemDir}, beside(f.findings), beside(f.users))...)
	if err != nil {
		return err
	}
	cfg, err := config.LoadFor(f.content.parts(config.Kratos)...)
	if err != nil {
		return err
	}
	opts := reconcile.Options{
		Rules: mappingRules(cfg), Providers: providers, Bridge: f.bridge, Fix: f.fix, HookOff: f.hookOff, Rearm: f.rearm, DropMFA: f.mfa == "drop", KeepMFA: f.mfa == "keep",
		DeactivateExtra: f.fixExtra == "deactivate", MaxExtra: f.maxExtra,
		TempDir: tmpDir, Progress: progress.NewTerminal(stderr), Now: time.Now,
	}
	opts.Tenant, opts.Domain = tenantOf(cfg)
	columns, accepted, err := f.content.parse()
	if err != nil {
		return err
	}
	opts.Strict, opts.AcceptMissing = true, accepted
	if err := f.readKratosConfig(&opts); err != nil {
		return err
	}
	if opts.Kratos, err = bulkKratos(cfg); err != nil {
		return err
	}
	if f.schema, err = f.schema.identified(ctx, opts.Kratos); err != nil {
		return err
	}
	mapped, err := f.schema.read(ctx, cfg, opts.Kratos)
	if err != nil {
		return err
	}
	mapped.warnRefused(stderr)
	opts.Schema, opts.SchemaID, opts.Mapper = mapped.schema, mapped.id, mapped.mapper
	if opts.Users, err = userfile.Open(ctx, f.users, stdin, tmpDir, columns); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opts.Users.Close()) }()
	fetched, err := f.content.fetchMissing(ctx, opts.Users, cfg, tmpDir, opts.Progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fetched()) }()
	started, written := time.Now(), writtenAt(f.users)
	result, err := f.compare(ctx, opts, stdout)
	if err == nil {
		record := reconcileRecord(result, started)
		record.InputAt, record.Flags = written, f.lasting
		keepRecord(ctx, cfg, record, stderr)
	}
	if f.fix {
		auditCommand(cfg, audit.Record{Command: "reconcile", Counts: countsOf(result.Fixed)}, err, stderr)
	}
	return f.conclude(result, err, cfg, stdout, stderr)
}

// conclude prints the result. It returns an error if there is none, or if findings are open.
func (f *reconcileFlags) conclude(result reconcile.Result, err error, cfg *config.Config, stdout, stderr io.Writer) error {
	var missing *plan.MissingError
	switch {
	case errors.As(err, &missing):
		return advised(err, cfg)
	case err != nil:
		return startAgain(err)
	}
	if f.json {
		if err := printJSON(stdout, struct {
			reconcile.Result
			Able int `json:"able"`
		}{result, result.Able()}); err != nil {
			return err
		}
	}
	result.Print(stderr)
	if open := result.Open(); open > 0 {
		return fmt.Errorf("%d findings are open; --findings FILE lists them", open)
	}
	return nil
}

// check checks the flags that depend on one another.
func (f *reconcileFlags) check() error {
	switch {
	case f.fixExtra != "" && f.fixExtra != "deactivate":
		return errors.New("--fix-extra must be deactivate")
	case (f.rearm || f.fixExtra != "") && !f.fix:
		return errors.New("--rearm and --fix-extra need --fix")
	case f.maxExtra < 1 || f.maxExtra > 100:
		return errors.New("--max-extra must be from 1 to 100")
	case f.mfa != "skip" && f.mfa != "drop" && f.mfa != "keep":
		return errors.New("--mfa must be skip, drop or keep")
	}
	_, _, err := f.content.parse()
	return err
}

// readKratosConfig finds out which logins require a verified address, and whether Kratos
// sends codes.
func (f *reconcileFlags) readKratosConfig(opts *reconcile.Options) error {
	if f.kratosConfig == "" {
		return nil
	}
	text, err := readFile(f.kratosConfig)
	if err != nil {
		return err
	}
	if opts.PasswordsNeedVerified, err = doctor.RequiresVerified(text, "password"); err != nil {
		return err
	}
	if opts.SocialNeedsVerified, err = doctor.RequiresVerified(text, "oidc"); err != nil {
		return err
	}
	on, err := doctor.LogsInByCode(text)
	opts.CodesOff = !on
	return err
}

// compare reconciles, and writes the findings to the named file.
func (f *reconcileFlags) compare(ctx context.Context, opts reconcile.Options, stdout io.Writer) (result reconcile.Result, err error) {
	switch f.findings {
	case "":
		return reconcile.Run(ctx, opts)
	case "-":
		opts.Findings = stdout
		return reconcile.Run(ctx, opts)
	}
	file, err := os.OpenFile(f.findings, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return result, err
	}
	err = written(file, func(w io.Writer) (err error) {
		opts.Findings = w
		result, err = reconcile.Run(ctx, opts)
		return err
	})
	return result, err
}

// written calls write with the file and closes it.
func written(file io.WriteCloser, write func(io.Writer) error) error {
	return errors.Join(write(file), file.Close())
}
