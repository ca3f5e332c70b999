package main

import (
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/config"
	"ferry/hook"
	"ferry/limit"
	"ferry/secret"
	"ferry/state"
)

// newLimits returns the limits of failed logins. They are counted in Redis if the state is
// there, so that replicas share them.
func newLimits(cfg *config.Config, store store, hashKey secret.String, log *zap.Logger, metrics prometheus.Registerer) (*limit.Limits, error) {
	opts := limit.Options{
		BruteForce: cfg.Auth0BruteForceAttempts, PerUser: cfg.AttemptsPerUser, SuspiciousIP: cfg.Auth0SuspiciousIPAttempts, InFlight: verifyTime(cfg),
		Log: log, Hash: func(text string) string { return hook.Hash(hashKey, text) }, Metrics: metrics, Now: time.Now,
	}
	if shared, ok := store.(interface{ FailedLogins() *state.FailedLogins }); ok {
		opts.Shared = shared.FailedLogins()
	}
	if cfg.DataDir != "" {
		opts.File = filepath.Join(cfg.DataDir, limit.FileName)
	}
	return limit.New(opts)
}
