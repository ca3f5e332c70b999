package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"ferry/bulk/plan"
	"ferry/config"
	"ferry/doctor"
	"ferry/limit"
	"ferry/state"
	"ferry/transport"
	"ferry/upstream"
)

// doctorFlags are the flags of `ferry doctor`.
type doctorFlags struct {
	json, noGrant           bool
	kratosConfig, probeUser string
	hydraConfig, appDomain  string
	egress                  []string
}

// doctorCommand reads the password of --probe-user from stdin.
func doctorCommand(stdin *os.File, stdout, stderr io.Writer) *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the settings, Auth0, Kratos and the connections between them.",
		Long: "Runs every check and reports what is wrong, why it matters and what to change. It changes nothing; with\n" +
			"FERRY_DATA_DIR or Redis it records the result for `ferry plan`.\n\n" +
			"doctor sends one failed login to Auth0, for a user that cannot exist (not with --no-grant), and one call to each\n" +
			"of ferry's hooks that never reaches Auth0. With credentials for the Management API it also checks the tenant,\n" +
			"with --kratos-config also kratos.yml. With the settings of Hydra it checks Hydra, with --hydra-config also\n" +
			"hydra.yml. Use `ferry doctor why IDENTIFIER` to check one user.\n\n" +
			"Exit status: 0: no check failed. 1: a check failed. 2: wrong usage, or invalid settings; the checks that do not\n" +
			"need them run anyway.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := flags.options()
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("probe-user") && strings.TrimSpace(flags.probeUser) == "" {
				return errors.New("--probe-user needs an identifier: an e-mail address, a username or a phone number")
			}
			return asFailed(flags.examine(cmd.Context(), opts, stdin, stdout, stderr))
		},
	}
	flags.shared(cmd)
	cmd.Flags().BoolVar(&flags.noGrant, "no-grant", false, "do not send the failed login; --probe-user still sends its login")
	cmd.Flags().StringSliceVar(&flags.egress, "egress", nil, "public `ADDRESS` of ferry as Auth0 sees it, to find on Auth0's allow lists; separate several with commas")
	cmd.Flags().StringVar(&flags.probeUser, "probe-user", "", "try one real login of this `IDENTIFIER` up to Auth0's answer, and print how long each step took; the password is read from the terminal or from standard input")
	cmd.Flags().StringVar(&flags.hydraConfig, "hydra-config", "", "`FILE` with the hydra.yml of the running Hydra")
	cmd.Flags().StringVar(&flags.appDomain, "app-domain", "", "`DOMAIN` that is built into the applications, to compare with Hydra's issuer")
	cmd.AddCommand(doctorWhyCommand(stdout))
	return cmd
}

// shared adds the flags of both commands.
func (f *doctorFlags) shared(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().StringVar(&f.kratosConfig, "kratos-config", "", "`FILE` with the kratos.yml of the running Kratos")
}

// options returns the options that the flags determine.
func (f *doctorFlags) options() (doctor.Options, error) {
	opts := doctor.Options{
		NoGrant: f.noGrant, Now: time.Now, ID: uuid.NewString,
		Hooks: transport.New(transport.Options{Proxy: http.ProxyFromEnvironment, OwnConnections: true}),
	}
	for _, text := range f.egress {
		ip, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return doctor.Options{}, errors.New("--egress needs IP addresses, such as 203.0.113.7")
		}
		opts.Egress = append(opts.Egress, ip)
	}
	if f.kratosConfig != "" {
		text, err := readFile(f.kratosConfig)
		if err != nil {
			return doctor.Options{}, err
		}
		if about, err := os.Stat(f.kratosConfig); err == nil {
			opts.KratosConfigMode = about.Mode().Perm()
		}
		opts.KratosConfig = append([]byte{}, text...) // not nil: the file may be empty
		opts.ReadTemplate = func(name string) ([]byte, error) { return readTemplate(f.kratosConfig, name) }
	}
	if f.hydraConfig != "" {
		text, err := readFile(f.hydraConfig)
		if err != nil {
			return doctor.Options{}, err
		}
		opts.HydraConfig = append([]byte{}, text...) // not nil: the file may be empty
	}
	return opts, nil
}

