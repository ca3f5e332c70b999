package state

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// kindRemint is the kind of a sealed value of package remint.
const kindRemint = "remint"

// RemintUse is how often a client has come with a refresh token of Auth0, and when it last did.
type RemintUse struct {
	Count int64
	Last  time.Time // zero: never
}

// Remints keeps what package remint must not lose in a Redis, for all replicas with the same URL
// and key: values, sealed, under keyed hashes. A value is as durable as Redis is: with
// appendonly yes and appendfsync always it is on the disk when Put returns.
type Remints struct{ redis *Redis }

// Remints returns those in this Redis.
func (r *Redis) Remints() *Remints { return &Remints{r} }

// Get returns a value. ok is false if there is none, or it has expired. The error is
// ErrUnreadable for a value that cannot be decrypted.
func (r *Remints) Get(ctx context.Context, key [32]byte) (text []byte, ok bool, err error) {
	place := r.redis.keys.place(kindRemint, key[:])
	value, err := r.redis.get(ctx, "read remint", r.name(place))
	if value == nil || err != nil {
		return nil, false, err
	}
	return opened(r.redis.keys, place, value, r.redis.opts.Now())
}

// opened opens a sealed value of package remint.
func opened(k *keys, place string, value []byte, now time.Time) (text []byte, ok bool, err error) {
	_, text, err = k.open(kindRemint, place, value, now)
	switch {
	case errors.Is(err, errExpired):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("state: read remint: %w", err)
	}
	return text, true, nil
}

// Put replaces a value, and keeps it for a time.
func (r *Remints) Put(ctx context.Context, key [32]byte, text []byte, keep time.Duration) error {
	if keep <= 0 {
		return errTime
	}
	place := r.redis.keys.place(kindRemint, key[:])
	value := r.redis.keys.seal(kindRemint, place, newGen(), r.redis.opts.Now().Add(keep), text)
	return r.redis.do(ctx, "write remint", func(ctx context.Context) error {
		return r.redis.client.Set(ctx, r.name(place), value, max(keep, time.Millisecond)).Err()
	})
}

// Delete deletes a value.
func (r *Remints) Delete(ctx context.Context, key [32]byte) error {
	name := r.name(r.redis.keys.place(kindRemint, key[:]))
	return r.redis.do(ctx, "delete remint", func(ctx context.Context) error { return r.redis.client.Del(ctx, name).Err() })
}

// Claim and Unclaim are those of the Redis.
func (r *Remints) Claim(ctx context.Context, key [32]byte, ttl time.Duration) (won bool, err error) {
	return r.redis.Claim(ctx, key, ttl)
}

// Unclaim ends a claim before its time.
func (r *Remints) Unclaim(ctx context.Context, key [32]byte) error { return r.redis.Unclaim(ctx, key) }

// CountUse counts that a client came with a refresh token of Auth0.
func (r *Remints) CountUse(ctx context.Context, clientID string, at time.Time) error {
	return r.redis.do(ctx, "count remint", func(ctx context.Context) error {
		return r.redis.scripts.use.Run(ctx, r.redis.client, []string{r.useName(clientID)}, at.Unix()).Err()
	})
}

// Uses returns the uses of clients, in their order.
func (r *Remints) Uses(ctx context.Context, clientIDs []string) ([]RemintUse, error) {
	uses := make([]RemintUse, len(clientIDs))
	if len(clientIDs) == 0 {
		return uses, nil
	}
	err := r.redis.do(ctx, "read remint counts", func(ctx context.Context) error {
		counts, lasts := make([]*redis.StringCmd, len(clientIDs)), make([]*redis.StringCmd, len(clientIDs))
		_, err := r.redis.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, id := range clientIDs {
				counts[i], lasts[i] = pipe.HGet(ctx, r.useName(id), "count"), pipe.HGet(ctx, r.useName(id), "last")
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		for i := range clientIDs {
			if uses[i], err = useOf(counts[i].Val(), lasts[i].Val()); err != nil {
				return err
			}
		}
		return nil
	})
	return uses, err
}

// useOf reads a count and a time; empty texts: there is none.
func useOf(count, last string) (RemintUse, error) {
	if count == "" {
		return RemintUse{}, nil
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		return RemintUse{}, ErrUnreadable
	}
	at, err := strconv.ParseInt(last, 10, 64)
	if err != nil {
		return RemintUse{}, ErrUnreadable
	}
	return RemintUse{Count: n, Last: time.Unix(at, 0).UTC()}, nil
}

func (r *Remints) name(place string) string { return r.redis.prefix + "remint:" + place }

func (r *Remints) useName(clientID string) string {
	return r.redis.prefix + "remint-use:" + r.redis.keys.place("client", []byte(clientID))
}

// KEYS the use; ARGV the time.
const useScript = `
local n = tonumber(redis.call('HGET', KEYS[1], 'count') or '0') + 1
local last = tonumber(redis.call('HGET', KEYS[1], 'last') or '0')
redis.call('HSET', KEYS[1], 'count', string.format('%.0f', n))
if tonumber(ARGV[1]) > last then redis.call('HSET', KEYS[1], 'last', ARGV[1]) end
return 1
`
