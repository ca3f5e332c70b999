package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ferry/test/auth0sim"
)

// stopTimeout is how long requests in flight may take once the program is told
// to stop.
const stopTimeout = 10 * time.Second

// options are the flags.
type options struct {
	listen, control string
	domain, issuer  string
	seed            string
	relaxed         bool
}

// usageError is the error for an invalid command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// newCommand returns the program as a function of its streams: addresses go to
// stdout, a line per request to stderr.
func newCommand(stdout, stderr io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "auth0sim",
		Short: "Simulate Auth0's password login",
		Long: "Simulate Auth0's password login, with a tenant for trying it out.\n\n" +
			"Without --seed the tenant has the client " + auth0sim.DemoClientID + " (secret " +
			auth0sim.DemoClientSecret + "),\nthe connection " + auth0sim.DemoConnection +
			" and the user ada@example.test with the\npassword \"correct horse battery staple\".",
		Args:         noArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), o, stdout, stderr)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "127.0.0.1:4490", "loopback `address` of the simulated tenant")
	flags.StringVar(&o.control, "control", "127.0.0.1:4491", "loopback `address` of the control API; empty for none")
	flags.StringVar(&o.domain, "domain", auth0sim.DefaultDomain, "`domain` of the tenant; tokens are issued by https://DOMAIN/")
	flags.StringVar(&o.issuer, "issuer", "", "issuer `URL` of tokens, instead of https://DOMAIN/")
	flags.StringVar(&o.seed, "seed", "", "JSON `file` with the tenant, instead of the one for trying out")
	flags.BoolVar(&o.relaxed, "relaxed", false, "switch attack protection and limits off")
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(genCommand(stderr))
	return cmd
}

// noArgs makes arguments wrong usage.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return &usageError{err}
	}
	return nil
}

// run serves until ctx ends.
func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	cfg, err := config(o, stderr)
	if err != nil {
		return err
	}
	sim, err := auth0sim.New(cfg)
	if err != nil {
		return err
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if closeErr := sim.Close(stopCtx); err == nil {
			err = closeErr
		}
	}()
	if err := sim.Start(o.listen); err != nil {
		return err
	}
	if o.control != "" {
		if err := sim.StartControl(o.control); err != nil {
			return err
		}
	}
	if err := announce(stdout, sim); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// announce says where the simulator listens, one line per address.
func announce(w io.Writer, sim *auth0sim.Server) error {
	text := fmt.Sprintf("auth0 simulator of %s listens on %s\n", sim.Issuer(), sim.URL())
	if sim.ControlURL() != "" {
		text += fmt.Sprintf("control API listens on %s\n", sim.ControlURL())
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	return nil
}

// config makes the simulator's configuration from the flags.
func config(o options, log io.Writer) (auth0sim.Config, error) {
	cfg := auth0sim.Config{Domain: o.domain, Issuer: o.issuer, Log: log, Tenant: auth0sim.DemoTenant()}
	settings := auth0sim.DefaultSettings()
	if o.seed != "" {
		seed, err := readSeed(o.seed)
		if err != nil {
			return auth0sim.Config{}, err
		}
		cfg.Tenant, settings = &seed.Tenant, seed.Settings
	}
	if o.relaxed {
		settings = settings.Relaxed()
	}
	cfg.Settings = &settings
	return cfg, nil
}

func readSeed(path string) (auth0sim.Seed, error) {
	file, err := os.Open(path) //nolint:gosec // G304: the file of the command line
	if err != nil {
		return auth0sim.Seed{}, fmt.Errorf("open seed: %w", err)
	}
	seed, err := auth0sim.ReadSeed(file)
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = closeErr
	}
	if err != nil {
		return auth0sim.Seed{}, fmt.Errorf("%s: %w", path, err)
	}
	return seed, nil
}
