package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/config"
	"ferry/hook"
	"ferry/kratos"
	"ferry/limit"
	"ferry/mapping"
	"ferry/recording"
	"ferry/secret"
	"ferry/state"
	"ferry/tracing/otlp"
	"ferry/transport"
	"ferry/upstream"
	"ferry/wire"
)

const (
	// kratosTimeout limits one lookup during a login. It usually takes a few milliseconds.
	kratosTimeout = 5 * time.Second
	// kratosRequests limits the concurrent requests of serve. Queueing the others is faster
	// than having Kratos' database run all of them at once.
	kratosRequests = 32
	// bulkTimeout limits one request of a bulk run. Batches have a longer limit of their own.
	bulkTimeout = 30 * time.Second
	// rateLimitWait is how long a bulk request waits for the rate limits of Ory Network, which
	// are counted per minute.
	rateLimitWait = 5 * time.Minute
	// managementTimeout limits one request to the Management API, including the wait for its
	// rate limits.
	managementTimeout = 30 * time.Second
	// writeBackPerSecond stays below the rate limit on writes of Auth0's smallest plan.
	writeBackPerSecond = 2
)

// loginKratos returns the Kratos client for logins. wrap, if not nil, wraps its transport.
func loginKratos(cfg *config.Config, wrap func(http.RoundTripper) http.RoundTripper) (*kratos.Client, error) {
	return newKratos(cfg, kratos.Options{
		Timeout:   kratosTimeout,
		Transport: wrapped(transport.New(transport.Options{MaxRequests: kratosRequests}), wrap),
	})
}

// bulkKratos returns the Kratos client for everything that no login waits for.
func bulkKratos(cfg *config.Config) (*kratos.Client, error) {
	return newKratos(cfg, kratos.Options{
		Timeout: bulkTimeout, RateLimitWait: rateLimitWait, Transport: transport.New(transport.Options{}),
	})
}

func newKratos(cfg *config.Config, opts kratos.Options) (*kratos.Client, error) {
	opts.AdminURL, opts.PublicURL, opts.Token = cfg.KratosAdminURL, cfg.KratosPublicURL, cfg.KratosAdminToken
	return kratos.New(opts)
}

func wrapped(next http.RoundTripper, wrap func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
	if wrap == nil {
		return next
	}
	return wrap(next)
}

// issuer is the tenant's issuer identifier.
func issuer(cfg *config.Config) string { return "https://" + cfg.Auth0Domain + "/" }

// newUpstream returns the client that verifies passwords at Auth0. wrap, if not nil, wraps its
// transport; guard, if not nil, decides whether it may ask.
func newUpstream(cfg *config.Config, wrap func(http.RoundTripper) http.RoundTripper, guard *upstream.Guard) (*upstream.Client, error) {
	auth, err := clientAuth(cfg)
	if err != nil {
		return nil, err
	}
	return upstream.New(upstream.Options{
		Issuer:     issuer(cfg),
		BaseURL:    cfg.BaseURL(),
		ClientID:   cfg.Auth0ClientID,
		ClientAuth: auth,
		Scope:      cfg.Auth0Scope,
		Audience:   cfg.Auth0Audience,
		IDTokenAlg: cfg.Auth0IDTokenAlg,
		Timeout:    cfg.Auth0Timeout,
		Transport:  wrapped(upstream.NewTransport(), wrap),
		Now:        time.Now,
		Guard:      guard,
	})
}

// guardedUpstream returns the client for logins, and what limits it.
func guardedUpstream(cfg *config.Config, traces *otlp.Traces, log *zap.Logger, metrics prometheus.Registerer) (*upstream.Client, *upstream.Guard, error) {
	guard, err := upstream.NewGuard(upstream.GuardOptions{PerSecond: cfg.Auth0RequestsPerSecond, Log: log, Metrics: metrics, Now: time.Now})
	if err != nil {
		return nil, nil, err
	}
	auth0, err := newUpstream(cfg, traces.Client(otlp.PeerAuth0, false), guard)
	return auth0, guard, err
}

func clientAuth(cfg *config.Config) (upstream.ClientAuth, error) {
	switch cfg.ClientAuth() {
	case config.PrivateKeyJWT:
		key, err := cfg.PrivateKey()
		if err != nil {
			return upstream.ClientAuth{}, err
		}
		return upstream.PrivateKeyJWT(cfg.Auth0ClientID, issuer(cfg), key, time.Now)
	case config.ClientSecretBasic:
		return upstream.SecretBasic(cfg.Auth0ClientID, cfg.Auth0ClientSecret), nil
	default:
		return upstream.SecretPost(cfg.Auth0ClientID, cfg.Auth0ClientSecret), nil
	}
}

// newManagement returns the client of Auth0's Management API.
func newManagement(cfg *config.Config, traces *otlp.Traces) (*upstream.Management, error) {
	return limitedManagement(cfg, traces, managementTimeout, writeBackPerSecond)
}

