// Package hook is what Kratos calls. It lets in only a caller with the key, reads
// the request strictly, finds out whether this password is this identity's, and
// answers from one table.
package hook

import (
	"context"
	"errors"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/kratos"
	"ferry/outcome"
	"ferry/secret"
	"ferry/state"
	"ferry/upstream"
)

// MigrationPath is where Kratos' password migration hook posts to.
const MigrationPath = "/hooks/password-migration"

// identities finds the identity that a login is for.
type identities interface {
	// Find returns the one identity whose password credential lists the normalised
	// identifier; every doubt is a *kratos.Error.
	Find(ctx context.Context, identifier string) (kratos.Identity, error)
	// Get returns the identity with the id, which Kratos found by that identifier, and
	// tells whether it lists it; every doubt is a *kratos.Error.
	Get(ctx context.Context, id, identifier string) (kratos.Identity, error)
}

// verifier asks Auth0.
type verifier interface {
	// Ask returns the profile of the user whose password was right; everything else
	// is an *upstream.Refusal.
	Ask(ctx context.Context, q upstream.Question) (upstream.Profile, error)
}

// profiles keeps what Auth0 said of somebody until their login is done.
type profiles interface {
	// Keep replaces what is kept for the identity.
	Keep(ctx context.Context, kept state.Kept) error
	// Take gives it out once.
	Take(ctx context.Context, identityID, flowID string) (state.Lease, bool, error)
}

// Options are what a Handler is made of. Required are Keys, MaxPasswordBytes,
// LogHashKey, Profiles, Carry, Identities, Upstream, Log, Metrics and Now, and
// ClaimFor where there are Deliveries.
type Options struct {
	// Keys are the one or two keys that a caller may present.
	Keys []secret.String
	// MaxPasswordBytes is the longest password that is asked about.
	MaxPasswordBytes int
	// Realms are the connections that may be asked, the first by default. None: the
	// tenant's default directory.
	Realms []string
	// CustomRealms are those of them that may tell upper case from lower.
	CustomRealms []string
	// TrustedProxies is how many proxies append to the forwarded addresses; 0:
	// none is believed.
	TrustedProxies int
	// ForwardClientIP tells Auth0 the person's address.
	ForwardClientIP bool
	// TrustVerifiedIdentifier lets an identity that records no Auth0 user match by
	// the e-mail address or phone number that Auth0 verified.
	TrustVerifiedIdentifier bool
	// Closed ends the migration: every login is answered as outcome.Closed, and neither
	// Kratos nor Auth0 is asked.
	Closed bool
	// LogHashKey keys the hashes that stand for identifiers and Auth0 user ids in logs.
	LogHashKey secret.String

	// Profiles keeps what crosses between the two hooks, and Carry says how it is
	// brought into the identity.
	Profiles profiles
	Carry    CarryOptions
	// Deliveries knows those of all replicas; nil where there is one alone.
	Deliveries Deliveries
	// Recorder keeps every call; nil: none does.
	Recorder Recorder
	// ClaimFor is a little longer than one question to Auth0 may take.
	ClaimFor time.Duration

	Identities identities
	Upstream   verifier
	Log        *zap.Logger
	Metrics    prometheus.Registerer
	// Now is the clock of the durations in the log.
	Now func() time.Time
}

// Handler answers Kratos' hooks. It is safe for concurrent use.
type Handler struct {
	opts     Options
	hash     func(string) string // what stands for an identifier or a subject in the log
	callers  *zap.Logger         // for calls that are refused for the caller's fault, sampled
	metrics  *metrics
	attempts *attempts
	carrier  *carrier
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
	case opts.Profiles == nil || opts.Carry.Records == nil || opts.Carry.Mapper == nil:
		return nil, errors.New("hook: profiles, records and mapper are required")
	case opts.Log == nil || opts.Metrics == nil || opts.Now == nil:
		return nil, errors.New("hook: log, metrics and clock are required")
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	var shared *sharedDeliveries
	if opts.Deliveries != nil {
		shared = &sharedDeliveries{store: opts.Deliveries, claimFor: opts.ClaimFor, metrics: m, now: opts.Now}
	}
	hash := func(text string) string { return Hash(opts.LogHashKey, text) }
	return &Handler{
		opts: opts, hash: hash, callers: sampled(opts.Log), metrics: m,
		attempts: newAttempts(opts.Upstream, shared, opts.Log, opts.Now),
		carrier:  newCarrier(opts.Carry, opts.Log, hash, m, opts.Now),
	}, nil
}

// Drain lets profiles that wait for another try have it, once no more hooks come.
func (h *Handler) Drain(ctx context.Context) { h.carrier.Drain(ctx) }

// Echo is the server's handler: the hooks, and a problem report for all else.
func (h *Handler) Echo() *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = writeProblem
	e.POST(MigrationPath, h.serve("password-migration", h.passwordMigration))
	e.POST(AfterLoginPath, h.afterLogin)
	return e
}

// passwordMigration is one call of Kratos' password migration hook.
func (h *Handler) passwordMigration(c echo.Context, e *entry) (outcome.Outcome, error) {
	body, err := readJSON(c.Response(), c.Request())
	if errors.Is(err, errOversize) {
		e.reason = "request_size"
		return outcome.Oversize, nil
	}
	if err != nil {
		return 0, err
	}
	h.redact(e, body)
	req, err := decodeMigration(body)
	if err != nil {
		return 0, err
	}
	e.shape = req.shape()
	if h.opts.Recorder != nil {
		e.asked = req
	}
	e.flowID = req.Flow.ID
	return h.decide(c.Request().Context(), req, c.Request().Header.Get("Ory-Webhook-Trigger-Id"), e), nil
}
