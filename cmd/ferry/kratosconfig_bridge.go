package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ferry/config"
	"ferry/secret"
	"ferry/wiring"
)

// bridgeFlags are the flags of `ferry kratos-config` for the bridge.
type bridgeFlags struct{ id, clientID, secretFile, label string }

func (f *bridgeFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.id, "bridge", "", "also add the tenant as an OIDC provider with this `ID`, the one of `ferry import --bridge`, see docs/bridge.md")
	cmd.Flags().StringVar(&f.clientID, "bridge-client-id", "", "client `ID` of the application at Auth0 for the bridge; default: the one in the file")
	cmd.Flags().StringVar(&f.secretFile, "bridge-client-secret-file", "", "`FILE` with its client secret; default: the one in the file, or with --hook-key-env an environment variable")
	cmd.Flags().StringVar(&f.label, "bridge-label", "", "`TEXT` of Kratos' button after \"Sign in with\"; default: the one in the file, else \""+wiring.DefaultLabel+"\"")
}

// options returns the provider to add.
func (f bridgeFlags) options(cfg *config.Config) (wiring.Bridge, error) {
	if f.id == "" {
		if f.clientID != "" || f.secretFile != "" || f.label != "" {
			return wiring.Bridge{}, errors.New("--bridge-client-id, --bridge-client-secret-file and --bridge-label need --bridge ID")
		}
		return wiring.Bridge{}, nil
	}
	if cfg.Auth0Domain == "" && cfg.Auth0BaseURL == "" {
		return wiring.Bridge{}, errors.New("--bridge needs FERRY_AUTH0_DOMAIN, the tenant")
	}
	bridge := wiring.Bridge{ID: f.id, Issuer: cfg.BaseURL() + "/", ClientID: f.clientID, Label: f.label}
	if f.secretFile == "" {
		return bridge, nil
	}
	text, err := readFile(f.secretFile)
	if err != nil {
		return wiring.Bridge{}, err
	}
	line := strings.TrimRight(string(text), "\r\n")
	if line == "" || strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return wiring.Bridge{}, errors.New("--bridge-client-secret-file: the secret must be one line of visible ASCII characters")
	}
	bridge.ClientSecret = secret.New(line)
	return bridge, nil
}

const clientHint = "the client of the bridge is not known, so the output has \"" + wiring.PlaceholderClientID + "\" or \"" +
	wiring.PlaceholderClientSecret + "\" instead: give --bridge-client-id and --bridge-client-secret-file"

// sayClient tells that the fragment has placeholders for the client of the bridge.
func sayClient(opts wiring.Options, stderr io.Writer) {
	if opts.Bridge.ID != "" && (opts.Bridge.ClientID == "" || opts.Bridge.ClientSecret.Empty() && !opts.KeyFromEnvironment) {
		fmt.Fprintln(stderr, clientHint)
	}
}
