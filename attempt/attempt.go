// Package attempt makes sure that a password reaches Auth0 once.
//
//	a repeated delivery, also at another replica: the result of the first
//	an identical Login in flight: its result
//	a login that was verified just before, and kept: that result, once
//	a limit of failed logins is reached: a refusal
//	else: ask Auth0
package attempt

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

	"ferry/clientip"
	"ferry/outcome"
	"ferry/tracing"
	"ferry/upstream"
)

// Verifier asks Auth0.
type Verifier interface {
	// Verify returns the profile of the user with these credentials. Every error is an
	// *upstream.LoginError.
	Verify(ctx context.Context, credentials upstream.Credentials) (upstream.Profile, error)
}

// Store keeps results for other replicas and for later deliveries. Package state says what
// each method does.
type Store interface {
	HashKey() [32]byte
	Recall(ctx context.Context, key [32]byte) (answer []byte, ok bool, err error)
	Remember(ctx context.Context, key [32]byte, answer []byte, ttl time.Duration) error
	Claim(ctx context.Context, key [32]byte, ttl time.Duration) (won bool, err error)
	Unclaim(ctx context.Context, key [32]byte) error
}

// Limits decide whether Auth0 may be asked about a login. They are asked only where it would be:
// a login that gets the result of another one is not counted.
type Limits interface {
	// Admit lets the login in flight until settle is called, once, with what the Verifier
	// returned; settle returns the error to use instead. It may wait for other logins. If Auth0
	// must not be asked, settle is nil and the refusal says why.
	Admit(ctx context.Context, login Login) (settle func(ctx context.Context, err error) error, refusal *upstream.LoginError)
}

// Options configure Attempts. All but Limits are required.
type Options struct {
	Verifier Verifier
	Store    Store
	// Limits are the limits of failed logins; nil: there are none.
	Limits Limits
	// ClaimFor is how long one replica may hold a claim: a little longer than a
	// verification at Auth0 may take, and the wait of the Limits before it.
	ClaimFor time.Duration
	// Now is the clock.
	Now func() time.Time
	// StateFault is called for each operation of the store that failed, with its name.
	StateFault func(operation string)
	// Panicked is called with the value of a panic of the Verifier.
	Panicked func(fault any)
}

// The operations of the store, for StateFault.
const (
	operationRecall   = "recall"
	operationClaim    = "claim"
	operationUnclaim  = "unclaim"
	operationRemember = "remember"
)

// Operations returns the names of the operations that StateFault is called with.
func Operations() []string {
	return []string{operationRecall, operationClaim, operationUnclaim, operationRemember}
}

// Attempts verifies logins. Identical Logins share one verification while it is in flight;
// deliveries knows the results of earlier deliveries. It is safe for concurrent use.
type Attempts struct {
	deliveries *deliveries
	panicked   func(fault any)
	key        [32]byte // of this process: stored hashes reveal no password

	mu       sync.Mutex
	inFlight map[attemptKey]*attempt
}

type attemptKey [sha256.Size]byte

// attempt is one verification at Auth0.
type attempt struct {
	same attemptKey // that of its login
	done chan struct{}
	// result may be read once done is closed.
	result verification

	// known are the deliveries that wait for the result, each once. queue are those whose
	// result is not stored yet. The mutex of Attempts protects both.
	known map[attemptKey]bool
	queue []*delivery
}

// New makes an Attempts.
func New(opts Options) *Attempts {
	a := &Attempts{deliveries: &deliveries{opts}, panicked: opts.Panicked, inFlight: map[attemptKey]*attempt{}}
	_, _ = rand.Read(a.key[:]) // it never fails: crypto/rand ends the process first
	return a
}

// Login is one login. Two logins with the same values, Delivery and Arrived aside, are
// identical.
type Login struct {
	// IdentityID is empty for a user whom Kratos does not have.
	IdentityID  string
	Credentials upstream.Credentials
	// IP is the user's address, whether Auth0 is told or not.
	IP netip.Addr
	// Delivery is Kratos' Ory-Webhook-Trigger-Id, the same when it sends again;
	// empty from Kratos 1.3.1, which sends none.
	Delivery string
	// Arrived is when ferry received it.
	Arrived time.Time
}

