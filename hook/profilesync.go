package hook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"ferry/audit"
	"ferry/edit"
	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
	"ferry/state"
	"ferry/tracing"
	"ferry/wire"
)

const (
	// syncTries is how often the retry tries. It pauses for retryPause, then twice as long
	// each time, up to maxRetryPause.
	syncTries     = 6
	retryPause    = 500 * time.Millisecond
	maxRetryPause = 8 * time.Second
	// syncTime bounds all tries together. They end before the lease does, so no other
	// replica writes the same profile at the same time.
	syncTime = state.LeaseTime - 2*time.Second
	// firstTryTime is how long a login may wait for the first try, in Kratos' parse mode.
	firstTryTime = 2 * time.Second
	// syncQueueSize is how many profiles may wait for a retry, and how many write-backs
	// to Auth0 may be in flight.
	syncQueueSize = 1000
)

// Results of the tries after the first, in the metrics.
const (
	resultWrittenLater = "written_later"
	resultLost         = "lost"
)

// records reads and writes identities.
type records interface {
	Read(ctx context.Context, id string) (kratos.Record, error)
	Patch(ctx context.Context, id string, ops []jsonpatch.Op) (kratos.Record, error)
	Schema(ctx context.Context, schemaID string) ([]byte, error)
}

// writeBack records at Auth0 that a user has migrated.
type writeBack interface {
	MarkMigrated(ctx context.Context, userID, identityID string, at time.Time) error
}

// SyncOptions say how a profile is written into an identity. Records, Mapper and Version
// are required.
type SyncOptions struct {
	// Records reads and patches identities.
	Records records
	// Mapper returns the mapper for an identity schema.
	Mapper func(*mapping.Schema) mapping.Mapper
	// Rules decide which value wins, and which addresses count as verified.
	Rules mapping.Rules
	// WriteBack records migrations at Auth0; nil records none.
	WriteBack writeBack
	// Migrated is told the Auth0 users of an identity that has migrated; nil: no one is.
	Migrated func(ctx context.Context, userIDs []string) error
	// Version is this ferry's, recorded in the identity.
	Version string
}

// profileSyncer writes profiles into identities: each after a fresh read, in one patch,
// with retries after a temporary error.
type profileSyncer struct {
	SyncOptions
	log     *zap.Logger
	hash    func(string) string // of an Auth0 user id, for the log
	metrics *metrics
	now     func() time.Time
	audit   func(audit.Record) // nil: there are no audit records

	queue      chan struct{} // a slot for each profile that waits for a retry
	writeBacks chan struct{} // a slot for each write-back in flight
	drain      chan struct{}
	stop       sync.Once
	running    sync.WaitGroup

	mu      sync.Mutex
	schemas map[string]cachedSchema
}

func newProfileSyncer(opts SyncOptions, log *zap.Logger, hash func(string) string, m *metrics, now func() time.Time) *profileSyncer {
	return &profileSyncer{
		SyncOptions: opts, log: log, hash: hash, metrics: m, now: now,
		queue: make(chan struct{}, syncQueueSize), writeBacks: make(chan struct{}, syncQueueSize), drain: make(chan struct{}), schemas: map[string]cachedSchema{},
	}
}

// errNotMigrated: the identity is still pending, or pending again. A match is not a migration.
var errNotMigrated = errors.New("the identity is still pending")

// errRebound: the identity records another Auth0 user than the profile's.
var errRebound = errors.New("the identity was bound to another user meanwhile")

// sync writes the profile, or queues it for a retry, and returns the result word. The
// record is nil if nothing is written yet.
func (s *profileSyncer) sync(ctx context.Context, lease state.Lease) (*kratos.Record, string) {
	leased, cancel := context.WithTimeout(ctx, syncTime)
	record, changed, err := s.firstTry(leased, lease.Handoff)
	queued := false
	defer func() {
		if !queued {
			cancel()
		}
	}()
	switch {
	case err == nil:
		s.done(ctx, lease)
		if !changed {
			return &record, "unchanged"
		}
		return &record, "written"
	case isFinal(err):
		s.logLost(lease, err)
		s.done(ctx, lease)
		return nil, "refused"
	}
	s.log.Warn("profile not written yet", zap.String("identity_id", lease.Handoff.IdentityID), zap.String("reason", reasonOf(err)))
	select {
	case s.queue <- struct{}{}:
		queued = true
		s.running.Go(func() {
			defer func() { <-s.queue }()
			defer cancel()
			s.retry(leased, lease, err)
		})
		return nil, "queued"
	default:
		s.logLost(lease, err)
		s.done(ctx, lease)
		return nil, "queue_full"
	}
}

