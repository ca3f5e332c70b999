package hook

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"ferry/outcome"
	"ferry/upstream"
)

// redeliveryWindow is how long a delivery's answer from Auth0 is kept for the same
// delivery made again. Kratos gives up on an attempt after 30 s and makes at most
// three, so the last one comes within a minute of the first one's end.
const redeliveryWindow = time.Minute

// attempts see to it that a password reaches Auth0 once: logins that are the same
// in everything share one question while it is asked, and a delivery that Kratos
// makes again gets the answer to the first. Nothing else is ever remembered.
type attempts struct {
	ask verifier
	log *zap.Logger
	now func() time.Time
	key [32]byte // of this process: what is kept tells nobody a password
	// shared knows the deliveries of all replicas; nil where there is one alone.
	shared *sharedDeliveries

	mu        sync.Mutex
	inFlight  map[attemptKey]*attempt
	delivered map[attemptKey]*attempt
	ended     []ended // in the order in which they ended
}

type attemptKey [sha256.Size]byte

// attempt is one question to Auth0. profile and err may be read once done is closed.
type attempt struct {
	done    chan struct{}
	profile upstream.Profile
	err     error
	// deliveries are the calls that wait for it, by delivery key.
	deliveries []attemptKey
	// joined are those of them that found it under way, as all replicas know them.
	joined []attemptKey
}

type ended struct {
	at  time.Time
	key attemptKey
}

func newAttempts(ask verifier, shared *sharedDeliveries, log *zap.Logger, now func() time.Time) *attempts {
	a := &attempts{ask: ask, shared: shared, log: log, now: now, inFlight: map[attemptKey]*attempt{}, delivered: map[attemptKey]*attempt{}}
	_, _ = rand.Read(a.key[:]) // it never fails: crypto/rand ends the process first
	return a
}

// login is what makes two logins the same.
type login struct {
	identityID string
	question   upstream.Question
	// ip is the person's address, whether Auth0 is told or not.
	ip netip.Addr
	// delivery is Kratos' Ory-Webhook-Trigger-Id, the same when it sends again;
	// empty from Kratos 1.3.1, which sends none.
	delivery string
}

// Ask puts the question, or joins the one under way. A caller that leaves cancels
// nobody's, not even its own: the question runs to its own deadline.
func (a *attempts) Ask(ctx context.Context, l login) (upstream.Profile, error) {
	at, same, first := a.join(l)
	if lasting := context.WithoutCancel(ctx); first {
		a.run(lasting, at, same, l)
		a.shared.tell(lasting, at)
	} else {
		a.shared.join(lasting, l)
	}
	select {
	case <-at.done:
		return at.profile, at.err
	case <-ctx.Done():
		return upstream.Profile{}, &upstream.Refusal{Outcome: outcome.Unavailable, Reason: "caller_gone"}
	}
}

// join finds the attempt that this login is part of; first says that it is a new
// one, which the caller must run.
func (a *attempts) join(l login) (at *attempt, same attemptKey, first bool) {
	same = l.hash(a.key[:])
	var delivery attemptKey
	if l.delivery != "" {
		delivery = l.deliveryHash(a.key[:])
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget()
	if l.delivery != "" {
		if at := a.delivered[delivery]; at != nil {
			return at, same, false
		}
	}
	at = a.inFlight[same]
	if at == nil {
		at, first = &attempt{done: make(chan struct{})}, true
		a.inFlight[same] = at
	} else if a.shared != nil && l.delivery != "" {
		at.joined = append(at.joined, a.shared.key(l))
	}
	if l.delivery != "" {
		at.deliveries = append(at.deliveries, delivery)
		a.delivered[delivery] = at
	}
	return at, same, first
}

func (a *attempts) run(ctx context.Context, at *attempt, same attemptKey, l login) {
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(a.log, fault)
			at.profile, at.err = upstream.Profile{}, &upstream.Refusal{Outcome: outcome.Garbled, Reason: "panic"}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.inFlight, same)
		for _, key := range at.deliveries {
			a.ended = append(a.ended, ended{a.now(), key})
		}
		close(at.done)
	}()
	if a.shared == nil || l.delivery == "" {
		at.profile, at.err = a.ask.Ask(ctx, l.question)
		return
	}
	at.profile, at.err = a.shared.ask(ctx, a.ask, l)
}

// forget drops what ended longer ago than the window.
func (a *attempts) forget() {
	oldest := a.now().Add(-redeliveryWindow)
	n := 0
	for n < len(a.ended) && a.ended[n].at.Before(oldest) {
		delete(a.delivered, a.ended[n].key)
		n++
	}
	a.ended = a.ended[n:]
}

// hash is a keyed hash of all that makes two logins the same.
func (l login) hash(key []byte) attemptKey {
	return keyedHash(key, l.identityID, l.question.Realm, l.question.Username, l.question.Password.Reveal(), addressKey(l.ip))
}

// deliveryHash is that of a login with the delivery that it came with.
func (l login) deliveryHash(key []byte) attemptKey {
	same := l.hash(key)
	return keyedHash(key, string(same[:]), l.delivery)
}

// keyedHash is one of the parts, each with its length before it.
func keyedHash(key []byte, parts ...string) attemptKey {
	var text []byte
	for _, part := range parts {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	clear(text) // the password was in it
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
