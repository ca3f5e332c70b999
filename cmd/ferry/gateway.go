package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/bulk/plan"
	"ferry/config"
	"ferry/gateway"
	"ferry/hook"
	"ferry/kratos"
	"ferry/mode"
	"ferry/outcome"
	"ferry/provision"
	"ferry/secret"
	"ferry/state"
	"ferry/tracing/otlp"
	"ferry/transport"
	"ferry/upstream"
)

// doors is what all that creates identities one by one shares: one limit of look-ups.
type doors struct {
	provisioner *provision.Provisioner
	budget      *provision.Budget
}

// addDoors makes what creates identities one by one, and adds it to the options of the hooks.
func addDoors(opts *hook.Options, cfg *config.Config, identities *kratos.Client, store store, modes *mode.Switch, hashKey secret.String, traces *otlp.Traces) (*doors, error) {
	d, err := newDoors(cfg, identities, store, modes, hashKey, traces, opts.Audit, opts.Metrics, opts.Log)
	if err != nil {
		return nil, err
	}
	return d, d.addTo(opts, cfg)
}

// newDoors returns what creates identities one by one.
func newDoors(cfg *config.Config, identities *kratos.Client, store store, modes *mode.Switch, hashKey secret.String, traces *otlp.Traces, record func(audit.Record), metrics prometheus.Registerer, log *zap.Logger) (*doors, error) {
	provisioner, err := newProvisioner(cfg, identities, store, modes, func(text string) string { return hook.Hash(hashKey, text) }, traces, record, metrics, log)
	if err != nil {
		return nil, err
	}
	// Strangers cause look-ups: half of the rate is left for users who have logged in.
	return &doors{provisioner: provisioner, budget: provision.NewBudget(float64(cfg.GatewayLookupsPerSecond)/2, store)}, nil
}

// addTo adds what creates identities to the options of the hooks.
func (d *doors) addTo(opts *hook.Options, cfg *config.Config) error {
	opts.Sync.Migrated = d.provisioner.Remember
	if cfg.Ensure {
		ensurer, err := provision.NewEnsurer(d.provisioner, d.budget)
		if err != nil {
			return err
		}
		opts.Ensure = ensurer.Ensure
	}
	if cfg.SignUp {
		signUps, err := provision.NewSignUps(d.provisioner, d.budget)
		if err != nil {
			return err
		}
		opts.SignUps = signUps
	}
	return nil
}

// newGateway returns the gateway; without FERRY_GATEWAY_LISTEN only its Checks are of use.
func newGateway(cfg *config.Config, hooks *hook.Handler, identities *kratos.Client, behind *doors, modes *mode.Switch, hashKey secret.String, traces *otlp.Traces, record func(audit.Record), log *zap.Logger, metrics prometheus.Registerer) (*gateway.Gateway, error) {
	opts := gateway.Options{
		Realms: gatewayRealms(cfg), CustomRealms: cfg.Auth0CustomRealms,
		TrustedProxies: cfg.GatewayTrustedProxies, ForwardClientIP: cfg.Auth0ForwardClientIP,
		MaxPasswordBytes: cfg.MaxPasswordBytes, ErrorURL: cfg.GatewayErrorURL, Closed: cfg.MigrationClosed, Modes: modes,
		PerMinute: cfg.GatewayPerMinute, Budget: behind.budget,
		Traits: behind.provisioner.Traits, Identities: identities, Attempts: hooks.Attempts(), Enter: hooks.Enter, Keep: hooks.Keep, UsersFault: usersFault,
		Provisioner: behind.provisioner, Audit: record, Log: log, Hash: func(text string) string { return hook.Hash(hashKey, text) },
		Metrics: metrics, Now: time.Now,
	}
	if cfg.GatewayListen != "" {
		public, err := url.Parse(strings.TrimRight(cfg.KratosPublicURL, "/"))
		if err != nil {
			return nil, config.Faults{{Name: config.Prefix + "KRATOS_PUBLIC_URL", Problem: "is not a URL"}}
		}
		opts.Kratos, opts.Transport = public, wrapped(transport.New(transport.Options{}), traces.Client(otlp.PeerKratos, true))
	}
	return gateway.New(opts)
}