// firstTry is short, because a user may be waiting for it.
func (s *profileSyncer) firstTry(ctx context.Context, handoff state.Handoff) (kratos.Record, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, firstTryTime)
	defer cancel()
	ctx, span := tracing.Start(ctx, "write profile")
	defer span.End()
	tracing.Link(ctx, handoff.Traceparent)
	record, changed, err := s.write(ctx, handoff)
	tracing.Failed(span, err)
	return record, changed, err
}

// retry tries until it succeeds, fails finally, reaches syncTries, or ctx ends. When ferry
// stops it tries one last time, at once.
func (s *profileSyncer) retry(ctx context.Context, lease state.Lease, err error) {
	pause := retryPause
	for range syncTries {
		last := s.waitRetry(pause)
		pause = min(2*pause, maxRetryPause)
		if ctx.Err() != nil {
			break
		}
		if err = s.writeLater(ctx, lease.Handoff); err == nil {
			s.metrics.afterLogin(resultWrittenLater, 0)
			s.auditProfile(ctx, audit.ProfileWrite, resultWrittenLater, "", lease.Handoff)
			s.done(context.WithoutCancel(ctx), lease)
			return
		}
		if last || isFinal(err) {
			break
		}
	}
	s.metrics.afterLogin(resultLost, 0)
	s.auditProfile(ctx, audit.ProfileWrite, resultLost, reasonOf(err), lease.Handoff)
	s.logLost(lease, err)
	s.done(context.WithoutCancel(ctx), lease)
}

// writeLater is a try that no one waits for.
func (s *profileSyncer) writeLater(ctx context.Context, handoff state.Handoff) error {
	ctx, span := tracing.StartLinked(ctx, "write profile later")
	defer span.End()
	tracing.Link(ctx, handoff.Traceparent)
	_, _, err := s.write(ctx, handoff)
	tracing.Failed(span, err)
	return err
}

// waitRetry waits for the next try. It returns early, with true, when ferry stops.
func (s *profileSyncer) waitRetry(pause time.Duration) (draining bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-s.drain:
		return true
	}
}

// Drain retries queued profiles one last time. It returns when all is done or ctx ends.
func (s *profileSyncer) Drain(ctx context.Context) {
	s.stop.Do(func() { close(s.drain) })
	ended := make(chan struct{})
	go func() { s.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		s.log.Error("profiles were still being written", zap.Int("count", len(s.queue)), zap.Int("notes_for_auth0", len(s.writeBacks)))
	}
}

// logLost writes the one log line that reconcile needs: whose profile is missing.
func (s *profileSyncer) logLost(lease state.Lease, err error) {
	s.log.Error("profile not written", zap.String("identity_id", lease.Handoff.IdentityID), zap.String("subject_hash", s.hash(lease.Handoff.Subject)), zap.String("reason", reasonOf(err)))
}

func (s *profileSyncer) done(ctx context.Context, lease state.Lease) {
	if err := lease.Done(ctx); err != nil {
		s.metrics.stateFault(operationDone)
	}
}

// write writes one profile into its identity; changed is false if it was complete.
func (s *profileSyncer) write(ctx context.Context, handoff state.Handoff) (record kratos.Record, changed bool, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(s.log, fault)
			err = errPanic
		}
	}()
	started := s.now()
	defer func() { s.metrics.written.Observe(s.now().Sub(started).Seconds()) }()
	before, err := s.Records.Read(ctx, handoff.IdentityID)
	switch {
	case err != nil:
		return kratos.Record{}, false, err
	case before.Pending, !before.HasPassword:
		return kratos.Record{}, false, errNotMigrated
	case len(before.Binding.Subjects) > 0 && !before.Binding.Has(handoff.Subject):
		return kratos.Record{}, false, errRebound
	}
	record, changed, err = s.edit(ctx, before, handoff)
	switch {
	case err == nil:
		s.reportMigrated(ctx, before, record, handoff)
		return record, changed, nil
	case isFinal(err):
		s.reportMigrated(ctx, before, before, handoff) // the password has migrated, even without the profile
	}
	return kratos.Record{}, false, err
}

// edit writes the profile into the identity as it was just read. If the traits cannot be
// mapped, or the identity's own traits no longer fit the schema, it writes the rest.
func (s *profileSyncer) edit(ctx context.Context, before kratos.Record, handoff state.Handoff) (record kratos.Record, changed bool, err error) {
	change, without, err := s.change(ctx, before.SchemaID, handoff)
	if err != nil {
		return kratos.Record{}, false, err
	}
	record, changed, err = change.Write(ctx, s.Records, before)
	var invalid *mapping.InvalidError
	if errors.As(err, &invalid) && !changed {
		change.Schema, without = nil, unmappable(err)
		record, changed, err = change.Write(ctx, s.Records, before)
	}
	var merge *edit.MergeError
	switch {
	case errors.As(err, &merge):
		return kratos.Record{}, false, unmappable(err)
	case err != nil && without != nil && isFinal(err):
		return kratos.Record{}, false, fmt.Errorf("%w; %w", err, without)
	case err != nil:
		return kratos.Record{}, false, err
	case without != nil:
		s.log.Error("traits not written: only metadata and verified addresses are", zap.String("identity_id", handoff.IdentityID), zap.String("subject_hash", s.hash(handoff.Subject)), zap.String("reason", reasonOf(without)))
	}
	return record, changed, nil
}

