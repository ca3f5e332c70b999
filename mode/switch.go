package mode

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/outcome"
	"ferry/secret"
)

// Options configure a Switch. Log, Metrics and Now are required.
type Options struct {
	// Mode and Cohort are the values at the start. They are not used where there is a file.
	Mode, Cohort string
	// ModeFile and CohortFile are files with one value each; empty: there is none.
	ModeFile, CohortFile string
	// Key decides with the identifier who is in a percentage. All replicas share it. It may
	// be empty if no percentage is used.
	Key secret.String
	// Audit takes an audit record of each change; nil: there are none. It must not block.
	Audit   func(audit.Record)
	Log     *zap.Logger
	Metrics prometheus.Registerer
	// Now is the clock.
	Now func() time.Time
}

// Switch holds the mode and the cohort of a process. It is safe for concurrent use.
type Switch struct {
	opts     Options
	position func(identifier string) uint64
	metrics  *metrics
	now      atomic.Pointer[values]

	mu    sync.Mutex // held by changes
	files []*file    // protected by mu
	start values     // what a restart would begin with, as far as the files could be read
}

// values are what ferry does with logins.
type values struct {
	mode   Mode
	cohort Cohort
	by     By
	who    string
	since  time.Time
}

// By is how a value was changed.
type By string

// The ways.
const (
	ByStart  By = "start"
	ByFile   By = "file"
	BySignal By = "sighup"
	ByAdmin  By = "admin"
)

// New makes a Switch with the values of the files, or of Options. The error is a
// *SettingError, or says what is missing.
func New(opts Options) (*Switch, error) {
	if opts.Log == nil || opts.Metrics == nil || opts.Now == nil {
		return nil, errors.New("mode: log, metrics and clock are required")
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	s := &Switch{opts: opts, position: positions(opts.Key), metrics: m}
	first := values{by: ByStart, since: opts.Now()}
	for _, value := range []struct {
		name, text, path string
		set              func(*values, string) error
	}{
		{"MODE", opts.Mode, opts.ModeFile, s.setMode},
		{"COHORT", opts.Cohort, opts.CohortFile, s.setCohort},
	} {
		text := value.text
		if value.path != "" {
			f := &file{name: value.name, path: value.path, set: value.set}
			s.files = append(s.files, f)
			f.seen = f.read()
			value.name += "_FILE"
			if f.seen.err != nil {
				return nil, &SettingError{value.name, f.seen.err}
			}
			text = f.seen.text
			m.files.WithLabelValues(f.label()).Set(1)
		}
		if err := value.set(&first, text); err != nil {
			return nil, &SettingError{value.name, err}
		}
	}
	s.start = first
	s.now.Store(&first)
	m.show(first)
	level := zap.InfoLevel
	if first.mode != On || !first.cohort.All() {
		level = zap.WarnLevel
	}
	opts.Log.Log(level, "mode", zap.Stringer("mode", first.mode), zap.Stringer("cohort", first.cohort))
	return s, nil
}

// SettingError is a value that cannot be used at the start.
type SettingError struct {
	// Name is the setting, without its prefix.
	Name string
	Err  error
}

// Error implements error.
func (e *SettingError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *SettingError) Unwrap() error { return e.Err }

func (*Switch) setMode(v *values, text string) (err error) {
	read, err := Parse(text)
	if err == nil {
		v.mode = read
	}
	return err
}

func (s *Switch) setCohort(v *values, text string) error {
	read, err := ParseCohort(text)
	switch {
	case err != nil:
		return err
	case read.Hashes() && s.opts.Key.Empty():
		return errors.New("a percentage needs FERRY_STATE_KEY, the same on every replica")
	}
	v.cohort = read
	return nil
}

// Mode returns the mode.
func (s *Switch) Mode() Mode { return s.now.Load().mode }

// Has reports whether the user is in the cohort.
func (s *Switch) Has(u User) bool { return s.now.Load().cohort.has(u, s.position) }

// Observed counts a login that was decided with mode Observe.
func (s *Switch) Observed(o outcome.Outcome, reason string, took time.Duration) {
	s.metrics.observed.WithLabelValues(o.String(), reason).Inc()
	s.metrics.seconds.Observe(took.Seconds())
}

// Change is a change by an operator. What is empty stays as it is.
type Change struct {
	Mode, Cohort string
	// Who and From say who changes it, for the log.
	Who, From string
}

// Set changes the mode or the cohort, until the next change or a restart. Its error says what
// is wrong with the values.
func (s *Switch) Set(c Change) (Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.now.Load()
	if c.Mode == "" && c.Cohort == "" {
		return Status{}, errors.New("give a mode or a cohort")
	}
	if c.Mode != "" {
		if err := s.setMode(&next, c.Mode); err != nil {
			return Status{}, err
		}
	}
	if c.Cohort != "" {
		if err := s.setCohort(&next, c.Cohort); err != nil {
			return Status{}, err
		}
	}
	s.change(next, ByAdmin, c.Who, c.From)
	return s.status(), nil
}

// change makes next the values. The caller holds mu.
func (s *Switch) change(next values, by By, who, from string) {
	was := *s.now.Load()
	next.by, next.who, next.since = by, who, s.opts.Now()
	message, level, result := "mode changed", zap.WarnLevel, "changed"
	if next.mode == was.mode && next.cohort.text == was.cohort.text {
		message, level, result = "mode not changed: it is already as requested", zap.InfoLevel, "unchanged"
	} else {
		s.now.Store(&next)
		s.metrics.show(next)
		s.metrics.changes.WithLabelValues(string(by)).Inc()
	}
	fields := []zap.Field{
		zap.Stringer("mode", next.mode), zap.Stringer("was", was.mode),
		zap.Stringer("cohort", next.cohort), zap.Stringer("cohort_was", was.cohort), zap.String("by", string(by)),
	}
	if from != "" {
		fields = append(fields, zap.String("from", from))
	}
	if who != "" {
		fields = append(fields, zap.String("who", who))
	}
	s.opts.Log.Log(level, message, fields...)
	if s.opts.Audit != nil {
		s.opts.Audit(audit.Record{
			Action: audit.ModeChange, Actor: audit.Actor{Kind: audit.Operator, Name: who, From: from}, Outcome: result, Reason: string(by),
			Mode: next.mode.String(), ModeWas: was.mode.String(), Cohort: next.cohort.String(), CohortWas: was.cohort.String(),
		})
	}
}

// Status says what ferry does with logins.
type Status struct {
	Mode   string    `json:"mode"`
	Cohort string    `json:"cohort"`
	Since  time.Time `json:"since"`
	// By is how the last change was made, and Who made it, if that is known.
	By  By     `json:"by"`
	Who string `json:"who,omitempty"`
	// AtRestart is what this ferry would begin with after a restart.
	AtRestart struct {
		Mode   string `json:"mode"`
		Cohort string `json:"cohort"`
	} `json:"at_restart"`
}

// Status returns the status.
func (s *Switch) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status()
}

