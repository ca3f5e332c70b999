package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/admin"
	"ferry/config"
	"ferry/hook"
	"ferry/kratos"
	"ferry/secret"
	"ferry/transport"
	"ferry/upstream"
)

const (
	// kratosTimeout bounds the look-up of one identity, some milliseconds as a rule.
	kratosTimeout = 5 * time.Second
	// kratosRequests is how many requests are under way at once; more wait their turn,
	// which is shorter than what Kratos' database makes of all at once.
	kratosRequests = 32
)

func serveCommand(stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Answer Kratos' hooks until SIGTERM, SIGINT or SIGHUP.",
		Args:  cobra.NoArgs,
		RunE: work(func(ctx context.Context) error {
			signal.Ignore(syscall.SIGPIPE) // the end of whoever reads the log is none of the logins' business
			cfg, err := config.Load()
			if err != nil {
				return err
			}
			log, err := newLogger(cfg, stderr)
			if err != nil {
				return err
			}
			return serve(ctx, cfg, log)
		}),
	}
}

// gcPercent makes the collector run early: ferry waits far more than it computes,
// and a crowd of waiting logins should not be doubled by garbage.
const gcPercent = 15

// serve runs until ctx ends, then drains.
func serve(ctx context.Context, cfg *config.Config, log *zap.Logger) error {
	if was := debug.SetGCPercent(gcPercent); was != 100 {
		debug.SetGCPercent(was) // the operator's GOGC
	}
	s, err := newServer(cfg, log)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	s.Stop(context.WithoutCancel(ctx))
	return err
}

func newServer(cfg *config.Config, log *zap.Logger) (*server, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	auth0, err := newUpstream(cfg)
	if err != nil {
		return nil, err
	}
	identities, err := newIdentities(cfg)
	if err != nil {
		return nil, err
	}
	hashKey := logHashKey(cfg)
	store, err := newStore(cfg, hashKey, log, registry)
	if err != nil {
		return nil, err
	}
	sync, err := syncOptions(cfg, identities)
	if err != nil {
		return nil, err
	}
	recorder, err := newRecorder(cfg, hashKey, log, registry)
	if err != nil {
		return nil, err
	}
	hooks, err := hook.New(hook.Options{
		Profiles:                store,
		Sync:                    sync,
		Deliveries:              deliveries(store),
		ClaimFor:                cfg.Auth0Timeout + time.Second,
		Keys:                    cfg.HookKeys,
		MaxPasswordBytes:        cfg.MaxPasswordBytes,
		Realms:                  cfg.Auth0Realms,
		CustomRealms:            cfg.Auth0CustomRealms,
		TrustedProxies:          cfg.TrustedProxies,
		ForwardClientIP:         cfg.Auth0ForwardClientIP,
		TrustVerifiedIdentifier: cfg.Binding == config.BindingVerifiedIdentifier,
		Closed:                  cfg.MigrationClosed,
		LogHashKey:              hashKey,
		Recorder:                recorder.forHooks(),
		Identities:              identities,
		Upstream:                auth0,
		Log:                     log,
		Metrics:                 registry,
		Now:                     time.Now,
	})
	if err != nil {
		return nil, err
	}
	s := &server{
		cfg: cfg, log: log, failed: make(chan error, 2),
		background: []func(context.Context){auth0.Run, store.Run, recorder.Run}, drain: hooks.Drain, close: store.Close,
	}
	operator, err := admin.Echo(admin.Options{Version: buildVersion(), Ready: s.ready.Load, Metrics: registry, Upstream: s.upstream})
	if err != nil {
		return nil, err
	}
	s.hooks = s.httpServer(hooks.Echo())
	s.admin = s.httpServer(operator)
	return s, nil
}

func newIdentities(cfg *config.Config) (*kratos.Client, error) {
	return kratos.New(kratos.Options{
		AdminURL:  cfg.KratosAdminURL,
		PublicURL: cfg.KratosPublicURL,
		Token:     cfg.KratosAdminToken,
		Timeout:   kratosTimeout,
		Transport: transport.New(transport.Options{MaxRequests: kratosRequests}),
	})
}

func newUpstream(cfg *config.Config) (*upstream.Client, error) {
	issuer := "https://" + cfg.Auth0Domain + "/"
	auth, err := clientAuth(cfg, issuer)
	if err != nil {
		return nil, err
	}
	return upstream.New(upstream.Options{
		Issuer:     issuer,
		BaseURL:    cfg.BaseURL(),
		ClientID:   cfg.Auth0ClientID,
		ClientAuth: auth,
		Scope:      cfg.Auth0Scope,
		Audience:   cfg.Auth0Audience,
		IDTokenAlg: cfg.Auth0IDTokenAlg,
		Timeout:    cfg.Auth0Timeout,
		Transport:  upstream.NewTransport(),
		Now:        time.Now,
	})
}

func clientAuth(cfg *config.Config, issuer string) (upstream.ClientAuth, error) {
	switch cfg.ClientAuth() {
	case config.PrivateKeyJWT:
		key, err := cfg.PrivateKey()
		if err != nil {
			return upstream.ClientAuth{}, err
		}
		return upstream.PrivateKeyJWT(cfg.Auth0ClientID, issuer, key, time.Now)
	case config.ClientSecretBasic:
		return upstream.SecretBasic(cfg.Auth0ClientID, cfg.Auth0ClientSecret), nil
	default:
		return upstream.SecretPost(cfg.Auth0ClientID, cfg.Auth0ClientSecret), nil
	}
}

// logHashKey is the operator's, or one for this run alone.
func logHashKey(cfg *config.Config) secret.String {
	if !cfg.LogHashKey.Empty() {
		return cfg.LogHashKey
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails: crypto/rand ends the process first
	return secret.New(hex.EncodeToString(key[:]))
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
