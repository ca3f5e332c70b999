package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ferry/audit"
	"ferry/bulk/factorfile"
	"ferry/bulk/hashfile"
	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/bulk/progress"
	"ferry/bulk/userfile"
	"ferry/config"
)

// importFlags are the flags of `ferry import`.
type importFlags struct {
	users, hashes, factors      string
	tenant                      string
	schema                      schemaFlags
	content                     contentFlags
	columns                     userfile.Columns
	mode, mfa, rpID, onConflict string
	unverified, bridge          string
	kratosConfig                string
	mergeVerified               bool
	recreateDeleted             bool
	providers, organizations    []string
	hookOff, externalID         bool
	dryRun, json                bool
	shard                       string
	inFlight                    int
	retryFor                    time.Duration
	results, retryFile, tmpDir  string
	lasting                     []string // flags for the record
}

func importCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	var flags importFlags
	cmd := &cobra.Command{
		Use:   "import --users FILE",
		Short: "Create Kratos identities from Auth0's users.",
		Long: "Creates Kratos identities from Auth0's users: with the password hash that Auth0 exported if it is fresh,\n" +
			"else pending, so that the migration hook verifies the first login. The whole file is planned before\n" +
			"anything is written. Run the same command again after an interruption: with --results it continues where\n" +
			"it stopped. Exit 0: every row is done or skipped, 1: some failed or the run was interrupted, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, warnings, err := flags.options()
			if err != nil {
				return err // wrong usage
			}
			warn := warner(stderr)
			for _, text := range warnings {
				warn(text)
			}
			flags.lasting = lastingFlags(cmd)
			opts.Warn, opts.Progress = warn, progress.NewTerminal(stderr)
			return asFailed(flags.run(cmd.Context(), opts, stdin, stdout, stderr))
		},
	}
	flags.bind(cmd)
	return cmd
}

func (f *importFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.users, "users", "", "users `FILE`: NDJSON, JSON or CSV as Auth0 exports it, plain or gzip, see docs/import-files.md; - for standard input")
	flags.StringVar(&f.hashes, "hashes", "", "`FILE` with the password hashes that Auth0's support exports: NDJSON, JSON or CSV, plain, gzip or zip")
	flags.StringVar(&f.factors, "factors", "", "`FILE` with the users' second factors and passkeys, one object per line, plain or gzip, see docs/import-files.md")
	flags.StringVar(&f.tenant, "tenant", "", "`NAME` of the tenant that users and hashes must be of (default: that of the canonical domain, if the settings have it)")
	flags.StringVar(&f.mode, "mode", "auto", "auto: a fresh hash if there is one, else the hook; hook: always the hook; hash: a user without a hash fails")
	flags.StringArrayVar(&f.providers, "provider", nil, "`AUTH0=KRATOS`: import accounts at this provider or connection of Auth0 as credentials of this OIDC provider of Kratos, or with saml:KRATOS of this SAML provider; may be repeated")
	flags.StringVar(&f.bridge, "bridge", "", "`ID` of Kratos' OIDC provider that is the tenant itself: users can also log in to their identity at Auth0, and users who could not log in otherwise get an identity, see docs/bridge.md")
	flags.StringArrayVar(&f.organizations, "organization", nil, "`CONNECTION=UUID`: put the users of this Auth0 connection into this organization of Kratos, if Kratos supports it; may be repeated")
	flags.StringVar(&f.mfa, "mfa", "skip", "users with a second factor at Auth0: skip, drop or keep; drop imports them without the factor, keep imports the factors that the users file has and Kratos accepts, and skips users without one")
	flags.StringVar(&f.rpID, "rp-id", "", "with --mfa keep: `DOMAIN` that Kratos' passkeys and security keys are bound to (selfservice.methods.passkey.config.rp.id), to import those of the same domain")
	flags.StringVar(&f.kratosConfig, "kratos-config", "", "with --mfa keep: kratos.yml `FILE` from which to read this domain, instead of --rp-id")
	flags.StringVar(&f.unverified, "unverified", "pending", "users with a password whose addresses Auth0 did not verify: pending imports them like all others, skip leaves them out")
	flags.BoolVar(&f.mergeVerified, "merge-verified", false, "make one identity of several accounts with the same address, if it is verified for each and at most one has a password, see docs/import.md")
	flags.StringVar(&f.onConflict, "on-conflict", "skip", "users who have an identity: skip, update or fail")
	flags.BoolVar(&f.hookOff, "hook-off", false, "the migration hook is switched off in Kratos, so pending identities may be updated")
	flags.BoolVar(&f.externalID, "external-id", false, "give each identity its Auth0 user id as external_id, if Kratos supports it")
	f.schema.bind(cmd)
	f.content.bind(cmd)
	flags.BoolVar(&f.dryRun, "dry-run", false, "do everything but write; without FERRY_KRATOS_ADMIN_URL no request is made")
	flags.StringVar(&f.shard, "shard", "", "`I/N`: import only this part of the file, counted from 0; every worker needs the whole file")
	flags.IntVar(&f.inFlight, "in-flight", 0, "maximum number of concurrent requests (default 4)")
	flags.DurationVar(&f.retryFor, "retry-for", 0, "how long to repeat requests while Kratos does not answer (default 30s)")
	flags.StringVar(&f.results, "results", "", "`FILE` for a line per row; it makes the run resumable (default: standard output)")
	flags.BoolVar(&f.recreateDeleted, "recreate-deleted", false, "when the run continues: create identities again that it created before and that have been deleted from Kratos since")
	flags.StringVar(&f.retryFile, "retry-file", "", "`FILE` for the rows that failed, in the format of the input")
	flags.StringVar(&f.tmpDir, "temp-dir", "", "`DIR` for the plan, which needs about as much space as the users file (default: beside --results, else the system's, else beside --users)")
	flags.BoolVar(&f.json, "json", false, "print the summary as JSON on standard output")
}

