// Package provision creates the identity of one Auth0 user at the moment it is needed.
//
//	read the user from the Management API, or from what a login verified
//	plan the identity exactly as `ferry import` does
//	refuse a user whom Kratos has, or had, under another identifier
//	create it; if Kratos says that it exists already, another request was faster
//
// It does not ask Auth0 about passwords, and does not answer requests: see package gateway.
package provision

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"ferry/audit"
	"ferry/bulk/plan"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/mode"
	"ferry/tracing"
)

// identities creates identities and finds out whether they exist.
type identities interface {
	Knows(ctx context.Context, identifier string) (bool, error)
	CreateOne(ctx context.Context, body []byte) (kratos.Created, error)
	Walk(ctx context.Context, each func(kratos.Record) error) error
}

// Directory reads Auth0's users. A user object is as the Management API has it.
type Directory interface {
	LookUpUser(ctx context.Context, userID string) ([]byte, error)
	LookUpEmail(ctx context.Context, email string) ([][]byte, error)
}

// Door is why an identity is needed.
type Door string

// The doors.
const (
	// DoorLogin is a login whose password Auth0 confirmed.
	DoorLogin Door = "login"
	// DoorRecovery is "forgot password": an address that Auth0 has not verified gets an
	// identity without a password, so that whoever signed up with it at Auth0 has no way in
	// once its owner has recovered the account.
	DoorRecovery Door = "recovery"
	// DoorRegistration is a sign-up at Kratos.
	DoorRegistration Door = "registration"
	// DoorRemint is a refresh token that Auth0 redeemed.
	DoorRemint Door = "remint"
	// DoorIdentifier is anything else that only names the user.
	DoorIdentifier Door = "identifier"
)

// runPrefix begins the run id on the identities: provision-login, for example.
const runPrefix = "provision-"

// Options configure a Provisioner. Directory and Mark are optional, the rest is required.
type Options struct {
	Identities identities
	// Directory reads users by the Management API; nil: only what a login verified is known.
	Directory Directory
	// Mark notes at Auth0 that an identity was created; nil: it is not noted.
	Mark func(ctx context.Context, userID, identityID string, at time.Time) error
	// Load returns how identities are planned. It is called until it succeeds.
	Load func(ctx context.Context) (plan.Options, error)
	// AskUnverified is true if users whose address Auth0 has not verified may log in without
	// Directory. Set it only if users come from one connection: in another, someone else may have
	// verified the address.
	AskUnverified bool
	// Register remembers the users whom Kratos has or had.
	Register Register
	// Version is this ferry's, recorded in identities that it changes.
	Version string
	// Mode returns the mode of this moment; nil: mode.On.
	Mode func() mode.Mode
	// ReadyWait is how long Ready waits for the first walk.
	ReadyWait time.Duration
	// Metrics is where the metrics of the register are; nil: none.
	Metrics prometheus.Registerer
	// Audit takes an audit record of each identity; nil: there are none. It must not block.
	Audit func(audit.Record)
	Log   *zap.Logger
	// Hash stands for a user id in the log.
	Hash func(string) string
	// Now is the clock.
	Now func() time.Time
}

// Provisioner creates identities. It is safe for concurrent use.
type Provisioner struct {
	opts Options

	mu    sync.Mutex
	plans *plan.Options // nil until Load succeeds

	metrics *metrics
	flights singleflight.Group
	loads   singleflight.Group
	marks   chan marking
}

// marking is a note at Auth0 that is still to be made.
type marking struct {
	userID, identityID string
	at                 time.Time
}

// maxMarks is the number of notes that wait. They are a second memory beside the register:
// beyond that number they are left out.
const maxMarks = 1000