// readTemplate reads a template file by its name in kratos.yml. Kratos resolves the name in its
// working directory, which is often the directory of kratos.yml. In a container the paths may
// differ, so the directory of kratos.yml is also searched for the base name.
func readTemplate(config, name string) ([]byte, error) {
	beside := func(name string) string { return filepath.Join(filepath.Dir(config), name) }
	places := []string{name, beside(filepath.Base(name))}
	if !filepath.IsAbs(name) {
		places = []string{beside(name), name, beside(filepath.Base(name))}
	}
	var text []byte
	var err error
	for _, place := range places {
		if text, err = readFile(place); err == nil {
			return text, nil
		}
	}
	return nil, err
}

// readSettings returns the settings that a part requires, and those of the Management API if
// one of them is set. If the error is a config.Faults, the Config has the valid settings.
func readSettings(part config.Part) (*config.Config, error) {
	cfg, err := config.LoadFor(part)
	if cfg.Auth0MgmtClientID != "" || !cfg.Auth0MgmtClientSecret.Empty() {
		return config.LoadFor(part, config.Management)
	}
	return cfg, err
}

// addSettings adds to the options the settings, and the clients whose settings are valid.
func addSettings(opts *doctor.Options, cfg *config.Config, faults config.Faults) {
	opts.Settings = doctor.Settings{
		Issuer: "https://" + cfg.Auth0Domain + "/", BaseURL: cfg.BaseURL(), ClientID: cfg.Auth0ClientID, ClientAuth: cfg.ClientAuth(),
		IDTokenAlg: cfg.Auth0IDTokenAlg, Realms: cfg.Auth0Realms, CustomRealms: cfg.Auth0CustomRealms,
		ForwardClientIP: cfg.Auth0ForwardClientIP, WriteBack: cfg.WriteBack,
		VerifiedIdentifier: cfg.Binding == config.BindingVerifiedIdentifier,
		RequestsPerSecond:  cfg.Auth0RequestsPerSecond,
		HookKeys:           cfg.HookKeys, MaxPasswordBytes: cfg.MaxPasswordBytes,
		BruteForceAttempts: cfg.Auth0BruteForceAttempts, SuspiciousIPAttempts: cfg.Auth0SuspiciousIPAttempts, DataDir: cfg.DataDir,
	}
	for _, fault := range faults {
		opts.Settings.Faults = append(opts.Settings.Faults, doctor.Fault(fault))
	}
	addModes(opts, cfg, faults)
	opts.Settings.HookURL, _ = sameMachine(cfg) // empty: FERRY_LISTEN is not an address for Kratos
	addAuth0(opts, cfg, faults)
	if !isFaulty(faults, "KRATOS_ADMIN_URL", "KRATOS_ADMIN_TOKEN", "KRATOS_PUBLIC_URL") && cfg.KratosAdminURL != "" {
		opts.Kratos, _ = bulkKratos(cfg)
	}
	opts.Mapper, opts.MapperFault = newMapper(cfg)
	opts.Rules = mappingRules(cfg)
	if admin, err := url.Parse(cfg.KratosAdminURL); err == nil {
		opts.Settings.OryNetwork = strings.HasSuffix(admin.Hostname(), ".oryapis.com")
	}
	opts.Settings.StateInMemory = !cfg.Redis() && !isFaulty(faults, "STATE_URL")
	if cfg.Redis() && !isFaulty(faults, "STATE_URL", "STATE_KEY") {
		opts.State = func(ctx context.Context) (string, error) { return checkRedis(ctx, cfg) }
		opts.Register = func(ctx context.Context) (bool, error) { return checkRegister(ctx, cfg) }
		opts.Locked = func(ctx context.Context, identityID, identifier string) (bool, error) {
			return checkLocked(ctx, cfg, identityID, identifier)
		}
	}
	opts.Settings.Hydra = hydraSettings(cfg, faults)
	if cfg.CreatesIdentities() {
		opts.Settings.Gateway = &doctor.GatewaySettings{
			Listen: cfg.GatewayListen != "", Asked: cfg.ForwardAuthListen != "", PublicURL: cfg.KratosPublicURL,
			Realms: cfg.GatewayRealms, TrustedProxies: cfg.TrustedProxies, InFront: cfg.GatewayTrustedProxies,
			SchemaID: cfg.SchemaID, DataDir: cfg.DataDir,
		}
		providers, _, err := plan.ParseProviders(cfg.Providers)
		if err != nil {
			opts.Settings.Faults = append(opts.Settings.Faults, doctor.Fault{Name: config.Prefix + "PROVIDERS", Problem: err.Error()})
		}
		opts.Settings.SignUp, opts.Settings.Providers = cfg.SignUp, providers
	}
}

