package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// kindRemint is the kind of a sealed value of package remint.
const kindRemint = "remint"

// RemintUse is how often a client has used a refresh token of Auth0, and when it last did.
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
		return r.redis.scripts.use.Run(ctx, r.redis.client, []string{r.usesName()}, clientID, at.Unix()).Err()
	})
}

// Uses returns the uses of all clients, by their ids.
func (r *Remints) Uses(ctx context.Context) (map[string]RemintUse, error) {
	text, err := r.redis.get(ctx, "read remint counts", r.usesName())
	if text == nil || err != nil {
		return map[string]RemintUse{}, err
	}
	var all map[string]useJSON
	if json.Unmarshal(text, &all) != nil {
		return nil, fmt.Errorf("state: read remint counts: %w", ErrUnreadable)
	}
	uses := make(map[string]RemintUse, len(all))
	for id, one := range all {
		uses[id] = one.use()
	}
	return uses, nil
}

// useJSON is a RemintUse as it is stored.
type useJSON struct {
	Count int64 `json:"n"`
	Last  int64 `json:"last"`
}

func (u useJSON) use() RemintUse { return RemintUse{Count: u.Count, Last: time.Unix(u.Last, 0).UTC()} }

func (r *Remints) name(place string) string { return r.redis.prefix + "remint:" + place }

func (r *Remints) usesName() string { return r.redis.prefix + "remint-uses" }

// KEYS the uses; ARGV client, time. A value that is not JSON is replaced.
const useScript = `
local ok, all = pcall(cjson.decode, redis.call('GET', KEYS[1]) or '{}')
if not ok or type(all) ~= 'table' then all = {} end
local one = all[ARGV[1]] or {n = 0, last = 0}
one.n = one.n + 1
if tonumber(ARGV[2]) > one.last then one.last = tonumber(ARGV[2]) end
all[ARGV[1]] = one
return redis.call('SET', KEYS[1], cjson.encode(all))
`