func (f *schemaFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "schema", "", "identity schema `FILE` (default: from Kratos)")
	cmd.Flags().StringVar(&f.id, "schema-id", "", "`ID` of the identity schema at Kratos (default: the only one)")
	cmd.Flags().StringVar(&f.mapper, "mapper", "", "Jsonnet mapper `FILE` (default: FERRY_MAPPER)")
}

// options returns the options that depend on flags alone.
func (f *importFlags) options() (opts importer.Options, warnings []string, err error) {
	opts = importer.Options{
		Options: plan.Options{
			Mode: plan.Mode(f.mode), DropMFA: f.mfa == "drop", KeepMFA: f.mfa == "keep", RelyingParties: plan.RelyingParties{Passkey: f.rpID, WebAuthn: f.rpID}, SkipUnverified: f.unverified == "skip",
			Merge: f.mergeVerified, Bridge: f.bridge, Strict: true,
			ExternalID: f.externalID, DryRun: f.dryRun, Now: time.Now,
		},
		OnConflict: importer.Conflict(f.onConflict), HookOff: f.hookOff, RecreateDeleted: f.recreateDeleted,
		InFlight: f.inFlight, RetryFor: f.retryFor, RetryFile: f.retryFile,
	}
	if opts.Providers, warnings, err = plan.ParseProviders(f.providers); err != nil {
		return opts, nil, err
	}
	if err = plan.CheckBridge(f.bridge, opts.Providers); err != nil {
		return opts, nil, err
	}
	if opts.Organizations, err = plan.ParseOrganizations(f.organizations); err != nil {
		return opts, nil, err
	}
	if f.columns, opts.AcceptMissing, err = f.content.parse(); err != nil {
		return opts, nil, err
	}
	if opts.Shard, opts.Shards, err = parseShard(f.shard); err != nil {
		return opts, nil, err
	}
	switch {
	case f.users == "":
		err = errors.New("name the users file: --users FILE, or --users - for standard input")
	case !slices.Contains([]plan.Mode{plan.ModeAuto, plan.ModeHook, plan.ModeHash}, opts.Mode):
		err = errors.New("--mode must be auto, hook or hash")
	case f.mfa != "skip" && f.mfa != "drop" && f.mfa != "keep":
		err = errors.New("--mfa must be skip, drop or keep")
	case f.rpID != "" && f.mfa != "keep":
		err = errors.New("--rp-id needs --mfa keep")
	case f.kratosConfig != "" && f.mfa != "keep":
		err = errors.New("--kratos-config needs --mfa keep")
	case f.kratosConfig != "" && f.rpID != "":
		err = errors.New("--rp-id and --kratos-config both give the domain of keys and passkeys: leave one out")
	case f.unverified != "skip" && f.unverified != "pending":
		err = errors.New("--unverified must be skip or pending")
	case !slices.Contains([]importer.Conflict{importer.ConflictSkip, importer.ConflictUpdate, importer.ConflictFail}, opts.OnConflict):
		err = errors.New("--on-conflict must be skip, update or fail")
	case opts.Mode == plan.ModeHash && f.hashes == "":
		err = errors.New("--mode hash needs --hashes FILE")
	case f.inFlight < 0 || f.retryFor < 0:
		err = errors.New("--in-flight and --retry-for cannot be negative")
	case f.recreateDeleted && f.results == "":
		err = errors.New("--recreate-deleted needs the --results FILE of the run that created the identities")
	case f.retryFile != "" && (sameFile(f.retryFile, f.users) || sameFile(f.retryFile, f.hashes) || sameFile(f.retryFile, f.factors)):
		err = errors.New("--retry-file would overwrite the input: name another file")
	case f.results != "" && (samePlace(f.retryFile, f.results) || samePlace(f.retryFile, f.results+".checkpoint")):
		err = errors.New("--retry-file would overwrite --results or its checkpoint: name another file")
	}
	return opts, warnings, err
}

