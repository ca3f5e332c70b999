package main

import (
	"context"
	"encoding/json"
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

	"ferry/config"
	"ferry/doctor"
	"ferry/state"
	"ferry/upstream"
)

// doctorFlags are the flags of `ferry doctor`.
type doctorFlags struct {
	json, noGrant           bool
	kratosConfig, probeUser string
	egress                  []string
}

func doctorCommand(stdout, stderr io.Writer) *cobra.Command {
	return doctorCommandFrom(os.Stdin, stdout, stderr)
}

// doctorCommandFrom reads the password of --probe-user from stdin.
func doctorCommandFrom(stdin *os.File, stdout, stderr io.Writer) *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check settings, Auth0, Kratos and the way between them; say what to change.",
		Long: "Runs every check and reports every check: what is wrong, why it matters, what to change. It changes nothing.\n" +
			"Auth0 gets one failed login, for a user that cannot exist (--no-grant: none), and each of ferry's hooks one call\n" +
			"that never gets as far as Auth0. With credentials for the Management API it looks into the tenant, with --kratos-config\n" +
			"into kratos.yml. `ferry doctor why IDENTIFIER` looks at one person instead.\n" +
			"Exit 0: nothing is wrong, 1: something is, 2: wrong usage, or settings that serve would not start with; what\n" +
			"can be checked without them is checked all the same.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.options()
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("probe-user") && strings.TrimSpace(flags.probeUser) == "" {
				return errors.New("--probe-user wants an identifier: an e-mail address, a username or a phone number")
			}
			return work(func(ctx context.Context) error { return flags.examine(ctx, opts, stdin, stdout, stderr) })(cmd, args)
		},
	}
	flags.shared(cmd)
	cmd.Flags().BoolVar(&flags.noGrant, "no-grant", false, "ask Auth0 for no grant for a user that cannot exist; only --probe-user asks then, if it is there")
	cmd.Flags().StringSliceVar(&flags.egress, "egress", nil, "public `ADDRESS` from which Auth0 sees ferry, to look for it on Auth0's allow lists; more than one with commas between")
	cmd.Flags().StringVar(&flags.probeUser, "probe-user", "", "run one real login of this `IDENTIFIER`, up to Auth0 and no further, and say how long each step took; the password is read from the terminal, or from standard input")
	cmd.AddCommand(doctorWhyCommand(stdout))
	return cmd
}

// shared are the flags that both commands have.
func (f *doctorFlags) shared(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().StringVar(&f.kratosConfig, "kratos-config", "", "kratos.yml as Kratos runs with it, a `FILE`")
}

// options are what the flags say; what the settings say comes later.
func (f *doctorFlags) options() (doctor.Options, error) {
	opts := doctor.Options{
		NoGrant: f.noGrant, Now: time.Now, ID: uuid.NewString,
		Hooks: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
	}
	for _, text := range f.egress {
		ip, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return doctor.Options{}, errors.New("--egress wants IP addresses, such as 203.0.113.7")
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
		opts.KratosConfig = append([]byte{}, text...) // never nil: it was named
		opts.ReadTemplate = func(name string) ([]byte, error) { return readTemplate(f.kratosConfig, name) }
	}
	return opts, nil
}

// readTemplate reads a template that a kratos.yml names. Kratos takes a name from where it
// was started, beside that file as a rule; in a container both have other names, too.
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

// readSettings are the settings that the parts need, and the Management API's where
// one of them is there. The error is a config.Faults; the Config beside it holds what
// can be read.
func readSettings(part config.Part) (*config.Config, error) {
	cfg, err := config.LoadFor(part)
	if cfg.Auth0MgmtClientID != "" || !cfg.Auth0MgmtClientSecret.Empty() {
		return config.LoadFor(part, config.Management)
	}
	return cfg, err
}

