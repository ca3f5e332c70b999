package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/config"
	"ferry/hook"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/secret"
	"ferry/state"
	"ferry/upstream"
)

// store is what state.Memory and state.Redis both are.
type store interface {
	Put(ctx context.Context, handoff state.Handoff) error
	Lease(ctx context.Context, identityID, flowID string) (state.Lease, bool, error)
	Run(ctx context.Context)
	Close() error
}

func newStore(cfg *config.Config, hashKey secret.String, log *zap.Logger, metrics prometheus.Registerer) (store, error) {
	opts := state.Options{
		Expired: func(identityID, subject string) {
			log.Warn("profile expired unclaimed", zap.String("identity_id", identityID), zap.String("subject_hash", hook.Hash(hashKey, subject)))
		},
		Fault: func(err error) { log.Warn("state", zap.Error(err)) },
	}
	if !cfg.Redis() {
		return state.NewMemory(opts), nil
	}
	watch, err := newStateWatch(log, metrics)
	if err != nil {
		return nil, err
	}
	opts.Beat = watch.beat
	return state.NewRedis(cfg.StateURL, cfg.StateKey, opts)
}

// deliveries shares them over replicas, where there are any.
func deliveries(s store) hook.Deliveries {
	if redis, ok := s.(*state.Redis); ok {
		return redis
	}
	return nil
}

func syncOptions(cfg *config.Config, records *kratos.Client) (hook.SyncOptions, error) {
	mapper, err := newMapper(cfg)
	if err != nil {
		return hook.SyncOptions{}, config.Faults{{Name: config.Prefix + "MAPPER", Problem: err.Error()}}
	}
	opts := hook.SyncOptions{Records: records, Mapper: mapper, Rules: mappingRules(cfg), Version: buildVersion()}
	if cfg.WriteBack {
		if opts.WriteBack, err = newManagement(cfg); err != nil {
			return hook.SyncOptions{}, err
		}
	}
	return opts, nil
}

const (
	// writeBackTimeout bounds one note at Auth0, waiting for its limits included.
	writeBackTimeout = 30 * time.Second
	// writeBackPerSecond keeps ferry below the smallest plan's limit on writes.
	writeBackPerSecond = 2
)

func newManagement(cfg *config.Config) (*upstream.Management, error) {
	base := cfg.Auth0BaseURL
	if base == "" {
		base = "https://" + cfg.ManagementDomain()
	}
	return upstream.NewManagement(upstream.ManagementOptions{
		BaseURL:      strings.TrimRight(base, "/"),
		Audience:     "https://" + cfg.ManagementDomain() + "/api/v2/",
		ClientID:     cfg.Auth0MgmtClientID,
		ClientSecret: cfg.Auth0MgmtClientSecret,
		Timeout:      writeBackTimeout,
		Transport:    upstream.NewTransport(),
		Now:          time.Now,
		PerSecond:    writeBackPerSecond,
	})
}

// newMapper is the operator's Jsonnet, or the mapping by names.
func newMapper(cfg *config.Config) (func(*mapping.Schema) mapping.Mapper, error) {
	if cfg.Mapper == "" {
		return mapping.Default, nil
	}
	source, err := os.ReadFile(cfg.Mapper)
	if err != nil {
		return nil, fmt.Errorf("mapper: %w", err)
	}
	mapper, err := mapping.Jsonnet(cfg.Mapper, string(source))
	if err != nil {
		return nil, fmt.Errorf("mapper: %w", err)
	}
	return func(*mapping.Schema) mapping.Mapper { return mapper }, nil
}

func mappingRules(cfg *config.Config) mapping.Rules {
	rules := mapping.Rules{ByTrait: map[string]mapping.Policy{}, TrustVerified: func(connection, provider string) bool {
		database := provider == "auth0"
		switch {
		case len(cfg.VerifiedConnections) == 0:
			return database
		case database:
			return slices.Contains(cfg.VerifiedConnections, connection)
		}
		return slices.Contains(cfg.VerifiedConnections, provider)
	}}
	for _, entry := range cfg.TraitPolicy {
		trait, policy, _ := strings.Cut(entry, "=")
		rules.ByTrait[trait] = mapping.Policy(policy)
	}
	return rules
}
