// Package hook answers Kratos' web hooks.
//
//	password migration: authenticate the caller, decode the request strictly, find the
//	identity, ask Auth0 once, compare the subject, answer from one table
//	after login: take the profile that the first hook stored, write it into the identity
//	after registration: ask package provision whether it is a user of Auth0 who signs up
//
// It does not hash or store passwords: Kratos does.
package hook

import (
	"context"
	"errors"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/attempt"
	"ferry/audit"
	"ferry/kratos"
	"ferry/secret"
	"ferry/state"
	"ferry/wire"
)

// identities finds the identity that a login is for.
type identities interface {
	// Find returns the one identity whose password credential lists the normalized
	// identifier; every doubt is a *kratos.Error.
	Find(ctx context.Context, identifier string) (kratos.Identity, error)
	// Get returns the identity with the id, which Kratos found by that identifier, and
	// tells whether it lists it; every doubt is a *kratos.Error.
	Get(ctx context.Context, id, identifier string) (kratos.Identity, error)
}

// Store keeps profiles from the migration hook to the after-login hook, and the outcomes
// of deliveries. Package state says what each method does.
type Store interface {
	Put(ctx context.Context, handoff state.Handoff) error
	Lease(ctx context.Context, identityID, flowID string) (state.Lease, bool, error)
	attempt.Store
}

// Options configure a Handler. Keys, MaxPasswordBytes, LogHashKey, Store, ClaimFor, Sync,
// Identities, Upstream, Log, Metrics and Now are required.
type Options struct {
	// Keys are the one or two keys that a caller may present.
	Keys []secret.String
	// MaxPasswordBytes is the longest password that is sent to Auth0.
	MaxPasswordBytes int
	// Realms are the database connections that passwords may be sent to. The first is
	// the default. If empty, the tenant's default directory is used.
	Realms []string
	// CustomRealms are those of Realms whose identifiers may be case-sensitive.
	CustomRealms []string
	// TrustedProxies is how many proxies append to the forwarded addresses. If 0, no
	// forwarded address is trusted.
	TrustedProxies int
	// ForwardClientIP sends the person's IP address to Auth0.
	ForwardClientIP bool
	// TrustVerifiedIdentifier lets an identity that records no Auth0 user match by
	// the e-mail address or phone number that Auth0 verified.
	TrustVerifiedIdentifier bool
	// Closed ends the migration: every login gets outcome.Closed, without a request to
	// Kratos or Auth0.
	Closed bool
	// Modes says what ferry does with logins; nil: mode.On, for everyone.
	Modes modes
	// LogHashKey keys the hashes that stand for identifiers and Auth0 user ids in logs.
	LogHashKey secret.String

	// Store is shared by all replicas.
	Store Store
	// ClaimFor is a little longer than one verification at Auth0 may take, and the wait of the
	// Limits before it.
	ClaimFor time.Duration
	// Limits are the limits of failed logins; nil: there are none.
	Limits attempt.Limits
	// DelayRefusals makes refusals without a request to Auth0 take as long as wrong passwords
	// take, so that their time says nothing about a user.
	DelayRefusals bool
	// Sync says how profiles are written into identities.
	Sync SyncOptions
	// Ensure creates the identity of the Auth0 user with an identifier, as it was typed, if
	// Kratos does not have it. The result is one word; an error says nothing about the user.
	// nil: there is no such route.
	Ensure func(ctx context.Context, identifier string, recovery bool) (result string, err error)
	// SignUps finds out whether people who sign up are users of Auth0; nil: every sign-up
	// goes on as it is.
	SignUps signUps
	// Recorder records every call; nil records nothing.
	Recorder Recorder
	// Audit takes an audit record of each decision; nil: there are none. It must not block.
	Audit func(audit.Record)

	// InFlight is how many logins are decided at the same time, and Queued how many more may
	// wait for their turn. If InFlight is 0, there is no bound.
	InFlight, Queued int

	Identities identities
	Upstream   attempt.Verifier
	Log        *zap.Logger
	Metrics    prometheus.Registerer
	// Now is the clock.
	Now func() time.Time
}

