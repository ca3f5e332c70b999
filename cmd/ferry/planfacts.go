package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ferry/bulk/status"
	"ferry/config"
	"ferry/doctor"
	"ferry/migration"
	"ferry/state"
	"ferry/verification"
)

// planRules returns the settings of the plan.
func planRules(cfg *config.Config) (migration.Rules, error) {
	rules := migration.Rules{ReconcileMaxAge: cfg.PlanReconcileAge, Quiet: cfg.PlanQuiet}
	for _, text := range cfg.PlanAccept {
		kind := migration.BlockerKind(text)
		if !slices.Contains(migration.Acceptable(), kind) {
			var names []string
			for _, one := range migration.Acceptable() {
				names = append(names, string(one))
			}
			return rules, config.Faults{{Name: config.Prefix + "PLAN_ACCEPT", Problem: "must list some of " + strings.Join(names, ", ")}}
		}
		rules.Accepted = append(rules.Accepted, kind)
	}
	return rules, nil
}

// planFacts returns what a plan is decided by, as far as settings, counts and records tell.
// No file was looked at.
func planFacts(cfg *config.Config, current status.Status, records verification.Records, kept bool) (migration.Facts, error) {
	rules, err := planRules(cfg)
	return migration.Facts{
		Now: time.Now(), Status: current, Closed: cfg.MigrationClosed, Gateway: cfg.GatewayListen != "" || cfg.ForwardAuthListen != "" || cfg.Ensure, Settings: cfg.Digest(),
		Remint: cfg.Remints(), Records: records, RecordsKept: kept, Rules: rules, FilesUnseen: true,
		Files: migration.Files{KratosConfig: kratosConfigName, Users: usersName},
	}, err
}

// The names of the files in the commands of a plan, as in the documentation.
const (
	kratosConfigName = "kratos.yml"
	usersName        = "users.ndjson.gz"
)

// addKratosConfig adds what a kratos.yml says.
func addKratosConfig(f *migration.Facts, text []byte) error {
	on, err := doctor.HookOn(text)
	if err != nil {
		return fmt.Errorf("--kratos-config: %w", err)
	}
	f.HookOn, f.KratosConfig = &on, digest(text)
	return nil
}

// addRemints adds the applications that used Auth0 refresh tokens: from Redis, if ferry keeps them
// there, else from the metrics of the ferries that were asked. Without either they stay nil.
func addRemints(ctx context.Context, f *migration.Facts, cfg *config.Config) error {
	if seen := f.Status.Observed; seen != nil {
		f.Remints, f.RemintsFrom = append([]status.Remint{}, seen.Remints...), "metrics" // not nil: ferries were asked
	}
	if !f.Remint || !cfg.Redis() {
		return nil
	}
	redis, err := state.NewRedis(cfg.StateURL, cfg.StateKey, state.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = redis.Close() }()
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	uses, err := redis.Remints().Uses(ctx)
	if err != nil {
		return err
	}
	f.Remints, f.RemintsFrom = []status.Remint{}, "Redis"
	for id, use := range uses {
		f.Remints = append(f.Remints, status.Remint{ClientID: id, Count: int(use.Count), Last: use.Last})
	}
	status.SortRemints(f.Remints)
	return nil
}
