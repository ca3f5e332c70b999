package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/config"
	"ferry/hook"
)

// newAudit returns the writer of the audit log, or nil if FERRY_AUDIT_LOG is not set.
func newAudit(cfg *config.Config, log *zap.Logger, metrics prometheus.Registerer) (*audit.Writer, error) {
	if cfg.AuditLog == "" {
		return nil, nil
	}
	if cfg.LogHashKey.Empty() {
		log.Warn("FERRY_LOG_HASH_KEY is not set: the hashes in the audit log cannot be compared with those of another run")
	}
	w, err := audit.New(audit.Options{Path: cfg.AuditLog, Stdout: os.Stdout, Ferry: buildVersion(), Log: log, Metrics: metrics, Now: time.Now})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// recordTo returns the function that takes records; nil: there is no audit log.
func recordTo(w *audit.Writer) func(audit.Record) {
	if w == nil {
		return nil
	}
	return w.Record
}

// auditServe writes the record of the start or of the end of serve.
func (s *server) auditServe(action audit.Action) {
	if s.audit == nil {
		return
	}
	status := s.modes.Status()
	s.audit.Record(audit.Record{
		Action: action, Actor: audit.Actor{Kind: audit.Ferry}, Outcome: "done", Mode: status.Mode, Cohort: status.Cohort, Keys: hook.KeyIDs(s.hashKey, s.cfg.HookKeys),
	})
}

// hangUp reopens the audit log. If there is no audit log file, hangUp reads the mode files instead,
// which undoes what an operator has set through the admin listener: a rotation of the audit log
// must not switch on a ferry that was switched off. Changes of the mode files are noticed without a
// signal.
func (s *server) hangUp() {
	if s.audit != nil && s.cfg.AuditLog != audit.Stdout {
		s.audit.Reopen()
		return
	}
	s.modes.Reload()
}

// auditCommand writes the audit record of a command that has changed identities. The command has
// done its work by then, so a failure is a warning.
func auditCommand(cfg *config.Config, r audit.Record, err error, stderr io.Writer) {
	if cfg.AuditLog == "" || cfg.AuditLog == audit.Stdout {
		return
	}
	r.Action, r.Outcome = audit.Command, "done"
	if r.Actor.Kind = audit.Operator; err != nil {
		r.Outcome = "failed"
	}
	if err := audit.Append(cfg.AuditLog, buildVersion(), time.Now(), r); err != nil {
		warner(stderr)(fmt.Sprintf("this run is missing from the audit log: %v", err))
	}
}

// countsOf are the counts of a summary.
func countsOf[K ~string](outcomes map[K]int) map[string]int {
	counts := map[string]int{}
	for outcome, n := range outcomes {
		counts[string(outcome)] = n
	}
	return counts
}