// parseShard parses I/N, counted from 0.
func parseShard(text string) (shard, shards int, err error) {
	if text == "" {
		return 0, 1, nil
	}
	first, second, _ := strings.Cut(text, "/")
	shard, errShard := strconv.Atoi(first)
	shards, errShards := strconv.Atoi(second)
	if errShard != nil || errShards != nil || shards < 1 || shard < 0 || shard >= shards {
		return 0, 0, errors.New("--shard must be I/N, counted from 0: of 4 there are 0/4, 1/4, 2/4 and 3/4")
	}
	return shard, shards, nil
}

func (f *importFlags) run(ctx context.Context, opts importer.Options, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	limitHeap()
	if err := f.readRelyingParties(&opts); err != nil {
		return err
	}
	if opts.TempDir, err = workDir(f.tmpDir, slices.Concat(beside(f.results), []string{systemDir}, beside(f.users))...); err != nil {
		return err
	}
	parts := []config.Part{config.Kratos}
	if f.dryRun && f.schema.file != "" {
		parts = nil
	}
	cfg, err := config.LoadFor(f.content.parts(parts...)...)
	if err != nil {
		return err
	}
	if cfg.KratosAdminURL != "" {
		if opts.Kratos, err = bulkKratos(cfg); err != nil {
			return err
		}
	}
	if opts.Kratos != nil && opts.OnConflict == importer.ConflictUpdate {
		if f.schema, err = f.schema.identified(ctx, opts.Kratos); err != nil {
			return err
		}
	}
	mapped, err := f.schema.read(ctx, cfg, opts.Kratos)
	if err != nil {
		return err
	}
	mapped.warnRefused(stderr)
	opts.Schema, opts.SchemaID, opts.Mapper, opts.Inputs = mapped.schema, mapped.id, mapped.mapper, mapped.inputs
	opts.Rules, opts.Realms = mappingRules(cfg), cfg.Auth0Realms
	if opts.Tenant = f.tenant; opts.Tenant == "" {
		opts.Tenant, opts.Domain = tenantOf(cfg)
	}
	defer func() { err = errors.Join(err, closeFiles(opts)) }()
	if err = f.openFiles(ctx, &opts, stdin); err != nil {
		return err
	}
	fetched, err := f.content.fetchMissing(ctx, opts.Users, cfg, opts.TempDir, opts.Progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fetched()) }()
	if opts.Journal, err = f.journal(stdout); err != nil {
		return err
	}
	if opts.Journal.Resumed() {
		_, _ = fmt.Fprintln(stderr, "continuing the run of", f.results)
	}
	started, written := time.Now(), writtenAt(f.users)
	summary, err := importer.Run(ctx, opts)
	if err == nil {
		record := importRecord(summary, started)
		record.InputAt, record.Flags = written, f.lasting
		keepRecord(ctx, cfg, record, stderr)
	}
	f.audit(cfg, summary, err, stderr)
	return f.conclude(summary, errors.Join(advised(err, cfg), opts.Journal.Close()), stdout, stderr)
}

