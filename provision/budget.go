package provision

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"golang.org/x/time/rate"
)

// noUserFor is how long it is remembered that Auth0 has no user with an address. A user who signs
// up there meanwhile waits that long.
const noUserFor = 5 * time.Minute

// Memory keeps what replicas share for a while.
type Memory interface {
	HashKey() [32]byte
	Recall(ctx context.Context, key [32]byte) (answer []byte, ok bool, err error)
	Remember(ctx context.Context, key [32]byte, answer []byte, ttl time.Duration) error
}

// Budget bounds the look-ups by the Management API of everything in this process that
// needs them, and remembers for which addresses Auth0 has no user. It is safe for concurrent
// use.
type Budget struct {
	lookups *rate.Limiter
	memory  Memory
}

// NewBudget makes a Budget of so many look-ups a second.
func NewBudget(perSecond float64, memory Memory) *Budget {
	return &Budget{lookups: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond))), memory: memory}
}

// Allow reports whether one more look-up may be made now.
func (b *Budget) Allow() bool { return b.lookups.Allow() }

// NoUser reports whether it is remembered that Auth0 has no user with the address, which is
// normalized. If the memory does not answer, it is not remembered.
func (b *Budget) NoUser(ctx context.Context, email string) bool {
	_, found, err := b.memory.Recall(ctx, b.noUserKey(email))
	return found && err == nil
}

// RememberNoUser remembers it.
func (b *Budget) RememberNoUser(ctx context.Context, email string) error {
	return b.memory.Remember(ctx, b.noUserKey(email), []byte("{}"), noUserFor)
}

// noUserKey is a keyed hash of the address.
func (b *Budget) noUserKey(email string) [32]byte {
	key := b.memory.HashKey()
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("gateway: no user: " + email))
	return [32]byte(mac.Sum(nil))
}
