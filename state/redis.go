package state

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"ferry/secret"
	"ferry/tracing"
)

const (
	// whoTTL bounds how long Redis stores whose profile expired unclaimed, if no replica
	// runs to report it.
	whoTTL = 24 * time.Hour
	// sweepBatch is how many profiles one sweep reports.
	sweepBatch = 100
)

// Redis stores state in one Redis (5.0 or newer), for all replicas with the same URL
// and key. Values are sealed and names are keyed hashes: Redis learns no identity
// id, subject or claim. It is safe for concurrent use.
//
// No call waits longer than Options.Timeout, none is repeated, and after some in a
// row that got no answer most fail at once with ErrPaused, until one succeeds; so a
// Redis that is down costs a login almost nothing. Callers count errors, and let the
// login go on.
//
// An ACL user needs
//
//	~ferry:* +get +set +del +getrange +pttl +pexpire +time +eval +evalsha
//	+hset +hget +hdel +zadd +zscore +zrem +zrangebyscore +ping
//
// and +select where the URL names a database.
//
// Names begin with a keyed hash too: stores with different keys share nothing. A new key
// cannot read what the old one wrote: a login between its two hooks loses its profile,
// and a repeated delivery asks Auth0 again. Replicas that still run with the old key
// report those profiles until they end. After that Redis drops them, and a reconciliation
// finds those users. The users register begins anew.
type Redis struct {
	opts    Options
	client  *redis.Client
	keys    *keys
	prefix  string
	scripts scripts
	breaker breaker
}

// NewRedis returns a Redis for redis://user:password@host:port/db, or rediss:// for TLS,
// and a key of at least 32 bytes. It connects at the first call, so it succeeds while
// Redis is down. Its errors hold no part of the URL.
//
// It turns off go-redis' logger for the whole process, because it bypasses ferry's log.
// Methods return everything that matters as errors.
func NewRedis(address, key secret.String, opts Options) (*Redis, error) {
	opts = opts.withDefaults()
	conn, err := connection(address, opts)
	if err != nil {
		return nil, err
	}
	k, err := newKeys(key)
	if err != nil {
		return nil, err
	}
	logging.Disable()
	return &Redis{
		opts: opts, client: redis.NewClient(conn), keys: k, scripts: newScripts(),
		// The braces keep all of it in one slot of a cluster behind a proxy.
		prefix: "ferry:{" + k.place("store", nil)[:12] + "}:",
	}, nil
}

// connection parses the URL. It refuses options in the query, some of which would break
// Redis' promises.
func connection(address secret.String, opts Options) (*redis.Options, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Host == "" || (u.Scheme != "redis" && u.Scheme != "rediss") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("state: the url is not redis://user:password@host:port/db, or rediss:// of that form")
	}
	conn, err := redis.ParseURL(address.Reveal())
	if err != nil {
		return nil, errors.New("state: the url has no database number after the host") // err quotes it
	}
	if conn.TLSConfig != nil {
		conn.TLSConfig.RootCAs = opts.RootCAs
	}
	conn.Protocol = 2
	conn.MaxRetries, conn.DialerRetries = -1, 1
	conn.DialTimeout, conn.ReadTimeout, conn.WriteTimeout, conn.PoolTimeout = opts.Timeout, opts.Timeout, opts.Timeout, opts.Timeout
	conn.ContextTimeoutEnabled = true
	conn.ConnMaxIdleTime = 5 * time.Minute
	conn.DisableIdentity = true
	conn.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return conn, nil
}

// HashKey is the key with which callers hash the keys of Remember, Recall and Claim. It is
// derived from the store's key, so it is the same on all replicas.
func (r *Redis) HashKey() [32]byte { return r.keys.hash }

// Put replaces the profile of h.IdentityID. The replaced one is not reported as expired.
func (r *Redis) Put(ctx context.Context, h Handoff) error {
	if h.IdentityID == "" {
		return errNoIdentity
	}
	place, gen, expires := r.keys.place("identity", []byte(h.IdentityID)), newGen(), r.opts.Now().Add(r.opts.TTL)
	value := r.keys.seal("kept", place, gen, expires, packHandoff(&h))
	who := r.keys.seal("who", place, gen, expires, pack([]byte(h.IdentityID), []byte(h.Subject)))
	return r.do(ctx, "keep", func(ctx context.Context) error {
		return r.scripts.put.Run(ctx, r.client, r.profileNames(place),
			value, milliseconds(r.opts.TTL), place, who, milliseconds(max(whoTTL, 2*r.opts.TTL))).Err()
	})
}

