package auth0sim

import (
	"crypto/rand"
	"sync"
	"time"
)

// tokenStore holds issued access tokens and used assertions.
type tokenStore struct {
	assertions assertionLog

	mu     sync.Mutex
	access map[string]accessGrant
}

// accessGrant is the grant of an opaque access token.
type accessGrant struct {
	userID   string
	scopes   []string
	expires  time.Time
	userinfo bool // valid for /userinfo
	// management: valid for the Management API, without a user.
	management bool
}

func newTokenStore() *tokenStore {
	t := &tokenStore{}
	t.reset()
	return t
}

func (t *tokenStore) reset() {
	t.mu.Lock()
	t.access = map[string]accessGrant{}
	t.mu.Unlock()
	t.assertions.mu.Lock()
	t.assertions.used = map[string]time.Time{}
	t.assertions.mu.Unlock()
}

// issue makes an access token for the grant.
func (t *tokenStore) issue(grant accessGrant) string {
	token := rand.Text() + rand.Text()
	t.put(token, grant)
	return token
}

// put stores an access token for the grant.
func (t *tokenStore) put(token string, grant accessGrant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.access[token] = grant
}

// lookup finds the grant of a token that has not expired.
func (t *tokenStore) lookup(token string, now time.Time) (accessGrant, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	grant, ok := t.access[token]
	if !ok || !now.Before(grant.expires) {
		return accessGrant{}, false
	}
	return grant, true
}

// useAssertion notes a client's assertion; false means it was used already.
func (t *tokenStore) useAssertion(clientID, id string, expiry, now time.Time) bool {
	return t.assertions.use(clientID+" "+id, expiry, now)
}