// Handler answers Kratos' hooks. It is safe for concurrent use.
type Handler struct {
	opts     Options
	hash     func(string) string // of an identifier or a subject, for the log
	callers  *zap.Logger         // sampled, for calls with a caller's error
	metrics  *metrics
	attempts *attempt.Attempts
	bulkhead *bulkhead
	pace     *pace
	syncer   *profileSyncer
	keyIDs   []string // of Options.Keys, for audit records
}

// New makes a Handler; the error names what is missing.
func New(opts Options) (*Handler, error) {
	switch {
	case len(opts.Keys) == 0 || opts.LogHashKey.Empty():
		return nil, errors.New("hook: keys and log hash key are required")
	case opts.MaxPasswordBytes <= 0:
		return nil, errors.New("hook: the longest password must be one byte or more")
	case opts.Identities == nil || opts.Upstream == nil:
		return nil, errors.New("hook: identities and upstream are required")
	case opts.Store == nil || opts.ClaimFor <= 0:
		return nil, errors.New("hook: a store and a positive time for claims are required")
	case opts.Sync.Records == nil || opts.Sync.Mapper == nil:
		return nil, errors.New("hook: records and mapper are required")
	case opts.Log == nil || opts.Metrics == nil || opts.Now == nil:
		return nil, errors.New("hook: log, metrics and clock are required")
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	turns, err := newBulkhead(opts.InFlight, opts.Queued, opts.Metrics)
	if err != nil {
		return nil, err
	}
	attempts := attempt.New(attempt.Options{
		Verifier: opts.Upstream, Store: opts.Store, Limits: opts.Limits, ClaimFor: opts.ClaimFor, Now: opts.Now,
		StateFault: m.stateFault, Panicked: func(fault any) { logPanic(opts.Log, fault) },
	})
	hash := func(text string) string { return Hash(opts.LogHashKey, text) }
	syncer := newProfileSyncer(opts.Sync, opts.Log, hash, m, opts.Now)
	syncer.audit = opts.Audit
	if err := m.queues(opts.Metrics, syncer); err != nil {
		return nil, err
	}
	return &Handler{
		opts: opts, hash: hash, callers: sampled(opts.Log), metrics: m,
		attempts: attempts, pace: newPace(), bulkhead: turns, syncer: syncer, keyIDs: KeyIDs(opts.LogHashKey, opts.Keys),
	}, nil
}

// Attempts returns what makes sure that each password reaches Auth0 once, to share it with
// others that ask Auth0.
func (h *Handler) Attempts() *attempt.Attempts { return h.attempts }

// StopDelays answers the refusals that are delayed, and delays no more of them: ferry is
// draining.
func (h *Handler) StopDelays() { h.pace.stop() }

// Enter waits for a turn among the logins of this process. If there is none, it returns why, as
// one word; otherwise the caller must call leave.
func (h *Handler) Enter(ctx context.Context) (leave func(), refused string) {
	return h.bulkhead.enter(ctx)
}

// Drain retries the profiles in the queue one last time, after the hooks have stopped.
func (h *Handler) Drain(ctx context.Context) { h.syncer.Drain(ctx) }

// Echo is the server's handler: the hooks, and an RFC 9457 problem for everything else.
func (h *Handler) Echo() *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = h.writeProblem
	e.POST(wire.MigrationPath, serve(h, h.migrationRoute()))
	e.POST(wire.AfterLoginPath, serve(h, h.afterLoginRoute()))
	if h.opts.Ensure != nil {
		e.POST(wire.EnsurePath, serve(h, h.ensureRoute()))
	}
	e.POST(wire.AfterRegistrationPath, serve(h, h.afterRegistrationRoute()))
	return e
}
