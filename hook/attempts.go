package hook

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"ferry/outcome"
	"ferry/upstream"
)

// Kratos gives up on an attempt after 30 s and makes at most three, 1 s and 2 s apart:
// the last one begins 63 s after the first and ends before 93 s.
const (
	// deliveryWindow is how long the outcome of a delivery is kept for the same
	// delivery made again, from its first arrival.
	deliveryWindow = 2 * time.Minute
	// loginWindow is how long what Auth0 answered is kept for an identical login where
	// Kratos does not name its deliveries, from the first arrival.
	loginWindow = 100 * time.Second
)

// attempts makes sure that a password reaches Auth0 once. Identical logins share one
// verification while it is in flight. A delivery that Kratos repeats gets the outcome of
// the first. Where deliveries have no id, an identical login may be a repeated delivery,
// so it gets Auth0's answer to the first.
type attempts struct {
	verifier verifier
	log      *zap.Logger
	now      func() time.Time
	key      [32]byte // of this process: stored hashes reveal no password
	// shared knows the deliveries of all replicas; nil with a single replica.
	shared *sharedDeliveries

	mu       sync.Mutex
	inFlight map[attemptKey]*attempt
	known    map[attemptKey]*delivery
	order    []*delivery // all deliveries, by arrival
}

type attemptKey [sha256.Size]byte

// attempt is one verification at Auth0. profile and err may be read once done is closed.
type attempt struct {
	same    attemptKey // that of its login
	done    chan struct{}
	profile upstream.Profile
	err     error
	// deliveries are those that wait for the result. The first of them runs it.
	deliveries []*delivery
}

// delivery is one call from Kratos, or several that cannot be told apart.
type delivery struct {
	key attemptKey // of this process
	// shared is the key on all replicas, where there are several.
	shared attemptKey
	// named is false where Kratos did not say which delivery it is.
	named   bool
	arrived time.Time
	attempt *attempt
}

// ends is when the delivery expires.
func (d *delivery) ends() time.Time {
	if d.named {
		return d.arrived.Add(deliveryWindow)
	}
	return d.arrived.Add(loginWindow)
}

// keeps reports whether the outcome is reused when the same delivery arrives again. An
// outcome that is not Auth0's decision is reused only if the delivery has an id: a person
// who tries again after an outage is verified again.
func (d *delivery) keeps(err error) bool { return d.named || settled(err) }

// settled reports whether Auth0 has decided about the credentials: accepted or refused.
func settled(err error) bool {
	var loginErr *upstream.LoginError
	if !errors.As(err, &loginErr) {
		return err == nil
	}
	switch loginErr.Outcome {
	case outcome.Mismatch, outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.Throttled:
		return true
	case outcome.Match, outcome.Locked, outcome.SubjectMismatch, outcome.Unbound, outcome.Inactive, outcome.NotPending, outcome.Oversize, outcome.Closed,
		outcome.Suspicious, outcome.Limited, outcome.Unavailable, outcome.Misconfigured, outcome.InvalidResponse:
	}
	return false
}

func newAttempts(auth0 verifier, shared *sharedDeliveries, log *zap.Logger, now func() time.Time) *attempts {
	a := &attempts{verifier: auth0, shared: shared, log: log, now: now, inFlight: map[attemptKey]*attempt{}, known: map[attemptKey]*delivery{}}
	_, _ = rand.Read(a.key[:]) // it never fails: crypto/rand ends the process first
	return a
}

// login is what makes two logins the same.
type login struct {
	identityID  string
	credentials upstream.Credentials
	// ip is the person's address, whether Auth0 is told or not.
	ip netip.Addr
	// delivery is Kratos' Ory-Webhook-Trigger-Id, the same when it sends again;
	// empty from Kratos 1.3.1, which sends none.
	delivery string
	// arrived is when ferry received it.
	arrived time.Time
}

// Verify verifies the login at Auth0, or joins the attempt that is in flight. A caller
// that goes away does not cancel the attempt, not even its own: it runs to its deadline.
func (a *attempts) Verify(ctx context.Context, l login) (upstream.Profile, error) {
	d, is := a.join(l)
	switch lasting := context.WithoutCancel(ctx); is {
	case first:
		a.run(lasting, d, l)
	case joined:
		a.shared.join(lasting, d)
	case again:
	}
	select {
	case <-d.attempt.done:
		return d.attempt.profile, d.attempt.err
	case <-ctx.Done():
		return upstream.Profile{}, &upstream.LoginError{Outcome: outcome.Unavailable, Reason: "caller_gone"}
	}
}

