package main

import (
	"context"
	"errors"
	"fmt"

	"ferry/clients/importer"
	"ferry/config"
	"ferry/hydra"
	"ferry/transport"
)

// hydraOptions adds Hydra to the options of an import, if the settings have it.
func hydraOptions(cfg *config.Config, opts *importer.Options) error {
	if cfg.HydraAdminURL == "" {
		return nil
	}
	client, err := newHydra(cfg, nil)
	if err != nil {
		return err
	}
	opts.AdminURL, opts.AdminToken, opts.Transport = cfg.HydraAdminURL, cfg.HydraAdminToken, transport.New(transport.Options{})
	opts.Probe = func(ctx context.Context, c importer.Credentials) (bool, error) {
		return holds(client.Probe(ctx, hydra.Credentials{ClientID: c.ClientID, Secret: c.Secret, Method: hydra.Method(c.Method)}))
	}
	return nil
}

// holds reads the result of a probe: a client that may not use refresh tokens is refused after
// its credentials were accepted.
func holds(err error) (bool, error) {
	var fault *hydra.Error
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &fault) && fault.Reason == "unauthorized_client":
		return true, nil
	case errors.As(err, &fault) && fault.Kind == hydra.Refused:
		return false, nil
	}
	return false, err
}

// hydraReached adds what to check if Hydra's admin API did not answer as it does.
func hydraReached(err error) error {
	var fault *importer.Error
	if errors.As(err, &fault) {
		return fmt.Errorf("%w; is FERRY_HYDRA_ADMIN_URL the admin API of Hydra, and does it run?", err)
	}
	return err
}
