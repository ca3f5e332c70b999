package attempt

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"

	"ferry/upstream"
)

// KeptFor is how long Keep keeps a result. Kratos calls the migration hook within
// milliseconds of the login that the gateway passes on.
const KeptFor = 15 * time.Second

// Keep keeps the profile with which Auth0 confirmed the password of a login, for the call of
// the migration hook that follows: Verify answers that call with it, once, and does not ask
// Auth0 again. The login must name the identity. The address and the delivery do not count:
// Kratos 1.3.1 tells the hook neither.
func (a *Attempts) Keep(ctx context.Context, l Login, profile upstream.Profile) error {
	text, err := json.Marshal(verification{Arrived: l.Arrived, Profile: &profile})
	if err != nil {
		return err
	}
	key := a.deliveries.keptKey(&l)
	if err := a.deliveries.Store.Remember(ctx, key, text, KeptFor); err != nil {
		return err
	}
	return a.deliveries.Store.Unclaim(ctx, key)
}

// kept returns the kept profile of the login, to the first who asks.
func (s *deliveries) kept(ctx context.Context, l *Login) (upstream.Profile, bool) {
	if l.IdentityID == "" {
		return upstream.Profile{}, false
	}
	key := s.keptKey(l)
	text, found, err := s.Store.Recall(ctx, key)
	if err != nil || !found {
		return upstream.Profile{}, false // ask Auth0
	}
	var v verification
	if json.Unmarshal(text, &v) != nil || v.Profile == nil || v.Profile.Subject == "" {
		return upstream.Profile{}, false
	}
	if won, err := s.Store.Claim(ctx, key, KeptFor); err != nil || !won {
		return upstream.Profile{}, false
	}
	return *v.Profile, true
}

func (s *deliveries) keptKey(l *Login) attemptKey {
	hashKey := s.Store.HashKey()
	return keyedHash(hashKey[:], "kept", l.IdentityID, l.Credentials.Realm, l.Credentials.Username, l.Credentials.Password.Reveal())
}