// checkRedis checks the Redis that serve would use.
func checkRedis(ctx context.Context, cfg *config.Config) (refusal string, err error) {
	redis, err := state.NewRedis(cfg.StateURL, cfg.StateKey, state.Options{})
	if err != nil {
		return "", err
	}
	refusal, err = redis.Check(ctx)
	return refusal, errors.Join(err, redis.Close())
}

// checkRegister reports whether the users register in Redis is complete.
func checkRegister(ctx context.Context, cfg *config.Config) (complete bool, err error) {
	redis, err := state.NewRedis(cfg.StateURL, cfg.StateKey, state.Options{})
	if err != nil {
		return false, err
	}
	complete, err = redis.Register().Complete(ctx)
	return complete, errors.Join(err, redis.Close())
}

// checkLocked reports whether ferry refused a login of the user within a day.
func checkLocked(ctx context.Context, cfg *config.Config, identityID, identifier string) (locked bool, err error) {
	redis, err := state.NewRedis(cfg.StateURL, cfg.StateKey, state.Options{})
	if err != nil {
		return false, err
	}
	locked, err = redis.FailedLogins().Refused(ctx, limit.UserKey(identityID, identifier), limit.UserKey("", identifier))
	return locked, errors.Join(err, redis.Close())
}

// addAuth0 adds the clients of Auth0. Their errors are faults of settings, which are reported
// anyway.
func addAuth0(opts *doctor.Options, cfg *config.Config, faults config.Faults) {
	if cfg.Auth0Domain == "" || isFaulty(faults, "AUTH0_DOMAIN", "AUTH0_BASE_URL") {
		return
	}
	opts.Tenant, _ = upstream.NewTenant(cfg.BaseURL(), upstream.NewTransport())
	if !isFaulty(faults, "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_CLIENT_AUTH", "AUTH0_PRIVATE_KEY_FILE", "AUTH0_REALMS",
		"AUTH0_SCOPE", "AUTH0_TIMEOUT", "AUTH0_ID_TOKEN_ALG") {
		opts.Auth0, _ = newUpstream(cfg, nil, nil)
	}
	if !cfg.Auth0MgmtClientSecret.Empty() && cfg.Auth0MgmtClientID != "" && !isFaulty(faults, "AUTH0_TENANT_DOMAIN") {
		opts.Management, _ = newManagement(cfg, nil)
	}
}

// isFaulty reports whether one of the settings has a fault. The names have no prefix.
func isFaulty(faults config.Faults, names ...string) bool {
	return slices.ContainsFunc(faults, func(fault config.Fault) bool {
		return slices.Contains(names, strings.TrimPrefix(fault.Name, config.Prefix))
	})
}

func (f *doctorFlags) examine(ctx context.Context, opts doctor.Options, stdin *os.File, stdout, stderr io.Writer) error {
	cfg, err := readSettings(config.Serve)
	var faults config.Faults
	errors.As(err, &faults)
	addSettings(&opts, cfg, faults)
	if opts.Settings.Hydra != nil {
		opts.Settings.Hydra.AppDomain = f.appDomain
	}
	var probe *doctor.Check
	if f.probeUser != "" {
		check := f.probe(ctx, cfg, len(faults) == 0, stdin, stderr)
		probe = &check
	}
	if opts.Auth0 != nil && !f.noGrant {
		fmt.Fprintln(stderr, "sending Auth0 one failed login from this machine, for a user that cannot exist; --no-grant disables it")
	}
	started := time.Now()
	report := doctor.Examine(ctx, opts)
	if probe != nil {
		report.Checks = append(report.Checks, *probe)
	}
	keepRecord(ctx, cfg, doctorRecord(report, opts.KratosConfig, started, err == nil), stderr)
	if err := f.print(stdout, report, report.Print); err != nil {
		return err
	}
	if err == nil && report.Failed() {
		err = errors.New("doctor: a check failed, see above")
	}
	return err
}

// print prints a value as JSON or as text.
func (f *doctorFlags) print(stdout io.Writer, value any, text func(io.Writer) error) error {
	if !f.json {
		return text(stdout)
	}
	return printPlainJSON(stdout, value)
}