// limitedManagement is newManagement with a time limit for each request, and a limit of
// requests a second.
func limitedManagement(cfg *config.Config, traces *otlp.Traces, timeout time.Duration, perSecond float64) (*upstream.Management, error) {
	base := cfg.Auth0BaseURL
	if base == "" {
		base = "https://" + cfg.ManagementDomain()
	}
	return upstream.NewManagement(upstream.ManagementOptions{
		BaseURL:      strings.TrimRight(base, "/"),
		Audience:     "https://" + cfg.ManagementDomain() + "/api/v2/",
		ClientID:     cfg.Auth0MgmtClientID,
		ClientSecret: cfg.Auth0MgmtClientSecret,
		Timeout:      timeout,
		Transport:    wrapped(upstream.NewTransport(), traces.Client(otlp.PeerAuth0, false)),
		Now:          time.Now,
		PerSecond:    perSecond,
	})
}

// store is a *state.Memory or a *state.Replica.
type store interface {
	hook.Store
	Run(ctx context.Context)
	Close() error
}

func newStore(cfg *config.Config, hashKey secret.String, log *zap.Logger, metrics prometheus.Registerer) (store, error) {
	expired := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ferry_profiles_expired_total", Help: "Profiles that the after-login hook never took. The users have migrated.",
	})
	if err := metrics.Register(expired); err != nil {
		return nil, fmt.Errorf("register state metrics: %w", err)
	}
	opts := state.Options{
		Expired: func(identityID, subject string) {
			expired.Inc()
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
	opts.Beat, opts.Took = watch.beat, func(took time.Duration) { watch.took.Observe(took.Seconds()) }
	return state.NewReplica(cfg.StateURL, cfg.StateKey, opts)
}

// newRecorder returns the recorder of hook calls, or nil if FERRY_RECORD_DIR is not set.
func newRecorder(cfg *config.Config, hashKey secret.String, log *zap.Logger, metrics prometheus.Registerer) (*recording.Writer, error) {
	if cfg.RecordDir == "" {
		return nil, nil
	}
	if cfg.LogHashKey.Empty() {
		log.Warn("FERRY_LOG_HASH_KEY is not set: the hashes in recordings cannot be compared with those of another run")
	}
	opts := recording.Options{
		Dir: cfg.RecordDir, MaxBytes: int64(cfg.RecordMaxBytes), Keep: cfg.RecordKeep,
		Hash: func(text string) string { return hook.Hash(hashKey, text) },
		Log:  log, Metrics: metrics, Now: time.Now,
	}
	if cfg.RecordKey != "" {
		key, err := recording.ParseKey(cfg.RecordKey)
		if err != nil {
			return nil, err
		}
		opts.Key = key
	}
	w, err := recording.New(opts)
	if err != nil {
		return nil, err
	}
	log.Info("recording hook calls", zap.String("directory", cfg.RecordDir), zap.Bool("sealing", opts.Key != nil))
	return w, nil
}

// newMapper returns the mapper in FERRY_MAPPER, or the default one, for a schema.
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
		database := provider == wire.DatabaseProvider
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

// verifyTime is a little longer than one verification at Auth0 may take.
func verifyTime(cfg *config.Config) time.Duration { return cfg.Auth0Timeout + time.Second }

// hookOptions returns the options that the settings determine. The caller adds Log, Metrics,
// Store and, if it has one, Recorder.
func hookOptions(cfg *config.Config, hashKey secret.String, identities *kratos.Client, auth0 *upstream.Client, traces *otlp.Traces) (hook.Options, error) {
	mapper, err := newMapper(cfg)
	if err != nil {
		return hook.Options{}, config.Faults{{Name: config.Prefix + "MAPPER", Problem: err.Error()}}
	}
	sync := hook.SyncOptions{Records: identities, Mapper: mapper, Rules: mappingRules(cfg), Version: buildVersion()}
	if cfg.WriteBack {
		if sync.WriteBack, err = newManagement(cfg, traces); err != nil {
			return hook.Options{}, err
		}
	}
	return hook.Options{
		Sync:                    sync,
		ClaimFor:                limit.TurnTime + verifyTime(cfg),
		Keys:                    cfg.HookKeys,
		MaxPasswordBytes:        cfg.MaxPasswordBytes,
		InFlight:                cfg.LoginsInFlight,
		Queued:                  cfg.LoginsQueued,
		Realms:                  cfg.Auth0Realms,
		CustomRealms:            cfg.Auth0CustomRealms,
		TrustedProxies:          cfg.TrustedProxies,
		ForwardClientIP:         cfg.Auth0ForwardClientIP,
		TrustVerifiedIdentifier: cfg.Binding == config.BindingVerifiedIdentifier,
		Closed:                  cfg.MigrationClosed,
		LogHashKey:              hashKey,
		Identities:              identities,
		Upstream:                auth0,
		Now:                     time.Now,
	}, nil
}

// logHashKey returns FERRY_LOG_HASH_KEY, or a random key for this process.
func logHashKey(cfg *config.Config) secret.String {
	if !cfg.LogHashKey.Empty() {
		return cfg.LogHashKey
	}
	return secret.New(rand.Text())
}

func newLogger(cfg *config.Config, to io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	format := zap.NewProductionEncoderConfig()
	format.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	format.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(format)
	if cfg.LogFormat == "console" {
		encoder = zapcore.NewConsoleEncoder(format)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(to)), level)), nil
}