// Lease leases the profile of the identity and the flow. It is false if there is none,
// which costs one GET, or if it is on lease. The error is ErrUnreadable for a value that
// cannot be decrypted.
func (r *Redis) Lease(ctx context.Context, identityID, flowID string) (Lease, bool, error) {
	place := r.keys.place("identity", []byte(identityID))
	value, err := r.get(ctx, "take", r.prefix+"kept:"+place)
	if value == nil || err != nil {
		return Lease{}, false, err
	}
	gen, text, err := r.keys.open("kept", place, value, r.opts.Now())
	if errors.Is(err, errExpired) {
		return Lease{}, false, nil
	}
	var handoff Handoff
	if err == nil {
		handoff, err = unpackHandoff(text)
	}
	if err != nil || handoff.IdentityID != identityID {
		return Lease{}, false, fmt.Errorf("state: take: %w", ErrUnreadable)
	}
	if !handoff.isFor(flowID) {
		return Lease{}, false, nil
	}
	t := ticket{place: place, gen: string(gen), lease: hex.EncodeToString(newGen())}
	won := 0
	err = r.do(ctx, "take", func(ctx context.Context) (err error) {
		won, err = r.scripts.lease.Run(ctx, r.client, r.profileNames(place)[:3], t.gen, t.lease, milliseconds(LeaseTime), place).Int()
		return err
	})
	if err != nil || won == 0 {
		return Lease{}, false, err
	}
	return Lease{Handoff: handoff, from: r, ticket: t}, true, nil
}

func (r *Redis) done(ctx context.Context, t ticket) error {
	return r.do(ctx, "done", func(ctx context.Context) error {
		return r.scripts.done.Run(ctx, r.client, r.profileNames(t.place), t.gen, t.place).Err()
	})
}

func (r *Redis) release(ctx context.Context, t ticket) error {
	return r.do(ctx, "release", func(ctx context.Context) error {
		return r.scripts.release.Run(ctx, r.client, r.profileNames(t.place)[:3], t.lease, t.place).Err()
	})
}

// Remember stores the answer to a delivery for ttl. The last one wins.
func (r *Redis) Remember(ctx context.Context, key [32]byte, text []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return errTime
	}
	place := r.keys.place("answer", key[:])
	value := r.keys.seal("answer", place, newGen(), r.opts.Now().Add(ttl), text)
	return r.do(ctx, "remember", func(ctx context.Context) error {
		return r.client.Set(ctx, r.prefix+"answer:"+place, value, max(ttl, time.Millisecond)).Err()
	})
}

// Recall returns the answer that any replica remembered. The error is ErrUnreadable for a
// value that cannot be decrypted.
func (r *Redis) Recall(ctx context.Context, key [32]byte) (text []byte, ok bool, err error) {
	place := r.keys.place("answer", key[:])
	value, err := r.get(ctx, "recall", r.prefix+"answer:"+place)
	if value == nil || err != nil {
		return nil, false, err
	}
	_, text, err = r.keys.open("answer", place, value, r.opts.Now())
	switch {
	case errors.Is(err, errExpired):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("state: recall: %w", err)
	}
	return text, true, nil
}

// Claim is won by the first caller, on all replicas, that claims the key within ttl. After
// an error the winner is not known.
func (r *Redis) Claim(ctx context.Context, key [32]byte, ttl time.Duration) (won bool, err error) {
	if ttl <= 0 {
		return false, errTime
	}
	name := r.claimName(key)
	err = r.do(ctx, "claim", func(ctx context.Context) error {
		n, err := r.scripts.claim.Run(ctx, r.client, []string{name}, milliseconds(ttl)).Int()
		won = err == nil && n == 1
		return err
	})
	return won, err
}

