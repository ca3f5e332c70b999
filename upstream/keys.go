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
	// A token with an unknown key makes ferry look for new ones, this often.
	keyRefetchEvery = 10 * time.Second
	keyRefetchBurst = 6
)

var (
	errKeysUnavailable = errors.New("keys unavailable")
	// errKeyUnknown: the keys were fetched, and this one was not among them.
	errKeyUnknown = errors.New("key unknown")
)

// keySet is the tenant's public keys (RFC 7517), kept and served when they cannot
// be fetched anew.
type keySet struct {
	url    string
	get    func(*http.Request) (reply, error)
	limit  *rate.Limiter
	flight singleflight.Group

	mu     sync.RWMutex
	keys   []jose.JSONWebKey
	failed bool // the last fetch; false before the first
}

// run fetches the keys now and every hour until ctx ends, sooner while it fails.
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
// they were fetched just now. None of a fresh set is no error: nothing signed it.
func (k *keySet) find(ctx context.Context, id string) (keys []jose.JSONWebKey, fresh bool, err error) {
	if keys = k.named(id); len(keys) > 0 {
		return keys, false, nil
	}
	keys, err = k.refetch(ctx, id)
	return keys, true, err
}

// refetch is find with new keys. Many at once share one request, and no more are
// made than the limit allows. Beyond it the last fetch decides: where that succeeded,
// the key is unknown, which is not the same as a key that cannot be fetched.
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

// exhausted is what an unknown key means while the limit allows no fetch.
func (k *keySet) exhausted() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.failed {
		return errKeysUnavailable
	}
	return errKeyUnknown
}

// named lists the keys with this id; all of them where the token names none.
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

// fetch replaces the keys, or leaves them as they are with an error.
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

// load asks Auth0 for the keys. None is a failure.
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

// parseKeys takes the RSA signing keys of a set. One key that cannot be read does
// not spoil the others.
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
		if _, ok := key.Key.(*rsa.PublicKey); ok {
			keys = append(keys, key)
		}
	}
	return keys
}