// Answer is the answer to a login.
type Answer struct {
	// Profile is empty with an error.
	Profile upstream.Profile
	// Asked is true if this call asked Auth0. It is false where the call got the result of
	// another one, and where a limit refused it.
	Asked bool
}

// Verify verifies the login at Auth0, or joins the attempt that is in flight. A delivery
// that Kratos repeats gets the outcome of the first. A caller that goes away does not
// cancel the attempt, not even its own: it runs to its deadline. Every error is an
// *upstream.LoginError.
func (a *Attempts) Verify(ctx context.Context, l Login) (Answer, error) {
	ctx, span := tracing.Start(ctx, "attempt")
	defer span.End()
	l.Credentials.From = l.IP
	answer, err := a.verify(ctx, &l)
	if span.IsRecording() {
		span.SetAttributes(tracing.Asked.Bool(answer.Asked))
		var refusal *upstream.LoginError
		if errors.As(err, &refusal) {
			tracing.Ended(span, refusal.Outcome.String(), refusal.Reason)
		}
	}
	return answer, err
}

// verify does the work of Verify. From here on, the login is passed by reference: a thousand
// logins that wait at Auth0 keep their stacks, and copies would make each twice as large.
func (a *Attempts) verify(ctx context.Context, l *Login) (Answer, error) {
	d := a.deliveries.of(l)
	lasting := context.WithoutCancel(ctx)
	if earlier, ok, err := a.deliveries.recall(lasting, d); ok && err == nil {
		return earlier.answer(false)
	}
	at, is := a.join(l, d)
	switch is {
	case first:
		a.run(lasting, at, d, l)
	case joined:
		func() {
			defer close(d.claimed)
			a.deliveries.claim(lasting, d)
		}()
	case again:
	}
	select {
	case <-at.done:
		return at.result.answer(is == first)
	case <-ctx.Done():
		return Answer{}, &upstream.LoginError{Outcome: outcome.Unavailable, Reason: "caller_gone"}
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
func (a *Attempts) join(l *Login, d *delivery) (*attempt, role) {
	same := l.hash(a.key[:])
	a.mu.Lock()
	defer a.mu.Unlock()
	at, is := a.inFlight[same], joined
	if at == nil {
		at, is = &attempt{same: same, done: make(chan struct{}), known: map[attemptKey]bool{}}, first
		a.inFlight[same] = at
	}
	if at.known[d.key] {
		return at, again
	}
	at.known[d.key] = true
	if is == joined {
		d.claimed = make(chan struct{})
		at.queue = append(at.queue, d)
	}
	return at, is
}

// run verifies the credentials of the first delivery of an attempt.
func (a *Attempts) run(ctx context.Context, at *attempt, d *delivery, l *Login) {
	defer a.finish(at)
	func() {
		defer func() {
			if fault := recover(); fault != nil {
				a.panicked(fault)
				at.result = refused(d.arrived, &upstream.LoginError{Outcome: outcome.InvalidResponse, Reason: upstream.ReasonPanic})
			}
		}()
		at.result = a.deliveries.verify(ctx, d, l)
	}()
	if !at.result.unshared {
		// The first delivery may have arrived earlier, at another replica.
		a.deliveries.remember(ctx, &delivery{key: d.key, named: d.named, arrived: at.result.Arrived}, at.result)
	}
	for queue := a.end(at); len(queue) > 0; queue = a.end(at) {
		for _, d := range queue {
			<-d.claimed
			a.deliveries.remember(ctx, d, at.result)
		}
	}
}

// finish gives the result to the deliveries that wait. After a panic of the store, no
// later login may join the attempt.
func (a *Attempts) finish(at *attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inFlight[at.same] == at {
		delete(a.inFlight, at.same)
	}
	close(at.done)
}

// end returns the deliveries whose result is not stored yet. If there are none, no more of
// them join: every delivery of the attempt is in flight or stored, at any time.
func (a *Attempts) end(at *attempt) []*delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	queue := at.queue
	at.queue = nil
	if len(queue) == 0 {
		delete(a.inFlight, at.same)
	}
	return queue
}

// hash is a keyed hash of everything that makes two logins the same.
func (l *Login) hash(key []byte) attemptKey {
	return keyedHash(key, l.IdentityID, l.Credentials.Realm, l.Credentials.Username, l.Credentials.Password.Reveal(), clientip.Key(l.IP))
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
