package upstream

import (
	"context"
	"crypto/rsa"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"ferry/strictjson"
)

const (
	keyRefreshEvery = time.Hour
	keyRetryFirst   = time.Second
	keyRetryMost    = time.Minute
	keyFetchTimeout = 5 * time.Second
	// A token with an unknown key triggers a fetch of the keys, at most this often.
	keyRefetchEvery = 10 * time.Second
	keyRefetchBurst = 6
	// minKeyBits is the size of RSA keys that RFC 7518, 3.3, requires; Auth0's have it.
	minKeyBits = 2048
)

var (
	errKeysUnavailable = errors.New("keys unavailable")
	// errKeyUnknown is the error of a key that is not among the fetched ones.
	errKeyUnknown = errors.New("key unknown")
)

// keySet caches the tenant's public keys (RFC 7517). If they cannot be fetched again, it
// keeps serving the old ones.
type keySet struct {
	url    string
	get    func(*http.Request) (reply, error)
	limit  *rate.Limiter
	flight singleflight.Group

	mu     sync.RWMutex
	keys   []jose.JSONWebKey
	failed bool // whether the last fetch failed
}

// run fetches the keys now and every hour until ctx ends, and retries a failed fetch sooner.
func (k *keySet) run(ctx context.Context) {
	retry := keyRetryFirst
	for {
		wait := keyRefreshEvery
		if k.fetch(ctx) != nil {
			wait, retry = retry, min(2*retry, keyRetryMost)
		} else {
			retry = keyRetryFirst
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// find returns the keys that may have signed a token with this key id, and whether
// they were just fetched. An empty result from a fresh set is not an error.
func (k *keySet) find(ctx context.Context, id string) (keys []jose.JSONWebKey, fresh bool, err error) {
	if keys = k.named(id); len(keys) > 0 {
		return keys, false, nil
	}
	keys, err = k.refetch(ctx, id)
	return keys, true, err
}

// refetch is find with new keys. Concurrent calls share one request, and requests are rate
// limited. Beyond the limit the last fetch decides: if it succeeded, the key is unknown,
// otherwise it is unavailable.
func (k *keySet) refetch(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	done := k.flight.DoChan("keys", func() (any, error) {
		if k.limit.Allow() {
			return nil, k.fetch(context.WithoutCancel(ctx))
		}
		return nil, k.exhausted()
	})
	select {
	case <-ctx.Done():
		return nil, errKeysUnavailable
	case result := <-done:
		if result.Err != nil {
			return nil, result.Err
		}
		return k.named(id), nil
	}
}

// exhausted is the error of an unknown key while the rate limit allows no fetch.
func (k *keySet) exhausted() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.failed {
		return errKeysUnavailable
	}
	return errKeyUnknown
}

// named returns the keys with this id, or all keys if the token names none.
func (k *keySet) named(id string) []jose.JSONWebKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var keys []jose.JSONWebKey
	for _, key := range k.keys {
		if id == "" || key.KeyID == id {
			keys = append(keys, key)
		}
	}
	return keys
}

// fetch replaces the keys. On an error they are unchanged.
func (k *keySet) fetch(ctx context.Context) error {
	keys := k.load(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed = len(keys) == 0; k.failed {
		return errKeysUnavailable
	}
	k.keys = keys
	return nil
}

// load requests the keys from Auth0. An empty result is a failure.
func (k *keySet) load(ctx context.Context) []jose.JSONWebKey {
	ctx, cancel := context.WithTimeout(ctx, keyFetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil
	}
	answer, err := k.get(req)
	if err != nil || answer.status != http.StatusOK {
		return nil
	}
	return parseKeys(answer.body)
}

// parseKeys returns the RSA signing keys of a set. It ignores keys that it cannot read, and
// those that are too short.
func parseKeys(body []byte) []jose.JSONWebKey {
	var set struct {
		Keys []rawJSON `json:"keys"`
	}
	if strictjson.Unmarshal(body, &set) != nil {
		return nil
	}
	var keys []jose.JSONWebKey
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) != nil || (key.Use != "" && key.Use != "sig") {
			continue
		}
		if public, ok := key.Key.(*rsa.PublicKey); ok && public.N.BitLen() >= minKeyBits {
			keys = append(keys, key)
		}
	}
	return keys
}
