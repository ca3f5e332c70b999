package main

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ferry/config"
	"ferry/wiring/hydraconfig"
)

// hydraConfigFlags are the flags of `ferry hydra-config`.
type hydraConfigFlags struct {
	issuer, login, consent, logout string
	grace                          time.Duration
	claims                         []string
	front                          bool
}

func hydraConfigCommand(stdout io.Writer) *cobra.Command {
	var flags hydraConfigFlags
	cmd := &cobra.Command{
		Use:   "hydra-config",
		Short: "Print the part of hydra.yml that applications from Auth0 need.",
		Long: "Prints the part of Hydra's configuration that makes its tokens, paths and headers fit applications that were\n" +
			"built for Auth0, as YAML with comments. Merge it into hydra.yml and restart Hydra; `ferry doctor --hydra-config\n" +
			"hydra.yml` checks the result. It contains no secret.\n" +
			"Exit status 0: done, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := flags.options(cmd.Flags().Changed("token-front"))
			if err != nil {
				return err
			}
			text, err := hydraconfig.Fragment(opts)
			if err == nil {
				_, err = io.WriteString(stdout, text)
			}
			return asFailed(err)
		},
	}
	cmd.Flags().StringVar(&flags.issuer, "issuer", "", "`URL` that Hydra writes into tokens, https://DOMAIN/ with the domain that is built into the applications; default: that of FERRY_AUTH0_DOMAIN, if it is a custom domain")
	cmd.Flags().BoolVar(&flags.front, "token-front", false, "ferry's token front is in front of Hydra: advertise Auth0's paths; default: whether FERRY_TOKEN_LISTEN is set")
	cmd.Flags().DurationVar(&flags.grace, "grace", hydraconfig.DefaultGrace, "`DURATION` for which a rotated refresh token stays valid: the leeway of the applications at Auth0, at most 5m")
	cmd.Flags().StringSliceVar(&flags.claims, "claim", hydraconfig.DefaultClaims(), "`NAME` of a claim that your servers read at the top level of access tokens; separate several with commas")
	cmd.Flags().StringVar(&flags.login, "login-url", "", "`URL` of your login page")
	cmd.Flags().StringVar(&flags.consent, "consent-url", "", "`URL` of your consent page")
	cmd.Flags().StringVar(&flags.logout, "logout-url", "", "`URL` of your logout page")
	return cmd
}

// options returns the checked options of the flags and the settings.
func (f hydraConfigFlags) options(frontGiven bool) (hydraconfig.Options, error) {
	cfg, err := config.LoadFor()
	if err != nil {
		return hydraconfig.Options{}, err
	}
	opts := hydraconfig.Options{
		Issuer: f.issuer, TokenFront: f.front, Grace: f.grace, Claims: f.claims, Login: f.login, Consent: f.consent, Logout: f.logout,
	}
	if opts.Issuer == "" {
		if cfg.Auth0Domain == "" || strings.HasSuffix(cfg.Auth0Domain, ".auth0.com") {
			return hydraconfig.Options{}, errors.New("give --issuer https://DOMAIN/ with the custom domain that is built into the applications: a host of Auth0 cannot point to Hydra")
		}
		opts.Issuer = "https://" + cfg.Auth0Domain + "/"
	}
	if !frontGiven {
		opts.TokenFront = cfg.TokenListen != ""
	}
	return opts, opts.Check()
}
