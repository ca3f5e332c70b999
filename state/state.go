// Package state stores what outlives one call of Kratos, for minutes: the profile of a
// user from the migration hook to the after-login hook, and the answer to a delivery that
// Kratos may repeat. [Memory] stores it in the process, [Redis] for all replicas. [Register]
// remembers the users of the gateway in the same Redis, for good.
//
// A profile is stored for one identity, for [TTL], and leased to one caller at a time. Done
// deletes it; after Release, or after [LeaseTime], it can be leased again. A profile that
// expires unclaimed is reported once, to Options.Expired of a store whose Run is running.
//
// A store that fails never fails a login of a user whom Kratos has: a profile is written
// later by a reconciliation, or Auth0 is asked once more. A Register that fails does: whoever
// is not known to be new is not created.
package state

import (
	"context"
	"crypto/x509"
	"errors"
	"time"
)

const (
	// TTL is how long a profile waits for its after-login hook, by default.
	TTL = 2 * time.Minute
	// LeaseTime is how long a lease lasts.
	LeaseTime = 30 * time.Second
)

var (
	// ErrUnreadable is a stored value that cannot be decrypted: it was written with
	// another key, changed, or moved. It counts as missing.
	ErrUnreadable = errors.New("stored value cannot be opened")
	// ErrPaused is a call that was not made because earlier calls failed.
	ErrPaused = errors.New("redis does not answer, and is not asked again for a moment")
)

// Handoff is what the migration hook hands to the after-login hook.
type Handoff struct {
	// IdentityID is the Kratos identity that it is for; never empty.
	IdentityID string
	// FlowID is the login flow, empty if Kratos sends none (1.3.1).
	FlowID string
	// Subject is the Auth0 user id.
	Subject string
	// Connection is the Auth0 connection that answered.
	Connection string
	// Claims are the user's claims from Auth0, JSON, stored byte for byte.
	Claims []byte
	// MatchedAt is when the password matched.
	MatchedAt time.Time
	// Traceparent is the span of the migration hook (W3C Trace Context); empty without tracing.
	Traceparent string
}

// isFor reports whether the hook of that flow may have it. An empty flow, on either side,
// matches every flow.
func (h *Handoff) isFor(flowID string) bool {
	return h.FlowID == "" || flowID == "" || h.FlowID == flowID
}

// Options configure a store. The zero value is usable.
type Options struct {
	// TTL is how long a profile is stored; 0 is the package's TTL.
	TTL time.Duration
	// Now is the clock; nil is time.Now. Replicas' clocks must agree within
	// seconds.
	Now func() time.Time
	// Expired is called for each profile that expires unclaimed, by Run and by a Memory's
	// Close.
	Expired func(identityID, subject string)
	// Fault is called for each value that Run could not read and drops. Unused by Memory.
	Fault func(error)
	// Beat is called after each sweep of Run, every few seconds, with nil or the error of
	// the store. Unused by Memory.
	Beat func(error)
	// Took is called with how long each call of Redis took. Unused by Memory.
	Took func(time.Duration)
	// Timeout bounds each call of Redis, dialling included; 0 is 250 ms.
	Timeout time.Duration
	// RootCAs verify a rediss:// server; nil is the system's.
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
	if o.Took == nil {
		o.Took = func(time.Duration) {}
	}
	if o.Timeout <= 0 {
		o.Timeout = 250 * time.Millisecond
	}
	return o
}

// sweepEvery is how often Run looks for expired profiles.
func (o Options) sweepEvery() time.Duration {
	return min(max(o.TTL/4, 10*time.Millisecond), 5*time.Second)
}

// Lease is a leased profile. Its holder writes it to Kratos and calls Done, or Release if
// that failed. Both do nothing on the zero Lease.
type Lease struct {
	// Handoff is the profile.
	Handoff Handoff

	from   lessor
	ticket ticket
}

// ticket identifies a lease, and a profile among those of an identity.
type ticket struct {
	place string // the identity id in memory, its keyed hash in Redis
	gen   string // of this profile
	lease string // of this lease
}

type lessor interface {
	done(ctx context.Context, t ticket) error
	release(ctx context.Context, t ticket) error
}

// Done deletes the profile, even after the lease has expired. A newer profile of the same
// identity stays.
func (l Lease) Done(ctx context.Context) error {
	if l.from == nil {
		return nil
	}
	return l.from.done(ctx, l.ticket)
}

// Release ends the lease, so that the profile can be leased again until it expires. It does
// nothing after the lease has expired.
func (l Lease) Release(ctx context.Context) error {
	if l.from == nil {
		return nil
	}
	return l.from.release(ctx, l.ticket)
}

var errNoIdentity = errors.New("state: keep: an identity id is required")

var errTime = errors.New("state: a positive time is required")

// every calls sweep at once and then in each interval, until ctx ends.
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
