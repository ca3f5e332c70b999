package hook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"ferry/kratos"
	"ferry/mapping"
	"ferry/state"
)

const (
	// carryTries and carryPause: half a second, one, two, … but never more than
	// carryPauseMost.
	carryTries     = 6
	carryPause     = 500 * time.Millisecond
	carryPauseMost = 8 * time.Second
	// carryTime bounds all tries together: they end before the lease does, so that no
	// other replica writes the same profile meanwhile.
	carryTime = state.LeaseTime - 2*time.Second
	// carryPatience is how long a login may wait for it, in Kratos' parse mode.
	carryPatience = 2 * time.Second
	// carryCrowd is how many profiles may wait for another try at once, and how many
	// notes for Auth0.
	carryCrowd = 1000
	// databases is the provider of users in Auth0's databases.
	databases = "auth0"
)

// records reads and writes identities.
type records interface {
	Read(ctx context.Context, id string) (kratos.Record, error)
	Patch(ctx context.Context, id string, ops []kratos.Op) (kratos.Record, error)
	Schema(ctx context.Context, schemaID string) ([]byte, error)
}

// marker notes at Auth0 that a user has crossed.
type marker interface {
	MarkMigrated(ctx context.Context, userID, identityID string, at time.Time) error
}

// CarryOptions say how a profile is brought into an identity.
type CarryOptions struct {
	Records records
	// Mapper makes an identity of a profile, given the identity's schema.
	Mapper func(*mapping.Schema) mapping.Mapper
	Rules  mapping.Rules
	// Marker is nil where nothing is written back.
	Marker marker
	// Version of this ferry, recorded in the identity.
	Version string
}

// carrier brings profiles into identities: each from a fresh read, in one patch,
// and again later where that failed for a passing reason.
type carrier struct {
	CarryOptions
	log     *zap.Logger
	hash    func(string) string // of an Auth0 user id, for the log
	metrics *metrics
	now     func() time.Time

	waiting chan struct{} // a place for each profile that waits
	notes   chan struct{} // and for each note that Auth0 has not got yet
	drain   chan struct{}
	stop    sync.Once
	running sync.WaitGroup

	mu      sync.Mutex
	schemas map[string]cachedSchema
}

func newCarrier(opts CarryOptions, log *zap.Logger, hash func(string) string, m *metrics, now func() time.Time) *carrier {
	return &carrier{
		CarryOptions: opts, log: log, hash: hash, metrics: m, now: now,
		waiting: make(chan struct{}, carryCrowd), notes: make(chan struct{}, carryCrowd), drain: make(chan struct{}), schemas: map[string]cachedSchema{},
	}
}

// errNotMigrated: Kratos shows the flag still, or again. A match is not a migration.
var errNotMigrated = errors.New("the identity is still pending")

// errRebound: the identity records another Auth0 user than the profile's.
var errRebound = errors.New("the identity was bound to another user meanwhile")

// carry writes the profile, or leaves it to later tries. The record is nil where
// nothing is written yet.
func (c *carrier) carry(ctx context.Context, lease state.Lease) (*kratos.Record, string) {
	leased, cancel := context.WithTimeout(ctx, carryTime)
	record, changed, err := c.first(leased, lease.Kept)
	queued := false
	defer func() {
		if !queued {
			cancel()
		}
	}()
	switch {
	case err == nil:
		c.done(ctx, lease)
		if !changed {
			return &record, "unchanged"
		}
		return &record, "written"
	case isFinal(err):
		c.lost(lease, err)
		c.done(ctx, lease)
		return nil, "refused"
	}
	c.log.Warn("profile not written yet", zap.String("identity_id", lease.Kept.IdentityID), zap.String("reason", reasonOf(err)))
	select {
	case c.waiting <- struct{}{}:
		queued = true
		c.running.Go(func() {
			defer func() { <-c.waiting }()
			defer cancel()
			c.again(leased, lease, err)
		})
		return nil, "queued"
	default:
		c.lost(lease, err)
		c.done(ctx, lease)
		return nil, "queue_full"
	}
}

// first is the try that a person may be waiting for: it is given up early.
func (c *carrier) first(ctx context.Context, kept state.Kept) (kratos.Record, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, carryPatience)
	defer cancel()
	return c.write(ctx, kept)
}

// again tries until it succeeds, is refused, has tried enough, or ctx ends; at once
// and for the last time when ferry stops.
func (c *carrier) again(ctx context.Context, lease state.Lease, err error) {
	pause := carryPause
	for range carryTries {
		last := c.wait(pause)
		pause = min(2*pause, carryPauseMost)
		if ctx.Err() != nil {
			break
		}
		if _, _, err = c.write(ctx, lease.Kept); err == nil {
			c.metrics.afterLogin("written_later", 0)
			c.done(context.WithoutCancel(ctx), lease)
			return
		}
		if last || isFinal(err) {
			break
		}
	}
	c.metrics.afterLogin("lost", 0)
	c.lost(lease, err)
	c.done(context.WithoutCancel(ctx), lease)
}

// wait reports whether ferry stops, which ends the waiting.
func (c *carrier) wait(pause time.Duration) (draining bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-c.drain:
		return true
	}
}

// Drain gives what waits one last try, and returns when all is done or ctx ends.
func (c *carrier) Drain(ctx context.Context) {
	c.stop.Do(func() { close(c.drain) })
	ended := make(chan struct{})
	go func() { c.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		c.log.Error("profiles were still being written", zap.Int("count", len(c.waiting)), zap.Int("notes_for_auth0", len(c.notes)))
	}
}

