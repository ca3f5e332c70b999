package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"ferry/bulk/plan"
	"ferry/config"
	"ferry/hook"
	"ferry/hydra"
	"ferry/kratos"
	"ferry/remint"
	"ferry/state"
	"ferry/upstream"
)

// remintDeps are what re-mints share with logins.
type remintDeps struct {
	auth0      *upstream.Client
	identities *kratos.Client
	store      store
	doors      *doors // nil: no identity is created
}

// newReminter returns what replaces refresh tokens of Auth0 by those of Hydra, or nil if none are.
// The file in which it keeps them, if it has one, is closed with the server.
func (s *server) newReminter(issuer *hydra.Client, by remintDeps) (*remint.Reminter, error) {
	if !s.cfg.Remints() {
		return nil, nil
	}
	kept, err := s.openRemints(by.store)
	if err != nil {
		return nil, err
	}
	providers, _, err := plan.ParseProviders(s.cfg.Providers)
	if err != nil {
		return nil, config.Faults{{Name: config.Prefix + "PROVIDERS", Problem: err.Error()}}
	}
	opts := remint.Options{
		Clients: s.cfg.RemintClients, Auth0: by.auth0, Hydra: issuer, Identities: by.identities, Store: kept,
		Logins: func(subject string) []string { return socialLogins(providers, s.cfg.Bridge, subject) },
		Mode:   s.modes.Mode, Closed: s.cfg.MigrationClosed, ForwardClientIP: s.cfg.Auth0ForwardClientIP, Audit: recordTo(s.audit), Log: s.log,
		Hash: func(text string) string { return hook.Hash(s.hashKey, text) }, Metrics: s.metrics, Now: time.Now,
	}
	if by.doors != nil {
		opts.Users = by.doors.provisioner
	}
	return remint.New(opts)
}

// openRemints returns where re-mints are kept: in Redis if the state is there, so that replicas
// share them, else in FERRY_DATA_DIR. Unlike the history they are not kept in memory: what is lost
// logs users out.
func (s *server) openRemints(store store) (remint.Store, error) {
	if shared, ok := store.(interface{ Remints() *state.Remints }); ok {
		return shared.Remints(), nil
	}
	file, err := state.OpenRemintFile(filepath.Join(s.cfg.DataDir, state.RemintFileName), s.cfg.StateKey, time.Now)
	if err != nil {
		return nil, fmt.Errorf("re-mints: %w", err)
	}
	before := s.close
	s.close = func() error { return errors.Join(file.Close(), before()) }
	return file, nil
}

// socialLogins returns the identifiers that Kratos may have for the social login of an Auth0 user.
func socialLogins(providers plan.Providers, bridge, subject string) []string {
	var all []string
	if login, ok := providers.Login(subject); ok {
		all = append(all, login)
	}
	if bridge != "" {
		all = append(all, bridge+":"+subject)
	}
	return all
}
