package state

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Check runs every operation that ferry needs, on a profile of its own that it deletes
// again. It finds a Redis that cannot be reached, and a user without a permission. The
// refusal is Redis' own error code, such as NOPERM or WRONGPASS, and empty if Redis did
// not answer.
func (r *Redis) Check(ctx context.Context) (refusal string, err error) {
	err = r.check(ctx)
	var answer redis.Error
	if errors.As(err, &answer) {
		refusal, _, _ = strings.Cut(answer.Error(), " ")
	}
	return refusal, err
}

func (r *Redis) check(ctx context.Context) error {
	if err := r.Ping(ctx); err != nil {
		return err
	}
	id := "ferry-doctor-" + hex.EncodeToString(newGen())
	if err := r.Put(ctx, Handoff{IdentityID: id, MatchedAt: r.opts.Now()}); err != nil {
		return err
	}
	lease, err := r.leaseChecked(ctx, id)
	if err != nil {
		return err
	}
	if err := lease.Release(ctx); err != nil {
		return err
	}
	if lease, err = r.leaseChecked(ctx, id); err != nil {
		return err
	}
	if err := lease.Done(ctx); err != nil {
		return err
	}
	var key [32]byte
	copy(key[:], id)
	if _, err := r.Claim(ctx, key, time.Second); err != nil {
		return err
	}
	_, err = r.due(ctx, 0)
	return err
}

// leaseChecked leases a profile that must be there.
func (r *Redis) leaseChecked(ctx context.Context, id string) (Lease, error) {
	lease, ok, err := r.Lease(ctx, id, "")
	if err == nil && !ok {
		err = errors.New("state: take: the profile just stored is missing")
	}
	return lease, err
}
