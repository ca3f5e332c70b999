package main

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/config"
	"ferry/doctor"
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

// addModes adds the mode and the cohort that `ferry serve` would begin with. What it could not
// begin with is a fault of the settings.
func addModes(opts *doctor.Options, cfg *config.Config, faults config.Faults) {
	modes, err := newModes(cfg, nil, zap.NewNop(), prometheus.NewRegistry())
	if err == nil {
		opts.Mode = modes.Mode().String()
		opts.InCohort = func(typed string, identifiers []string, traits any) bool {
			return modes.Has(mode.User{Identifier: typed, Identifiers: identifiers, Traits: traits})
		}
		return
	}
	opts.ModeFault = err
	var found config.Faults
	if !errors.As(err, &found) {
		return
	}
	found[0].Problem = "cannot be used: " + found[0].Problem
	opts.ModeFault = errors.New(found[0].Name + " " + found[0].Problem)
	if !isFaulty(faults, "MODE", "MODE_FILE", "COHORT", "COHORT_FILE", "STATE_KEY") {
		opts.Settings.Faults = append(opts.Settings.Faults, doctor.Fault(found[0]))
	}
}