// usersFault reports whether the hook answers the outcome as wrong credentials.
func usersFault(o outcome.Outcome) bool {
	status, _ := hook.Answer(o)
	return status == http.StatusForbidden
}

// gatewayRealms are the connections that are asked about a user whom Kratos does not have.
func gatewayRealms(cfg *config.Config) []string {
	if len(cfg.GatewayRealms) > 0 || len(cfg.Auth0Realms) == 0 {
		return cfg.GatewayRealms
	}
	return cfg.Auth0Realms[:1]
}

// newProvisioner returns what creates identities one by one.
func newProvisioner(cfg *config.Config, identities *kratos.Client, store store, modes *mode.Switch, hash func(string) string, traces *otlp.Traces, record func(audit.Record), metrics prometheus.Registerer, log *zap.Logger) (*provision.Provisioner, error) {
	providers, warnings, err := plan.ParseProviders(cfg.Providers)
	if err != nil {
		return nil, config.Faults{{Name: config.Prefix + "PROVIDERS", Problem: err.Error()}}
	}
	for _, warning := range warnings {
		log.Warn("FERRY_PROVIDERS: " + warning)
	}
	if err := plan.CheckBridge(cfg.Bridge, providers); err != nil {
		return nil, config.Faults{{Name: config.Prefix + "BRIDGE", Problem: err.Error()}}
	}
	register, err := openRegister(cfg, store)
	if err != nil {
		return nil, err
	}
	opts := provision.Options{
		Identities: identities, AskUnverified: len(cfg.Auth0Realms) < 2, Register: register,
		Load:    func(ctx context.Context) (plan.Options, error) { return provisionPlan(ctx, cfg, identities, providers) },
		Version: buildVersion(), Log: log, Hash: hash, Now: time.Now, ReadyWait: readyWait, Mode: modes.Mode, Audit: record, Metrics: metrics,
	}
	if cfg.Auth0MgmtClientID != "" {
		management, err := gatewayManagement(cfg, traces)
		if err != nil {
			return nil, err
		}
		opts.Directory = management
		if cfg.WriteBack {
			opts.Mark = management.MarkCreated
		}
	}
	return provision.New(opts)
}

// openRegister returns the users register: in Redis if the state is there, so that replicas
// share it, else in FERRY_DATA_DIR, else in memory.
func openRegister(cfg *config.Config, store store) (provision.Register, error) {
	if shared, ok := store.(interface{ Register() *state.Register }); ok {
		return shared.Register(), nil
	}
	return provision.OpenRegister(cfg.DataDir)
}

// provisionPlan returns how the identities are planned: as by an import with the same
// settings.
func provisionPlan(ctx context.Context, cfg *config.Config, identities *kratos.Client, providers plan.Providers) (plan.Options, error) {
	mapped, err := schemaFlags{id: cfg.SchemaID}.read(ctx, cfg, identities)
	if err != nil {
		return plan.Options{}, err
	}
	opts := plan.Options{
		Schema: mapped.schema, SchemaID: mapped.id, Mapper: mapped.mapper, Rules: mappingRules(cfg), Realms: cfg.Auth0Realms,
		Mode: plan.ModeHook, Providers: providers, Bridge: cfg.Bridge, ExternalID: true, Now: time.Now,
	}
	if opts.Lacks, err = identities.Lacks(ctx, opts.Fields()...); err != nil {
		return plan.Options{}, err
	}
	opts.ExternalID = !slices.Contains(opts.Lacks, kratos.FieldExternalID)
	return opts, nil
}

// gatewayManagement returns the client of the Management API for look-ups. The caller that waits
// for it bounds the time.
func gatewayManagement(cfg *config.Config, traces *otlp.Traces) (*upstream.Management, error) {
	return limitedManagement(cfg, traces, gatewayManagementTimeout, float64(max(cfg.GatewayLookupsPerSecond, 1)))
}

// readyWait is how long a login waits at the start until ferry has read Kratos.
const readyWait = 5 * time.Second

// gatewayManagementTimeout limits one look-up.
const gatewayManagementTimeout = 5 * time.Second
