package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ferry/audit"
	"ferry/bulk/export"
	"ferry/bulk/progress"
	"ferry/clients"
	clientsexport "ferry/clients/export"
	"ferry/clients/importer"
	"ferry/config"
)

// clientsCommand has the commands about applications, which become clients of Ory Hydra.
func clientsCommand(stdout, stderr io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clients",
		Short: "Move Auth0's applications to Ory Hydra.",
		Long: "Moves Auth0's applications to Ory Hydra, where they are OAuth 2.0 clients with the same ids and secrets.\n" +
			"docs/clients.md lists what is moved and what is not.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(errors.New("give a command: export or import"), cmd.Help())
		},
	}
	cmd.AddCommand(clientsExportCommand(stdout, stderr), clientsImportCommand(stdout, stderr))
	return cmd
}

// clientsExportFlags are the flags of `ferry clients export`.
type clientsExportFlags struct {
	out         string
	ids         []string
	force, json bool
}

func clientsExportCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags clientsExportFlags
	cmd := &cobra.Command{
		Use:   "export --out FILE",
		Short: "Write Auth0's applications, resource servers and client grants to a file.",
		Long: "Reads the tenant's applications, resource servers and client grants through the Management API and writes\n" +
			"them to a file, which appears only when it is complete. The Management API application needs the scopes read:clients,\n" +
			"read:resource_servers and read:client_grants; for the client secrets also read:client_keys, and for\n" +
			"applications with private_key_jwt read:client_credentials. The file contains these secrets: keep it safe, and\n" +
			"delete it after the import.\n" +
			"Exit 0: written, 1: not written, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch flags.out {
			case "":
				return errors.New("name the file to write: --out FILE")
			case "-":
				return errors.New("--out needs a file, not standard output: it gets client secrets, which only you may read")
			}
			if err := export.CheckOut(flags.out, flags.force); err != nil {
				return err
			}
			return asFailed(flags.run(cmd.Context(), stdout, stderr))
		},
	}
	cmd.Flags().StringVar(&flags.out, "out", "", "`FILE` to write, as one JSON object that only its owner can read")
	cmd.Flags().StringArrayVar(&flags.ids, "client", nil, "`ID` of an application to export; may be repeated (default: all)")
	cmd.Flags().BoolVar(&flags.force, "force", false, "replace FILE if it exists")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print a summary on standard output, as JSON")
	return cmd
}

func (f clientsExportFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := config.LoadFor(config.Management)
	if err != nil {
		return err
	}
	auth0, err := newManagement(cfg, nil)
	if err != nil {
		return err
	}
	reporter := progress.NewTerminal(stderr)
	done, err := clientsexport.Run(ctx, clientsexport.Options{
		Auth0: auth0, Tenant: cfg.ManagementDomain(), Out: f.out, IDs: f.ids, Progress: reporter, Now: time.Now,
		Check: func() error { return export.CheckOut(f.out, f.force) },
	})
	if err != nil {
		return err
	}
	warn := warner(stderr)
	if len(done.NoSecret) > 0 {
		warn("Auth0 did not send the secrets of " + strings.Join(done.NoSecret, ", ") + ": they cannot be imported; grant the Management API application read:client_keys and export again")
	}
	if len(done.NoKeys) > 0 {
		warn("Auth0's API does not return the public keys of " + strings.Join(done.NoKeys, ", ") + ": give them to the import with --keys ID=FILE")
	}
	if f.json {
		return json.NewEncoder(stdout).Encode(done)
	}
	reporter.Say(fmt.Sprintf("exported %d applications, %d APIs and %d client grants to %s, with client secrets", done.Applications, done.APIs, done.ClientGrants, done.Path))
	return nil
}

// clientsImportFlags are the flags of `ferry clients import`.
type clientsImportFlags struct {
	applications, results   string
	ids, expand, keys       []string
	dryRun, overwrite, json bool
}

func clientsImportCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags clientsImportFlags
	cmd := &cobra.Command{
		Use:   "import --applications FILE",
		Short: "Create a client at Ory Hydra for each Auth0 application.",
		Long: "Creates an OAuth 2.0 client at Ory Hydra for each application of a file of `ferry clients export`, with the\n" +
			"same id and secret, and checks its credentials without side effects. A line for each application says what\n" +
			"became of it, and names each field that cannot be moved. Run the same command again after a change at Auth0\n" +
			"or an interruption: clients that are up to date stay as they are, and changes made at Hydra are kept.\n" +
			"Exit 0: every application has its client or needs none, 1: some have no client, or the run was interrupted,\n" +
			"2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := flags.options()
			if err != nil {
				return err // wrong usage
			}
			return asFailed(flags.run(cmd.Context(), opts, stdout, stderr))
		},
	}
	cmd.Flags().StringVar(&flags.applications, "applications", "", "`FILE` of `ferry clients export`")
	cmd.Flags().StringArrayVar(&flags.ids, "client", nil, "`ID` of an application to import; may be repeated (default: all)")
	cmd.Flags().StringArrayVar(&flags.expand, "expand-callback", nil, "`PATTERN=URL,...`: what a callback or logout URL with * or {organization_name} stands for; may be repeated")
	cmd.Flags().StringArrayVar(&flags.keys, "keys", nil, "`ID=FILE`: public keys of an application with private_key_jwt, as PEM or as a JSON Web Key Set; may be repeated")
	cmd.Flags().BoolVar(&flags.overwrite, "overwrite", false, "replace clients that ferry did not create, fields that were changed at Hydra, and secrets that differ")
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "do everything but write; without FERRY_HYDRA_ADMIN_URL no request is made")
	cmd.Flags().StringVar(&flags.results, "results", "", "`FILE` for a line per application; it is replaced (default: standard output)")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print the summary as JSON on standard output")
	return cmd
}

// options returns the options that depend on flags and the files that they name.
func (f *clientsImportFlags) options() (opts importer.Options, err error) {
	opts = importer.Options{IDs: f.ids, DryRun: f.dryRun, Overwrite: f.overwrite, Now: time.Now}
	switch {
	case f.applications == "":
		return opts, errors.New("name the file of applications: --applications FILE, such as that of `ferry clients export --out FILE`")
	case samePlace(f.results, f.applications):
		return opts, errors.New("--results would overwrite the applications: name another file")
	}
	if opts.Map.Expansions, err = clients.ParseExpansions(f.expand); err != nil {
		return opts, err
	}
	opts.Map.Keys = map[string][]clients.Key{}
	for _, value := range f.keys {
		id, name, ok := strings.Cut(value, "=")
		if !ok || id == "" || name == "" {
			return opts, fmt.Errorf("--keys %s: want ID=FILE", value)
		}
		text, err := readFile(name)
		if err != nil {
			return opts, fmt.Errorf("--keys: %w", err)
		}
		keys, err := clients.ParseKeys(text)
		if err != nil {
			return opts, fmt.Errorf("--keys: %s: %w", name, err)
		}
		opts.Map.Keys[id] = append(opts.Map.Keys[id], keys...)
	}
	return opts, nil
}

func (f *clientsImportFlags) run(ctx context.Context, opts importer.Options, stdout, stderr io.Writer) (err error) {
	var parts []config.Part
	if !f.dryRun {
		parts = []config.Part{config.Hydra}
	}
	cfg, err := config.LoadFor(parts...)
	if err != nil {
		return err
	}
	file, err := os.Open(f.applications)
	if err != nil {
		return err
	}
	opts.Tenant, err = clients.Read(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := hydraOptions(cfg, &opts); err != nil {
		return err
	}
	out, closeOut, err := f.open(stdout)
	if err != nil {
		return err
	}
	opts.Results, opts.Progress = out, progress.NewTerminal(stderr)
	summary, err := importer.Run(ctx, opts)
	if !f.dryRun && summary.Applications > 0 {
		auditCommand(cfg, audit.Record{Command: "clients import", Counts: countsOf(summary.Results)}, err, stderr)
	}
	return f.conclude(summary, errors.Join(hydraReached(err), closeOut()), stdout, stderr)
}

// open returns where the result lines go.
func (f *clientsImportFlags) open(stdout io.Writer) (io.Writer, func() error, error) {
	switch {
	case f.results != "":
		file, err := os.OpenFile(f.results, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("open results: %w", err)
		}
		return file, func() error { return errors.Join(file.Sync(), file.Close()) }, nil
	case f.json:
		return io.Discard, func() error { return nil }, nil
	}
	return stdout, func() error { return nil }, nil
}

// conclude prints the summary. The error says that the run was interrupted, or that applications
// have no client.
func (f *clientsImportFlags) conclude(s importer.Summary, cut error, stdout, stderr io.Writer) error {
	if s.Applications == 0 && cut != nil && !errors.Is(cut, context.Canceled) {
		return cut // it did not begin
	}
	if f.json {
		if err := printJSON(stdout, s); err != nil {
			return errors.Join(err, cut)
		}
	}
	s.Print(stderr, cut != nil)
	switch {
	case cut != nil:
		return resumableError{cut, "every client written so far is complete; to continue, run the same command again"}
	case s.Failures() > 0:
		return fmt.Errorf("%d of %d applications were refused or failed; the results say why", s.Failures(), s.Applications)
	}
	return nil
}