// lost is the one line that reconcile needs: whose profile is not there.
func (c *carrier) lost(lease state.Lease, err error) {
	c.log.Error("profile not written", zap.String("identity_id", lease.Kept.IdentityID), zap.String("subject_hash", c.hash(lease.Kept.Subject)), zap.String("reason", reasonOf(err)))
}

func (c *carrier) done(ctx context.Context, lease state.Lease) {
	if err := lease.Done(ctx); err != nil {
		c.metrics.stateFault("done")
	}
}

// write brings one profile into its identity; changed is false where it had all.
func (c *carrier) write(ctx context.Context, kept state.Kept) (record kratos.Record, changed bool, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(c.log, fault)
			err = errPanic
		}
	}()
	before, err := c.Records.Read(ctx, kept.IdentityID)
	switch {
	case err != nil:
		return kratos.Record{}, false, err
	case before.Pending, !before.HasPassword:
		return kratos.Record{}, false, errNotMigrated
	case len(before.Binding.Subjects) > 0 && !before.Binding.Has(kept.Subject):
		return kratos.Record{}, false, errRebound
	}
	record, changed, err = c.patch(ctx, before, kept)
	if err != nil {
		return kratos.Record{}, false, err
	}
	c.migrated(ctx, before, record, kept)
	return record, changed, nil
}

// patch makes one patch; and another where the first gave the identity an address
// that Kratos lists, and so can be marked, only from then on.
func (c *carrier) patch(ctx context.Context, before kratos.Record, kept state.Kept) (record kratos.Record, changed bool, err error) {
	record = before
	for range 2 {
		result, err := c.changes(ctx, record, kept)
		if err != nil {
			return kratos.Record{}, false, err
		}
		if len(result.Ops) == 0 {
			break
		}
		ops := make([]kratos.Op, len(result.Ops))
		for i, op := range result.Ops {
			ops[i] = kratos.Op{Op: op.Op, Path: op.Path, Value: op.Value}
		}
		if record, err = c.Records.Patch(ctx, kept.IdentityID, ops); err != nil {
			return kratos.Record{}, false, err
		}
		changed = true
		if len(result.Unmarked) == 0 {
			break
		}
	}
	return record, changed, nil
}

// changes are what the profile adds to the identity as it was just read.
func (c *carrier) changes(ctx context.Context, before kratos.Record, kept state.Kept) (mapping.Result, error) {
	schema, err := c.schema(ctx, before.SchemaID)
	if err != nil {
		return mapping.Result{}, err
	}
	profile, err := mapping.ReadClaims(kept.Claims)
	if err != nil {
		return mapping.Result{}, unmappable(err)
	}
	profile.Connection = kept.Connection
	if profile.Source.Provider == databases {
		profile.Source.Connection = kept.Connection
	}
	mapped, err := c.Mapper(schema).Map(profile)
	if err != nil {
		return mapping.Result{}, unmappable(err)
	}
	marks := map[string]any{"ferry": c.Version, "migrated_at": kept.MatchedAt.UTC().Format(time.RFC3339)}
	result, err := mapping.Merge(schema, current(before), profile, mapped, c.Rules, marks)
	if err != nil {
		return mapping.Result{}, unmappable(err)
	}
	return result, nil
}

func current(r kratos.Record) mapping.Current {
	c := mapping.Current{Traits: r.Traits, MetadataPublic: r.MetadataPublic, MetadataAdmin: r.MetadataAdmin}
	for _, a := range r.Addresses {
		c.Addresses = append(c.Addresses, mapping.CurrentAddress{Value: a.Value, Via: a.Via, Verified: a.Verified})
	}
	return c
}

// migrated tells everybody who counts: Kratos shows that the password has crossed.
func (c *carrier) migrated(ctx context.Context, before, after kratos.Record, kept state.Kept) {
	if after.PasswordDigest != before.PasswordDigest || after.Pending {
		// Kratos' patch writes credentials too, as it read them: a password that was
		// chosen in this moment may be gone.
		c.metrics.passwordChanged()
		c.log.Error("password changed while the profile was written: ask the person to try the new one",
			zap.String("identity_id", kept.IdentityID), zap.Bool("pending_again", after.Pending))
	}
	c.metrics.migration()
	c.log.Info("migrated", zap.String("identity_id", kept.IdentityID), zap.String("subject_hash", c.hash(kept.Subject)), zap.Time("matched_at", kept.MatchedAt))
	if c.Marker == nil {
		return
	}
	ctx = context.WithoutCancel(ctx) // nobody waits for it
	select {
	case c.notes <- struct{}{}:
		c.running.Go(func() {
			defer func() { <-c.notes }()
			if err := c.Marker.MarkMigrated(ctx, kept.Subject, kept.IdentityID, kept.MatchedAt); err != nil {
				c.metrics.writeBackFailed()
				c.log.Warn("auth0 was not told", zap.String("identity_id", kept.IdentityID), zap.Error(err))
			}
		})
	default:
		c.metrics.writeBackFailed()
	}
}

var (
	errMapping = errors.New("the profile cannot be mapped")
	errPanic   = errors.New("panic")
)

// unmappable says why; mapping's errors hold no value of the person's.
func unmappable(err error) error { return fmt.Errorf("%w: %w", errMapping, err) }

// isFinal: trying again with the same profile cannot help.
func isFinal(err error) bool {
	var k *kratos.Error
	if errors.As(err, &k) {
		return k.Final()
	}
	return errors.Is(err, errMapping) || errors.Is(err, errNotMigrated) || errors.Is(err, errRebound) || errors.Is(err, errPanic)
}

// reasonOf is a word or a sentence of ours, never of the profile.
func reasonOf(err error) string {
	var k *kratos.Error
	if errors.As(err, &k) {
		return "kratos_" + k.Reason
	}
	return err.Error()
}
