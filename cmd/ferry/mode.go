package main

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/config"
	"ferry/mode"
)

// newModes returns what holds the mode of this ferry.
func newModes(cfg *config.Config, record func(audit.Record), log *zap.Logger, metrics prometheus.Registerer) (*mode.Switch, error) {
	modes, err := mode.New(mode.Options{
		Mode: cfg.Mode, ModeFile: cfg.ModeFile, Cohort: cfg.Cohort, CohortFile: cfg.CohortFile,
		Key: cfg.StateKey, Audit: record, Log: log, Metrics: metrics, Now: time.Now,
	})
	var fault *mode.SettingError
	if errors.As(err, &fault) {
		return nil, config.Faults{{Name: config.Prefix + fault.Name, Problem: fault.Err.Error()}}
	}
	return modes, err
}