// New makes a Provisioner. It sends nothing; Run walks Kratos.
func New(opts Options) (*Provisioner, error) {
	switch {
	case opts.Identities == nil || opts.Load == nil || opts.Register == nil:
		return nil, errors.New("provision: identities, load and register are required")
	case opts.Log == nil || opts.Hash == nil || opts.Now == nil:
		return nil, errors.New("provision: log, hash and clock are required")
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	return &Provisioner{opts: opts, metrics: m, marks: make(chan marking, maxMarks)}, nil
}

// CanLookUp reports whether users can be found without their password.
func (p *Provisioner) CanLookUp() bool { return p.opts.Directory != nil }

// Result says what became of a user.
type Result struct {
	// Created is true if the identity was created now. Otherwise Reason has the reason, as
	// one word for logs.
	Created bool
	// Exists is true if Kratos has the identity now, whoever created it.
	Exists bool
	// IdentityID is that of the created identity.
	IdentityID string
	// Identifiers are those that the identity has, or would have.
	Identifiers []string
	// UserID is the Auth0 user id; empty if no user was found.
	UserID string
	Reason string
}

// The reasons for which no identity is created.
const (
	// ReasonKnown: Kratos has an identity with the identifier.
	ReasonKnown = "known"
	// ReasonNoUser: Auth0 has no user with the identifier.
	ReasonNoUser = "no_user"
	// ReasonElsewhere: Kratos has, or had, an identity of the user, with other identifiers.
	ReasonElsewhere = "created_before"
	// ReasonNotByIdentifier: the identity would not have the identifier.
	ReasonNotByIdentifier = "not_by_identifier"
	// ReasonUnverifiedTwin: the user's address is not verified, and another user has it, or
	// might have it.
	ReasonUnverifiedTwin = "unverified_twin"
	// ReasonRefused: Kratos refused the identity.
	ReasonRefused = "kratos_refused"
	// ReasonObserved: the identity would have been created, but ferry only observes.
	ReasonObserved = "observed"
)

// ErrOff is returned while ferry is off: nothing is known about the user.
var ErrOff = errors.New("ferry is off")

// mode is the mode of this moment.
func (p *Provisioner) mode() mode.Mode {
	if p.opts.Mode == nil {
		return mode.On
	}
	return p.opts.Mode()
}

// create creates the identity of a user object, unless the user is in the register.
// identifier is normalized, and the identity must have it; empty: any will do.
func (p *Provisioner) create(ctx context.Context, door Door, user []byte, identifier string) (Result, error) {
	opts, err := p.planned(ctx, door)
	if err != nil {
		return Result{}, err
	}
	row, err := opts.One(user)
	if err != nil {
		return Result{}, err
	}
	result := Result{UserID: row.UserID, Identifiers: row.Identifiers}
	if identifier == "" && len(row.Identifiers) > 0 {
		identifier = row.Identifiers[0]
	}
	switch {
	case !row.Creates():
		result.Reason = reasonOf(row)
		return result, nil
	case identifier != "" && !slices.Contains(row.Identifiers, identifier):
		result.Reason = ReasonNotByIdentifier
		return result, nil
	}
	before, err := p.before(ctx, user)
	if err != nil {
		return result, err
	}
	if before {
		return p.elsewhere(ctx, result, identifier)
	}
	switch p.mode() {
	case mode.On:
	case mode.Observe:
		result.Reason = ReasonObserved
		return result, nil
	case mode.Off:
		return result, ErrOff
	}
	created, err := p.opts.Identities.CreateOne(ctx, row.Body)
	switch {
	case err != nil:
		return result, err
	case created.ID != "":
		result.Created, result.Exists, result.IdentityID = true, true, created.ID
		p.remember(ctx, door, user, result)
		return result, nil
	case created.Status == http.StatusConflict:
		return p.elsewhere(ctx, result, identifier)
	}
	result.Reason = ReasonRefused
	return result, nil
}

// elsewhere is the result for a user who has an identity already. Another login may have
// created it a moment ago: then Kratos knows the identifier.
func (p *Provisioner) elsewhere(ctx context.Context, result Result, identifier string) (Result, error) {
	known, err := p.opts.Identities.Knows(ctx, identifier)
	result.Exists, result.Reason = known, ReasonElsewhere
	if known {
		result.Reason = ReasonKnown
	}
	return result, err
}

// before reports whether Kratos has or had an identity of the user, by the register or by
// the note at Auth0.
func (p *Provisioner) before(ctx context.Context, user []byte) (bool, error) {
	profile, err := mapping.FromUser(user)
	if err != nil {
		return false, err
	}
	if mapping.HasWriteBack(user) {
		return true, nil
	}
	return p.opts.Register.Has(ctx, profile.UserIDs)
}

// remember notes the new identity. A failure is logged: the next walk finds the identity.
func (p *Provisioner) remember(ctx context.Context, door Door, user []byte, made Result) {
	profile, err := mapping.FromUser(user)
	if err == nil {
		err = p.opts.Register.Add(ctx, profile.UserIDs)
	}
	if err != nil {
		p.opts.Log.Error("created identity not remembered", zap.String("identity_id", made.IdentityID), zap.Error(err))
	}
	p.opts.Log.Info("identity created", zap.String("identity_id", made.IdentityID),
		zap.String("subject_hash", p.opts.Hash(made.UserID)), zap.String("by", string(door)))
	if p.opts.Audit != nil {
		r := audit.Record{
			Action: audit.IdentityCreated, Actor: audit.Actor{Kind: audit.Ferry}, Outcome: EnsuredNow, Reason: string(door), Mode: p.mode().String(),
			IdentityID: made.IdentityID, SubjectHash: p.opts.Hash(made.UserID),
		}
		r.TraceID, r.SpanID = tracing.IDs(ctx)
		p.opts.Audit(r)
	}
	if p.opts.Mark == nil || door == DoorLogin {
		return // the after-login hook notes the migration
	}
	// The user does not wait for the note: the time would tell that there is such a user.
	select {
	case p.marks <- marking{made.UserID, made.IdentityID, p.opts.Now()}:
	default:
		p.opts.Log.Warn("created identity not noted at Auth0: too many notes are waiting", zap.String("identity_id", made.IdentityID))
	}
}

// Remember adds users to the register who have an identity: their addresses may change at
// Kratos before the next walk.
func (p *Provisioner) Remember(ctx context.Context, userIDs []string) error {
	return p.opts.Register.Add(ctx, userIDs)
}

// mark makes the notes at Auth0 until ctx ends.
func (p *Provisioner) mark(ctx context.Context) {
	for {
		select {
		case next := <-p.marks:
			if err := p.opts.Mark(ctx, next.userID, next.identityID, next.at); err != nil {
				p.opts.Log.Warn("created identity not noted at Auth0", zap.String("identity_id", next.identityID), zap.Error(err))
			}
		case <-ctx.Done():
			return
		}
	}
}

// planned returns how the identities of a door are planned.
func (p *Provisioner) planned(ctx context.Context, door Door) (plan.Options, error) {
	opts, err := p.loaded(ctx)
	opts.Run, opts.Mode = runPrefix+string(door), plan.ModeHook
	opts.NoPasswordUnverified = door == DoorRecovery
	return opts, err
}

// loaded returns what Load returned when it succeeded. Those who need it at the same time
// share one call.
func (p *Provisioner) loaded(ctx context.Context) (plan.Options, error) {
	p.mu.Lock()
	plans := p.plans
	p.mu.Unlock()
	if plans != nil {
		return *plans, nil
	}
	lasting := context.WithoutCancel(ctx)
	done := p.loads.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(lasting, actTime)
		defer cancel()
		opts, err := p.opts.Load(ctx)
		if err != nil {
			return plan.Options{}, fmt.Errorf("read the identity schema: %w", err)
		}
		p.mu.Lock()
		p.plans = &opts
		p.mu.Unlock()
		return opts, nil
	})
	select {
	case got := <-done:
		opts, _ := got.Val.(plan.Options)
		return opts, got.Err
	case <-ctx.Done():
		return plan.Options{}, ctx.Err()
	}
}

// Traits returns the traits of the identity schema that are identifiers or addresses; none if
// the schema cannot be read.
func (p *Provisioner) Traits(ctx context.Context) []string {
	opts, err := p.planned(ctx, DoorIdentifier)
	if err != nil {
		return nil
	}
	var names []string
	for _, trait := range opts.Schema.Traits() {
		if trait.Protected() && trait.Type != "array" {
			names = append(names, trait.Name())
		}
	}
	return names
}

// reasonOf returns why the plan creates no identity, as one word.
func reasonOf(row plan.Row) string {
	if row.Reason.Reason == "" {
		return string(row.Outcome)
	}
	return row.Reason.Reason
}