// change maps the profile for an identity schema. If its traits cannot be mapped, without
// says why, and the change contains no traits.
func (s *profileSyncer) change(ctx context.Context, schemaID string, handoff state.Handoff) (change edit.Change, without, err error) {
	schema, err := s.schema(ctx, schemaID)
	if err != nil {
		return edit.Change{}, nil, err
	}
	profile, err := mapping.ReadClaims(handoff.Claims)
	if err != nil {
		return edit.Change{}, nil, unmappable(err)
	}
	profile.Connection = handoff.Connection
	if profile.Source.Provider == wire.DatabaseProvider {
		profile.Source.Connection = handoff.Connection
	}
	mapped, err := s.Mapper(schema).Map(profile)
	if err != nil {
		without = unmappable(err)
		mapped, schema = mapping.Identity{VerifiedAddresses: s.Rules.Verified(profile)}, nil
	}
	notes := provenance.Content{Ferry: s.Version, MigratedAt: handoff.MatchedAt}
	return edit.Change{Schema: schema, Profile: profile, Mapped: mapped, Rules: s.Rules, Notes: notes}, without, nil
}

// reportMigrated counts and logs a migration that Kratos shows, and writes it back to Auth0.
func (s *profileSyncer) reportMigrated(ctx context.Context, before, after kratos.Record, handoff state.Handoff) {
	if after.PasswordDigest != before.PasswordDigest || after.Pending {
		// Kratos' patch also writes the credentials as it read them: a password that was
		// changed at this moment may be lost.
		s.metrics.passwordChanged()
		s.log.Error("password changed while the profile was written: ask the user to try the new one",
			zap.String("identity_id", handoff.IdentityID), zap.Bool("pending_again", after.Pending))
	}
	s.metrics.migration()
	s.auditProfile(ctx, audit.Migrated, "migrated", "", handoff)
	s.log.Info("migrated", zap.String("identity_id", handoff.IdentityID), zap.String("subject_hash", s.hash(handoff.Subject)), zap.Time("matched_at", handoff.MatchedAt))
	if s.Migrated != nil {
		if err := s.Migrated(ctx, append([]string{handoff.Subject}, before.Binding.Subjects...)); err != nil {
			s.log.Warn("migrated user not remembered: the next reading of Kratos finds the identity", zap.String("identity_id", handoff.IdentityID), zap.Error(err))
		}
	}
	if s.WriteBack == nil {
		return
	}
	ctx = context.WithoutCancel(ctx) // no one waits for it
	select {
	case s.writeBacks <- struct{}{}:
		s.running.Go(func() {
			defer func() { <-s.writeBacks }()
			ctx, span := tracing.StartLinked(ctx, "write back to auth0")
			defer span.End()
			err := s.WriteBack.MarkMigrated(ctx, handoff.Subject, handoff.IdentityID, handoff.MatchedAt)
			tracing.Failed(span, err)
			if err != nil {
				s.metrics.writeBackFailed()
				s.log.Warn("auth0 was not told", zap.String("identity_id", handoff.IdentityID), zap.Error(err))
			}
		})
	default:
		s.metrics.writeBackFailed()
	}
}

var (
	errMapping = errors.New("the profile cannot be mapped")
	errPanic   = errors.New("panic")
)

// unmappable wraps a mapping error, which holds no personal data.
func unmappable(err error) error { return fmt.Errorf("%w: %w", errMapping, err) }

// isFinal reports whether a retry with the same profile cannot help.
func isFinal(err error) bool {
	var k *kratos.Error
	if errors.As(err, &k) {
		return k.Final()
	}
	return errors.Is(err, errMapping) || errors.Is(err, errNotMigrated) || errors.Is(err, errRebound) || errors.Is(err, errPanic)
}

// reasonOf is the reason for the log. It holds nothing of the profile.
func reasonOf(err error) string {
	var k *kratos.Error
	switch {
	case !errors.As(err, &k):
		return err.Error()
	case errors.Is(err, errMapping):
		return "kratos_" + k.Reason + "; the traits do not fit the identity schema"
	}
	return "kratos_" + k.Reason
}
