package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ferry/bulk/finish"
	"ferry/bulk/importer"
	"ferry/bulk/reconcile"
	"ferry/bulk/undo"
	"ferry/config"
	"ferry/doctor"
	"ferry/migration"
	"ferry/state"
	"ferry/verification"
)

// recordTimeout limits the writing of one record, and the reading of all.
const recordTimeout = 10 * time.Second

// openRecords returns where the records of commands are kept, and a function that closes it.
// The store is nil if nothing keeps them: without Redis and FERRY_DATA_DIR.
func openRecords(cfg *config.Config) (verification.Store, func(), error) {
	switch {
	case cfg.Redis():
		redis, err := state.NewRedis(cfg.StateURL, cfg.StateKey, state.Options{})
		if err != nil {
			return nil, func() {}, err
		}
		return redis, func() { _ = redis.Close() }, nil
	case cfg.DataDir != "":
		return verification.Directory(cfg.DataDir), func() {}, nil
	}
	return nil, func() {}, nil
}

// keepRecord writes the record of a command that has ended. The command has done its work by
// then, so a failure is a warning.
func keepRecord(ctx context.Context, cfg *config.Config, record verification.Record, stderr io.Writer) {
	store, closeStore, err := openRecords(cfg)
	if err == nil && store == nil {
		return
	}
	defer closeStore()
	if err == nil {
		record.Ended, record.Version, record.Settings = time.Now().UTC(), buildVersion(), cfg.Digest()
		record.Started = record.Started.UTC()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		err = verification.Put(ctx, store, record)
	}
	if err != nil {
		warner(stderr)(fmt.Sprintf("ferry plan will not know of this run: %v", err))
	}
}

// readRecords returns the records, and whether something keeps them. One that cannot be read is
// missing, and the error says so.
func readRecords(ctx context.Context, cfg *config.Config) (records verification.Records, kept bool, err error) {
	store, closeStore, err := openRecords(cfg)
	if err != nil || store == nil {
		return nil, false, err
	}
	defer closeStore()
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	records, err = verification.Read(ctx, store)
	return records, true, err
}

// writtenAt returns when a file was written, nil if that is not known.
func writtenAt(name string) *time.Time {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	at := info.ModTime().UTC()
	return &at
}

// onceFlags are those of import and reconcile that another run does not need.
func onceFlags() []string {
	return []string{
		"users", "dry-run", "json", "results", "retry-file", "temp-dir", "findings", "shard", "in-flight", "retry-for",
		"fix", "rearm", "fix-extra", "max-extra", "hook-off", "recreate-deleted", "on-conflict",
	}
}

// lastingFlags returns the given flags that another run needs too, as --name=value.
func lastingFlags(cmd *cobra.Command) []string {
	var all []string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(onceFlags(), f.Name) {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, value := range values {
			all = append(all, "--"+f.Name+"="+value)
		}
	})
	return all
}

// doctorRecord returns the record of a doctor.
func doctorRecord(report doctor.Report, kratosConfig []byte, started time.Time, settingsValid bool) verification.Record {
	record := verification.Record{Command: verification.Doctor, Started: started, OK: settingsValid && !report.Failed(), Counts: map[string]int{}}
	for _, check := range report.Checks {
		record.Counts[string(check.Status)]++
	}
	addKratosConfigTo(&record, kratosConfig)
	return record
}

// addKratosConfigTo adds what a kratos.yml says; nil: none was read.
func addKratosConfigTo(record *verification.Record, text []byte) {
	if text == nil {
		return
	}
	record.KratosConfig = digest(text)
	if on, err := doctor.HookOn(text); err == nil {
		record.HookOn = &on
	}
}

// reconcileRecord returns the record of a reconciliation.
func reconcileRecord(result reconcile.Result, started time.Time) verification.Record {
	record := verification.Record{
		Command: verification.Reconcile, Started: started, OK: result.Open() == 0,
		Counts: map[string]int{
			"users": result.Users, "identities": result.Identities, "able": result.Able(), "open": result.Open(),
			migration.CountFromAuth0: result.Identities - result.Native, migration.CountNoIdentity: 0, migration.CountLoseActive: 0,
		},
		Connections: map[string]map[string]int{},
	}
	for name, one := range result.Connections {
		counts := map[string]int{"users": one.Users}
		for obstacle, n := range one.Obstacles {
			counts[string(obstacle)] = n
			record.Counts[string(obstacle)] += n
		}
		record.Counts[migration.CountNoIdentity] += one.NoIdentity
		record.Counts[migration.CountLoseActive] += one.LoseActive
		record.Connections[name] = counts
	}
	return record
}

// importRecord returns the record of an import.
func importRecord(summary importer.Summary, started time.Time) verification.Record {
	record := verification.Record{
		Command: verification.Import, Started: started, OK: summary.Failed() == 0,
		Counts: map[string]int{"rows": summary.Rows, "created": summary.Created()},
	}
	if summary.DryRun {
		record.Command = verification.ImportDryRun
	}
	for outcome, n := range summary.Outcomes {
		record.Counts[string(outcome)] = n
	}
	return record
}

// undoRecord returns the record of an undo that deleted.
func undoRecord(summary undo.Summary, started time.Time) verification.Record {
	return verification.Record{
		Command: verification.Undo, Started: started, OK: summary.Failed() == 0,
		Counts: map[string]int{"identities": summary.Identities, "of_run": summary.OfRun, "remaining": summary.Remaining},
	}
}

// finishRecord returns the record of a finish that wrote.
func finishRecord(summary finish.Summary, started time.Time) verification.Record {
	record := verification.Record{
		Command: verification.Finish, Started: started, OK: summary.Failed() == 0,
		Counts: map[string]int{"identities": summary.Identities, "remaining": summary.Remaining},
	}
	if summary.Undo {
		record.Counts[migration.CountUndo] = 1
	}
	for outcome, n := range summary.Outcomes {
		record.Counts[string(outcome)] = n
	}
	return record
}
