package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"ferry/audit"
	"ferry/bulk/finish"
	"ferry/bulk/progress"
	"ferry/config"
	"ferry/transport"
	"ferry/wire"
)

// finishFlags are the flags of `ferry finish`.
type finishFlags struct {
	yes, undo, hookOff, json bool
	results, hookURL         string
	wait                     time.Duration
}

func finishCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags finishFlags
	cmd := &cobra.Command{
		Use:   "finish",
		Short: "End the migration for users who never logged in.",
		Long: "Ends the pending state of imported identities whose users never logged in. Their password becomes a\n" +
			"random one, so that a login fails with wrong credentials, with or without the hook in Kratos, and users\n" +
			"can recover the account. Without --yes it only says what it would do. Close the migration first: set\n" +
			"FERRY_MIGRATION_CLOSED=true for every `ferry serve`, and restart it. Run the same command again after an\n" +
			"interruption. --undo makes the identities pending again, unless the user has set a password since.\n" +
			"Exit 0: done, 1: an identity could not be changed, or the run was interrupted, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hook, err := flags.check()
			if err != nil {
				return err
			}
			return asFailed(flags.run(cmd.Context(), hook, stdout, stderr))
		},
	}
	cmd.Flags().BoolVar(&flags.yes, "yes", false, "write the changes (default: say what would change)")
	cmd.Flags().BoolVar(&flags.undo, "undo", false, "make the identities that finish ended pending again")
	cmd.Flags().StringVar(&flags.results, "results", "", "`FILE` for a line per identity; another run appends to it (default: standard output)")
	cmd.Flags().StringVar(&flags.hookURL, "hook-url", "", "`URL` at which Kratos reaches ferry, http://HOST:PORT (default: FERRY_LISTEN)")
	cmd.Flags().BoolVar(&flags.hookOff, "hook-off", false, "the migration hook is switched off in Kratos, so ferry is not asked whether the migration is closed")
	cmd.Flags().DurationVar(&flags.wait, "wait", 2*time.Minute, "how long the migration must be closed before the first write: Kratos may still be storing a password")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print the summary as JSON on standard output")
	return cmd
}

// check returns the base URL of --hook-url, nil if it is not given.
func (f *finishFlags) check() (*url.URL, error) {
	switch {
	case f.wait < 0:
		return nil, errors.New("--wait cannot be negative")
	case f.hookOff && f.hookURL != "":
		return nil, errors.New("--hook-off and --hook-url cannot be used together")
	case f.hookOff && f.undo:
		return nil, errors.New("--undo needs the hook: without it, pending users get an error 500")
	case f.hookURL == "":
		return nil, nil //nolint:nilnil // not given
	}
	return baseURL("--hook-url", f.hookURL)
}

func (f *finishFlags) run(ctx context.Context, hook *url.URL, stdout, stderr io.Writer) (err error) {
	cfg, err := config.LoadFor(config.Kratos)
	if err != nil {
		return err
	}
	opts := finish.Options{Write: f.yes, Undo: f.undo, Progress: progress.NewTerminal(stderr), Now: time.Now}
	if !f.undo {
		opts.Wait = f.wait
	}
	if opts.Kratos, err = bulkKratos(cfg); err != nil {
		return err
	}
	if f.yes && !f.hookOff {
		probe, err := hookProbe(cfg, hook)
		if err != nil {
			return err
		}
		if opts.Check = probe.Closed; f.undo {
			opts.Check = probe.Answers
		}
	}
	if opts.Results, err = f.open(stdout); err != nil {
		return err
	}
	started := time.Now()
	summary, err := finish.Run(ctx, opts)
	if err == nil && f.yes {
		keepRecord(ctx, cfg, finishRecord(summary, started), stderr)
	}
	if f.yes {
		command := "finish"
		if f.undo {
			command = "finish --undo"
		}
		auditCommand(cfg, audit.Record{Command: command, Counts: countsOf(summary.Outcomes)}, err, stderr)
	}
	err = errors.Join(walked(ctx, err), opts.Results.Close())
	return f.conclude(summary, err, stdout, stderr)
}

// hookProbe returns a probe of the hook at base, or at FERRY_LISTEN if base is nil.
func hookProbe(cfg *config.Config, base *url.URL) (finish.HookProbe, error) {
	if len(cfg.HookKeys) == 0 {
		return finish.HookProbe{}, config.Faults{{Name: config.Prefix + "HOOK_KEYS", Problem: "is not set: finish calls the hook with it, to check that the migration is closed"}}
	}
	address := ""
	if base != nil {
		address = base.String()
	} else {
		var err error
		if address, err = sameMachine(cfg); err != nil {
			return finish.HookProbe{}, errors.New("FERRY_LISTEN does not say where ferry can be reached: name it, --hook-url http://HOST:PORT")
		}
	}
	return finish.HookProbe{
		URL: address + wire.MigrationPath, Key: cfg.HookKeys[0],
		Transport: transport.New(transport.Options{Proxy: http.ProxyFromEnvironment, OwnConnections: true}),
	}, nil
}

func (f *finishFlags) open(stdout io.Writer) (*finish.Results, error) {
	switch {
	case f.results != "":
		return finish.OpenResults(f.results)
	case f.json:
		return nil, nil //nolint:nilnil // no results are wanted
	}
	return finish.StreamResults(stdout), nil
}

// conclude prints the summary. Its error says that the run was interrupted, or that
// identities could not be changed.
func (f *finishFlags) conclude(s finish.Summary, cut error, stdout, stderr io.Writer) error {
	if cut != nil && s.Identities == 0 {
		return startAgain(cut) // it did not begin
	}
	if f.json {
		if err := printJSON(stdout, s); err != nil {
			return errors.Join(err, cut)
		}
	}
	s.Print(stderr)
	switch {
	case cut != nil:
		return resumableError{cut, "to continue, run the same command again"}
	case s.Failed() > 0:
		return fmt.Errorf("%d identities could not be changed; the results say why", s.Failed())
	}
	_, _ = fmt.Fprintln(stderr, s.Next())
	return nil
}