// Unclaim ends a claim before its time.
func (r *Redis) Unclaim(ctx context.Context, key [32]byte) error {
	return r.do(ctx, "unclaim", func(ctx context.Context) error { return r.client.Del(ctx, r.claimName(key)).Err() })
}

func (r *Redis) claimName(key [32]byte) string {
	return r.prefix + "claim:" + r.keys.place("claim", key[:])
}

// Run reports profiles that expired unclaimed to Options.Expired, until ctx ends. Each is
// reported once, by one replica: it is deleted from Redis first, so it is not reported at
// all if that replica is killed in between. After each sweep Run calls Options.Beat.
func (r *Redis) Run(ctx context.Context) {
	every(ctx, r.opts.sweepEvery(), func() {
		for ctx.Err() == nil {
			n, err := r.sweep(ctx)
			if ctx.Err() == nil && (err != nil || n < sweepBatch) {
				r.opts.Beat(err)
			}
			if n < sweepBatch {
				return
			}
		}
	})
}

// sweep deletes some of the due profiles from Redis, reports them, and returns how many
// they were. It fails only if Redis did not answer.
func (r *Redis) sweep(ctx context.Context) (int, error) {
	lost, err := r.due(ctx, sweepBatch)
	if err != nil {
		return 0, err
	}
	for i := 0; i+1 < len(lost); i += 2 {
		_, text, fault := r.keys.open("who", lost[i], []byte(lost[i+1]), r.opts.Now())
		var id, subject []byte
		if fault == nil || errors.Is(fault, errExpired) {
			fault = unpack(text, &id, &subject)
		}
		if fault != nil {
			r.opts.Fault(fmt.Errorf("state: sweep: %w", fault))
			continue
		}
		r.opts.Expired(string(id), string(subject))
	}
	return len(lost) / 2, nil
}

// due deletes up to so many of the due profiles from Redis, and returns place and owner of each.
func (r *Redis) due(ctx context.Context, most int) (lost []string, err error) {
	err = r.do(ctx, "sweep", func(ctx context.Context) (err error) {
		lost, err = r.scripts.sweep.Run(ctx, r.client, []string{r.prefix + "due", r.prefix + "who"},
			most, milliseconds(max(r.opts.TTL, LeaseTime))).StringSlice()
		return err
	})
	return lost, err
}

// Ping checks that Redis answers and accepts ferry's credentials.
func (r *Redis) Ping(ctx context.Context) error {
	return r.do(ctx, "ping", func(ctx context.Context) error { return r.client.Ping(ctx).Err() })
}

// Close closes the connections. End Run by its context first.
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("state: close: %w", err)
	}
	return nil
}

// get reads one value; nil if there is none.
func (r *Redis) get(ctx context.Context, op, name string) (value []byte, err error) {
	err = r.do(ctx, op, func(ctx context.Context) (err error) {
		value, err = r.client.Get(ctx, name).Bytes()
		if errors.Is(err, redis.Nil) {
			value, err = nil, nil
		}
		return err
	})
	return value, err
}

// do makes one call within Options.Timeout. An error reply counts as an answer; a canceled
// caller says nothing about Redis.
func (r *Redis) do(ctx context.Context, op string, call func(context.Context) error) error {
	if !r.breaker.allow(r.opts.Now()) {
		return fmt.Errorf("state: %s: %w", op, ErrPaused)
	}
	traced, span := tracing.StartRedis(ctx, op)
	defer span.End()
	bounded, cancel := context.WithTimeout(traced, r.opts.Timeout)
	defer cancel()
	started := time.Now()
	err := call(bounded)
	tracing.Failed(span, err)
	r.opts.Took(time.Since(started))
	var refusal redis.Error
	if answered := err == nil || errors.As(err, &refusal); answered || ctx.Err() == nil {
		r.breaker.report(r.opts.Now(), answered)
	}
	if err != nil {
		return fmt.Errorf("state: %s: %w", op, err)
	}
	return nil
}

// profileNames are the Redis keys of a profile, in the scripts' order.
func (r *Redis) profileNames(place string) []string {
	return []string{r.prefix + "kept:" + place, r.prefix + "lease:" + place, r.prefix + "due", r.prefix + "who"}
}

func milliseconds(d time.Duration) int64 { return max(d.Milliseconds(), 1) }
