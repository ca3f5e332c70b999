package state

import (
	"context"
	"sync"
	"time"

	"ferry/secret"
)

// Replica is a Redis that also remembers the answers of this process in memory. So a
// delivery that is repeated to this replica finds its answer while Redis is down. It is
// safe for concurrent use.
type Replica struct {
	*Redis

	own *Memory
}

// NewReplica returns a Replica. The arguments are those of NewRedis.
func NewReplica(address, key secret.String, opts Options) (*Replica, error) {
	redis, err := NewRedis(address, key, opts)
	if err != nil {
		return nil, err
	}
	return &Replica{redis, NewMemory(opts)}, nil
}

// Remember stores the answer in memory and in Redis. An error is one of Redis.
func (r *Replica) Remember(ctx context.Context, key [32]byte, text []byte, ttl time.Duration) error {
	if err := r.own.Remember(ctx, key, text, ttl); err != nil {
		return err
	}
	return r.Redis.Remember(ctx, key, text, ttl)
}

// Recall returns the answer of this process, else the one in Redis.
func (r *Replica) Recall(ctx context.Context, key [32]byte) (text []byte, ok bool, err error) {
	if text, ok, err = r.own.Recall(ctx, key); ok || err != nil {
		return text, ok, err
	}
	return r.Redis.Recall(ctx, key)
}

// Run is Run of the Redis. It also drops what has expired in memory.
func (r *Replica) Run(ctx context.Context) {
	var own sync.WaitGroup
	own.Go(func() { r.own.Run(ctx) })
	r.Redis.Run(ctx)
	own.Wait()
}