// audit writes the audit record of an import that wrote.
func (f *importFlags) audit(cfg *config.Config, summary importer.Summary, err error, stderr io.Writer) {
	if !f.dryRun {
		auditCommand(cfg, audit.Record{Command: "import", Counts: countsOf(summary.Outcomes)}, err, stderr)
	}
}

// openFiles opens the files to import from.
func (f *importFlags) openFiles(ctx context.Context, opts *importer.Options, stdin io.Reader) (err error) {
	if opts.Users, err = userfile.Open(ctx, f.users, stdin, opts.TempDir, f.columns); err != nil {
		return err
	}
	if len(f.columns) > 0 { // only then: runs of earlier releases did not note it
		opts.Inputs["--column"] = f.columns.String()
	}
	if f.content.fetch {
		opts.Inputs["--fetch-missing"] = "true"
	}
	if f.hashes != "" {
		if opts.Hashes, err = hashfile.Open(ctx, f.hashes, opts.TempDir); err != nil {
			return err
		}
	}
	if f.factors == "" {
		return nil
	}
	if opts.Factors, err = factorfile.Open(ctx, f.factors, opts.TempDir); err != nil {
		return err
	}
	opts.Inputs["factors"] = opts.Factors.Digest()
	return nil
}

// closeFiles closes those of the files that are open.
func closeFiles(opts importer.Options) (err error) {
	if opts.Users != nil {
		err = opts.Users.Close()
	}
	if opts.Hashes != nil {
		err = errors.Join(err, opts.Hashes.Close())
	}
	if opts.Factors != nil {
		err = errors.Join(err, opts.Factors.Close())
	}
	return err
}

// tenantOf returns the tenant's name and canonical domain, or "" if the settings have only a
// custom domain.
func tenantOf(cfg *config.Config) (name, domain string) {
	domain = cfg.ManagementDomain()
	if cfg.Auth0TenantDomain == "" && !strings.HasSuffix(domain, ".auth0.com") {
		return "", ""
	}
	name, _, _ = strings.Cut(domain, ".")
	return name, domain
}

func (f *importFlags) journal(stdout io.Writer) (*importer.Journal, error) {
	switch {
	case f.results != "":
		return importer.OpenJournal(f.results)
	case f.json:
		return importer.StreamJournal(nil), nil
	}
	return importer.StreamJournal(stdout), nil
}

// conclude prints the summary. It returns an error if the run was interrupted or rows failed.
func (f *importFlags) conclude(summary importer.Summary, cut error, stdout, stderr io.Writer) error {
	switch { // no row has a result
	case errors.Is(cut, importer.ErrOtherRun), cut != nil && summary.Rows == 0 && !errors.Is(cut, context.Canceled):
		return cut
	case cut != nil && summary.Rows == 0:
		return f.resumable(cut)
	}
	if f.json {
		if err := printJSON(stdout, summary); err != nil {
			return err
		}
	}
	summary.Print(stderr, cut != nil)
	switch {
	case cut != nil:
		return f.resumable(cut)
	case summary.Failed() > 0:
		return fmt.Errorf("%d of %d rows failed", summary.Failed(), summary.Rows)
	}
	return nil
}

// resumable adds to the error of an interrupted run how to continue it.
func (f *importFlags) resumable(cut error) error {
	if f.results != "" {
		return resumableError{cut, "to continue where the run stopped, run the same command again"}
	}
	return resumableError{cut, "run the same command again: it skips users who have an identity; with --results FILE it would continue where it stopped"}
}