// role is what a delivery is to its attempt.
type role int

const (
	again  role = iota // it arrived before
	joined             // it shares the attempt of another delivery
	first              // it runs the attempt
)

// join finds the attempt that this login is part of.
func (a *attempts) join(l login) (*delivery, role) {
	same := l.hash(a.key[:])
	key := same
	if l.delivery != "" {
		key = named(a.key[:], same, l.delivery)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget()
	if d := a.known[key]; d != nil && a.now().Before(d.ends()) {
		return d, again
	}
	d := &delivery{key: key, named: l.delivery != "", arrived: l.arrived}
	if a.shared != nil {
		d.shared = a.shared.key(l)
	}
	is := joined
	d.attempt = a.inFlight[same]
	if d.attempt == nil {
		is = first
		d.attempt = &attempt{same: same, done: make(chan struct{})}
		a.inFlight[same] = d.attempt
	}
	d.attempt.deliveries = append(d.attempt.deliveries, d)
	a.known[key] = d
	a.order = append(a.order, d)
	return d, is
}

// run verifies the credentials of the first delivery of an attempt.
func (a *attempts) run(ctx context.Context, d *delivery, l login) {
	at, arrived := d.attempt, d.arrived
	func() {
		defer func() {
			if fault := recover(); fault != nil {
				logPanic(a.log, fault)
				at.profile, at.err = upstream.Profile{}, &upstream.LoginError{Outcome: outcome.InvalidResponse, Reason: "panic"}
			}
		}()
		if a.shared == nil {
			at.profile, at.err = a.verifier.Verify(ctx, l.credentials)
			return
		}
		at.profile, arrived, at.err = a.shared.verify(ctx, a.verifier, l, d)
	}()
	a.end(at, arrived)
	a.shared.tell(ctx, at)
}

// end gives the outcome to the deliveries that wait. No more of them join. The first
// delivery may have arrived earlier, at another replica.
func (a *attempts) end(at *attempt, arrived time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at.deliveries[0].arrived = arrived
	delete(a.inFlight, at.same)
	for _, d := range at.deliveries {
		if !d.keeps(at.err) && a.known[d.key] == d {
			delete(a.known, d.key)
		}
	}
	close(at.done)
}

// forget drops expired deliveries. It goes in order of arrival, so some stay a little
// longer than they are valid.
func (a *attempts) forget() {
	now, n := a.now(), 0
	for n < len(a.order) && !now.Before(a.order[n].ends()) {
		if d := a.order[n]; a.known[d.key] == d {
			delete(a.known, d.key)
		}
		n++
	}
	a.order = a.order[n:]
}

// hash is a keyed hash of everything that makes two logins the same.
func (l login) hash(key []byte) attemptKey {
	return keyedHash(key, l.identityID, l.credentials.Realm, l.credentials.Username, l.credentials.Password.Reveal(), addressKey(l.ip))
}

// named is the key of a login with the delivery that it came with.
func named(key []byte, same attemptKey, delivery string) attemptKey {
	return keyedHash(key, string(same[:]), delivery)
}

// keyedHash is the keyed hash of the parts, each prefixed with its length. The parts pass
// through one small buffer that is cleared afterwards: the password is one of them, and
// is copied nowhere else.
func keyedHash(key []byte, parts ...string) attemptKey {
	mac := hmac.New(sha256.New, key)
	var buffer [sha256.BlockSize]byte
	defer clear(buffer[:])
	for _, part := range parts {
		binary.BigEndian.PutUint64(buffer[:], uint64(len(part)))
		mac.Write(buffer[:8])
		for len(part) > 0 {
			n := copy(buffer[:], part)
			mac.Write(buffer[:n])
			part = part[n:]
		}
	}
	return attemptKey(mac.Sum(nil))
}

// addressKey is one address of IPv4, or the /64 of IPv6 that one person has.
func addressKey(ip netip.Addr) string {
	if !ip.IsValid() || ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}
