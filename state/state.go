// Package state keeps what outlives one call of Kratos, for minutes: the profile of
// a user who was just let in, from the migration hook to the after-login hook, and
// the answer to a delivery that Kratos may make again. [Memory] keeps it in the
// process, [Redis] for all replicas; both keep the same promises:
//
//   - A profile is kept for one identity, for [TTL]. A later one takes its place.
//   - It is taken once: while one caller has it on lease nobody else gets it, it is
//     gone when that caller says Done, and there again when it says Release or says
//     nothing for [LeaseTime].
//   - One that nobody came for is told once, by identity id and subject, to
//     Options.Expired of a store whose Run is running.
//
// None of it is ever the reason why somebody cannot log in: what is lost here is a
// profile that a reconciliation brings later, or one more question to Auth0.
package state

import (
	"context"
	"crypto/x509"
	"errors"
	"time"
)

const (
	// TTL is how long a profile waits for its after-login hook, where Options
	// name no other time.
	TTL = 2 * time.Minute
	// LeaseTime is how long a taken profile is nobody else's.
	LeaseTime = 30 * time.Second
)

var (
	// ErrUnreadable is a stored value that does not open: written with another
	// key, changed, or moved from where it belongs. It counts as not there.
	ErrUnreadable = errors.New("stored value cannot be opened")
	// ErrPaused is a call that was not made because those before it failed.
	ErrPaused = errors.New("redis does not answer, not asked for a moment")
)

// Kept is what the migration hook leaves for the after-login hook.
type Kept struct {
	// IdentityID is the Kratos identity that it is kept for; never empty.
	IdentityID string
	// FlowID is the login flow, empty where Kratos sends none (1.3.1).
	FlowID string
	// Subject is the Auth0 user id.
	Subject string
	// Connection is the Auth0 connection that answered.
	Connection string
	// Claims are what Auth0 says of the user, JSON, kept byte for byte.
	Claims []byte
	// MatchedAt is when the password matched.
	MatchedAt time.Time
}

// isFor reports whether the hook of that flow may have it. Either side may not know
// the flow.
func (k *Kept) isFor(flowID string) bool {
	return k.FlowID == "" || flowID == "" || k.FlowID == flowID
}

// Options are what a store is made of. The zero value is usable.
type Options struct {
	// TTL is how long a profile is kept; 0 is the package's TTL.
	TTL time.Duration
	// Now is the clock; nil is time.Now. Replicas' clocks must agree within
	// seconds.
	Now func() time.Time
	// Expired is told of each profile that nobody came for, by Run, and by Close of
	// a Memory.
	Expired func(identityID, subject string)
	// Fault is told of each value that Run could not read, and drops. Unused by Memory.
	Fault func(error)
	// Beat is told each time that Run has looked, every few seconds, whether the store
	// answered: nil, or why it did not. Unused by Memory.
	Beat func(error)
	// Timeout bounds each call of Redis, dialling included; 0 is 250 ms.
	Timeout time.Duration
	// RootCAs are who may vouch for a rediss:// server; nil is the system's.
	RootCAs *x509.CertPool
}

func (o Options) withDefaults() Options {
	if o.TTL <= 0 {
		o.TTL = TTL
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Expired == nil {
		o.Expired = func(string, string) {}
	}
	if o.Fault == nil {
		o.Fault = func(error) {}
	}
	if o.Beat == nil {
		o.Beat = func(error) {}
	}
	if o.Timeout <= 0 {
		o.Timeout = 250 * time.Millisecond
	}
	return o
}

// sweepEvery is how often Run looks for what nobody came for.
func (o Options) sweepEvery() time.Duration {
	return min(max(o.TTL/4, 10*time.Millisecond), 5*time.Second)
}

// Lease is a profile that was taken. Its holder writes it to Kratos and says Done,
// or Release where that failed. The zero Lease is nobody's, and both do nothing.
type Lease struct {
	// Kept is the profile.
	Kept Kept

	from   lessor
	ticket ticket
}

// ticket tells one lease, and one profile among those of an identity.
type ticket struct {
	place string // the identity id in memory, its keyed hash in Redis
	gen   string // of this profile
	lease string // of this lease
}

type lessor interface {
	done(ctx context.Context, t ticket) error
	release(ctx context.Context, t ticket) error
}

// Done deletes the profile: it is where it belongs. One that was kept meanwhile for
// the same identity stays. It holds even where the lease has run out.
func (l Lease) Done(ctx context.Context) error {
	if l.from == nil {
		return nil
	}
	return l.from.done(ctx, l.ticket)
}

// Release gives the profile back for another try until it expires. A lease that has
// run out changes nothing.
func (l Lease) Release(ctx context.Context) error {
	if l.from == nil {
		return nil
	}
	return l.from.release(ctx, l.ticket)
}

var errNoIdentity = errors.New("state: keep: an identity id is required")

var errTime = errors.New("state: a positive time is required")

// every calls sweep now and then until ctx ends.
func every(ctx context.Context, interval time.Duration, sweep func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		sweep()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
