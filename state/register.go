package state

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/redis/go-redis/v9"
)

// ErrEmptied is returned by SetComplete if Redis lost the register since Begin.
var ErrEmptied = errors.New("redis lost the users register meanwhile")

// Register remembers Auth0 users in a Redis, for all replicas with the same URL and key. A
// user is a keyed hash of its id, of which Redis keeps about 100 bytes, and never expires.
//
// One Redis hash has all of it, the mark of completeness included: a Redis that loses its
// data has no complete register, rather than one that lacks users. It has three kinds of
// fields:
//
//	life      a random text, which tells one register from the next after a loss
//	complete  there after a whole walk of Kratos
//	PLACE     a user
//
// An error says nothing about a user.
type Register struct{ redis *Redis }

// Register returns the users register in this Redis.
func (r *Redis) Register() *Register { return &Register{r} }

func (r *Register) name() string { return r.redis.prefix + "users" }

// Has reports whether one of the users is in the register.
func (r *Register) Has(ctx context.Context, userIDs []string) (has bool, err error) {
	err = r.redis.do(ctx, "users register", func(ctx context.Context) error {
		found := make([]*redis.StringCmd, len(userIDs))
		_, err := r.redis.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, userID := range userIDs {
				found[i] = pipe.HGet(ctx, r.name(), r.place(userID))
			}
			return nil
		})
		for _, one := range found {
			switch fault := one.Err(); {
			case fault == nil:
				has = true
			case !errors.Is(fault, redis.Nil):
				return fault
			}
		}
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return err
	})
	return has && err == nil, err
}

// Add adds users.
func (r *Register) Add(ctx context.Context, userIDs []string) error {
	if len(userIDs) == 0 {
		return nil
	}
	fields := make([]string, 0, 2*len(userIDs))
	for _, userID := range userIDs {
		fields = append(fields, r.place(userID), "")
	}
	return r.redis.do(ctx, "users register", func(ctx context.Context) error {
		return r.redis.client.HSet(ctx, r.name(), fields).Err()
	})
}

// Complete reports whether a whole walk of Kratos is in the register.
func (r *Register) Complete(ctx context.Context) (complete bool, err error) {
	err = r.redis.do(ctx, "users register", func(ctx context.Context) error {
		err := r.redis.client.HGet(ctx, r.name(), "complete").Err()
		complete = err == nil
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	return complete, err
}

// Begin is called before a walk of Kratos. Its result is for SetComplete.
func (r *Register) Begin(ctx context.Context) (life string, err error) {
	err = r.redis.do(ctx, "users register", func(ctx context.Context) (err error) {
		life, err = r.redis.scripts.begin.Run(ctx, r.redis.client, []string{r.name()}, hex.EncodeToString(newGen())).Text()
		return err
	})
	return life, err
}

// SetComplete is called after every user of a walk was added. The error is ErrEmptied if
// Redis lost the register after Begin: some users of the walk are missing.
func (r *Register) SetComplete(ctx context.Context, life string) error {
	same := 0
	err := r.redis.do(ctx, "users register", func(ctx context.Context) (err error) {
		same, err = r.redis.scripts.complete.Run(ctx, r.redis.client, []string{r.name()}, life).Int()
		return err
	})
	if err == nil && same == 0 {
		err = ErrEmptied
	}
	return err
}

// place stands for a user: a keyed hash of the id.
func (r *Register) place(userID string) string { return r.redis.keys.place("user", []byte(userID)) }