// take puts into the options what the settings allow. What cannot be made stays nil.
func take(opts *doctor.Options, cfg *config.Config, faults config.Faults) {
	opts.Settings = doctor.Settings{
		Issuer: "https://" + cfg.Auth0Domain + "/", BaseURL: cfg.BaseURL(), ClientID: cfg.Auth0ClientID, ClientAuth: cfg.ClientAuth(),
		IDTokenAlg: cfg.Auth0IDTokenAlg, Realms: cfg.Auth0Realms, CustomRealms: cfg.Auth0CustomRealms,
		ForwardClientIP: cfg.Auth0ForwardClientIP, WriteBack: cfg.WriteBack,
		VerifiedIdentifier: cfg.Binding == config.BindingVerifiedIdentifier,
		HookKeys:           cfg.HookKeys, MaxPasswordBytes: cfg.MaxPasswordBytes,
	}
	for _, fault := range faults {
		opts.Settings.Faults = append(opts.Settings.Faults, doctor.Fault(fault))
	}
	opts.Settings.HookURL, _ = sameMachine(cfg) // empty: FERRY_LISTEN does not say
	takeAuth0(opts, cfg, faults)
	if !isFaulty(faults, "KRATOS_ADMIN_URL", "KRATOS_ADMIN_TOKEN", "KRATOS_PUBLIC_URL") && cfg.KratosAdminURL != "" {
		opts.Kratos, _ = bulkKratos(cfg)
	}
	opts.Mapper, opts.MapperFault = newMapper(cfg)
	if admin, err := url.Parse(cfg.KratosAdminURL); err == nil {
		opts.Settings.OryNetwork = strings.HasSuffix(admin.Hostname(), ".oryapis.com")
	}
	opts.Settings.StateInMemory = !cfg.Redis() && !isFaulty(faults, "STATE_URL")
	if cfg.Redis() && !isFaulty(faults, "STATE_URL", "STATE_KEY") {
		opts.State = func(ctx context.Context) (string, error) { return checkRedis(ctx, cfg) }
	}
}

// checkRedis tries the Redis that serve would use.
func checkRedis(ctx context.Context, cfg *config.Config) (refusal string, err error) {
	redis, err := state.NewRedis(cfg.StateURL, cfg.StateKey, state.Options{})
	if err != nil {
		return "", err
	}
	refusal, err = redis.Check(ctx)
	return refusal, errors.Join(err, redis.Close())
}

// takeAuth0 makes the three that ask Auth0; the errors are settings that are missing,
// which are told as such.
func takeAuth0(opts *doctor.Options, cfg *config.Config, faults config.Faults) {
	if cfg.Auth0Domain == "" || isFaulty(faults, "AUTH0_DOMAIN", "AUTH0_BASE_URL") {
		return
	}
	opts.Tenant, _ = upstream.NewTenant(cfg.BaseURL(), upstream.NewTransport())
	if !isFaulty(faults, "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_CLIENT_AUTH", "AUTH0_PRIVATE_KEY_FILE", "AUTH0_REALMS",
		"AUTH0_SCOPE", "AUTH0_TIMEOUT", "AUTH0_ID_TOKEN_ALG") {
		opts.Auth0, _ = newUpstream(cfg, nil)
	}
	if !cfg.Auth0MgmtClientSecret.Empty() && cfg.Auth0MgmtClientID != "" && !isFaulty(faults, "AUTH0_TENANT_DOMAIN") {
		opts.Management, _ = newManagement(cfg)
	}
}

// isFaulty reports whether one of the settings, named without their prefix, is.
func isFaulty(faults config.Faults, names ...string) bool {
	return slices.ContainsFunc(faults, func(fault config.Fault) bool {
		return slices.Contains(names, strings.TrimPrefix(fault.Name, config.Prefix))
	})
}

func (f *doctorFlags) examine(ctx context.Context, opts doctor.Options, stdin *os.File, stdout, stderr io.Writer) error {
	cfg, err := readSettings(config.Serve)
	var faults config.Faults
	errors.As(err, &faults)
	take(&opts, cfg, faults)
	var probe *doctor.Check
	if f.probeUser != "" {
		check := f.probe(ctx, cfg, len(faults) == 0, stdin, stderr)
		probe = &check
	}
	if opts.Auth0 != nil && !f.noGrant {
		fmt.Fprintln(stderr, "asking Auth0 for one grant, for a user that cannot exist: one failed login from this machine (--no-grant: none)")
	}
	report := doctor.Examine(ctx, opts)
	if probe != nil {
		report.Checks = append(report.Checks, *probe)
	}
	if err := f.print(stdout, report, report.Print); err != nil {
		return err
	}
	switch {
	case err != nil:
		return err
	case report.Failed():
		return errors.New("doctor: something is wrong, see above")
	}
	return nil
}

// print writes for programs or for people.
func (f *doctorFlags) print(stdout io.Writer, value any, words func(io.Writer) error) error {
	if !f.json {
		return words(stdout)
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
