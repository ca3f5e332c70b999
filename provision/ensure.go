package provision

import (
	"context"
	"errors"
	"strings"

	"go.uber.org/zap"

	"ferry/identifier"
	"ferry/mode"
	"ferry/wire"
)

// The results of Ensure that are not those of a creation.
const (
	// EnsuredNow: the identity was created.
	EnsuredNow = "created"
	// EnsuredNothing: the identifier is not an e-mail address, so Auth0 is not asked.
	EnsuredNothing = "not_looked_up"
	// EnsureLimited, EnsureNotReady and EnsureFailed say nothing about the user: the budget of
	// look-ups is spent, Kratos' identities have not been read yet, or Kratos or Auth0 did not
	// answer.
	EnsureLimited  = "limited_lookups"
	EnsureNotReady = "not_ready"
	EnsureFailed   = "lookup_failed"
	// EnsureOff: ferry is off. Nothing is known about the user either.
	EnsureOff = "paused"
)

// ErrObserved is returned for a user whose identity is not created because ferry only observes.
var ErrObserved = errors.New("ferry only observes, and creates no identity")

// ErrLimited is returned when the budget of look-ups is spent.
var ErrLimited = errors.New("the limit of look-ups a second is reached")

// Ensurer creates the identities of users whom a trusted caller names. It is safe for
// concurrent use.
type Ensurer struct {
	p      *Provisioner
	budget *Budget
}

// NewEnsurer makes an Ensurer. The Provisioner must have a Directory.
func NewEnsurer(p *Provisioner, budget *Budget) (*Ensurer, error) {
	if !p.CanLookUp() {
		return nil, errors.New("provision: to ensure users needs the Management API")
	}
	return &Ensurer{p, budget}, nil
}

// Ensure creates the identity of the Auth0 user with the identifier, as it was typed, if Kratos
// does not have it. recovery is true for "forgot password": see DoorRecovery. The result is
// one word. An error says nothing about the user: it is unknown whether Kratos has the
// identity now.
func (e *Ensurer) Ensure(ctx context.Context, typed string, recovery bool) (result string, err error) {
	email := identifier.Normalize(typed)
	if !strings.Contains(email, "@") || len(email) > wire.MaxEmailBytes {
		return EnsuredNothing, nil
	}
	known, err := e.p.opts.Identities.Knows(ctx, email)
	switch {
	case err != nil:
		return EnsureFailed, err
	case known:
		return ReasonKnown, nil
	}
	if e.p.mode() == mode.Off {
		return EnsureOff, ErrOff
	}
	if err := e.p.Ready(ctx); err != nil {
		return EnsureNotReady, err
	}
	switch {
	case e.budget.NoUser(ctx, email):
		return ReasonNoUser, nil
	case !e.budget.Allow():
		return EnsureLimited, ErrLimited
	}
	door := DoorIdentifier
	if recovery {
		door = DoorRecovery
	}
	made, err := e.p.ByIdentifier(ctx, door, email)
	switch {
	case err != nil:
		return EnsureFailed, err
	case made.Created:
		return EnsuredNow, nil
	case made.Reason == ReasonObserved:
		return ReasonObserved, ErrObserved
	case made.Reason == ReasonNoUser:
		if err := e.budget.RememberNoUser(ctx, email); err != nil {
			e.p.opts.Log.Warn("ensure: result not remembered", zap.Error(err))
		}
	}
	return made.Reason, nil
}