func (s *Switch) status() Status {
	v := s.now.Load()
	status := Status{Mode: v.mode.String(), Cohort: v.cohort.String(), Since: v.since.UTC(), By: v.by, Who: v.who}
	status.AtRestart.Mode, status.AtRestart.Cohort = s.start.mode.String(), s.start.cohort.String()
	return status
}

// Reload reads the files again. What cannot be used is logged, and the value stays as it is.
func (s *Switch) Reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) == 0 {
		s.opts.Log.Warn("SIGHUP: there is no mode file to read (FERRY_MODE_FILE, FERRY_COHORT_FILE)")
		return
	}
	next, taken := *s.now.Load(), false
	for _, f := range s.files {
		f.seen = f.read()
		taken = s.take(f, &next) || taken
	}
	if taken {
		s.change(next, BySignal, "", "")
	}
}

// Run looks for changes of the files until ctx is done.
func (s *Switch) Run(ctx context.Context) {
	if s.opts.ModeFile == "" && s.opts.CohortFile == "" {
		return
	}
	ticker := time.NewTicker(fileEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.look()
		case <-ctx.Done():
			return
		}
	}
}

// look takes files that have changed.
func (s *Switch) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, taken := *s.now.Load(), false
	for _, f := range s.files {
		if f.changed() {
			taken = s.take(f, &next) || taken
		}
	}
	if taken {
		s.change(next, ByFile, "", "")
	}
}

// take sets the value that was read from a file, and reports whether it could be used.
func (s *Switch) take(f *file, next *values) bool {
	err := f.seen.err
	if err == nil {
		err = f.set(next, f.seen.text)
	}
	if err != nil {
		s.metrics.files.WithLabelValues(f.label()).Set(0)
		s.opts.Log.Error(fmt.Sprintf("FERRY_%s_FILE cannot be used: the %s stays as it is, but ferry would not start with this file", f.name, f.label()),
			zap.Error(err), zap.Stringer("mode", next.mode), zap.Stringer("cohort", next.cohort))
		return false
	}
	s.metrics.files.WithLabelValues(f.label()).Set(1)
	_ = f.set(&s.start, f.seen.text) // as it could be set in next
	return true
}
