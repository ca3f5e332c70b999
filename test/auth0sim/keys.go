package auth0sim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

const keyBits = 2048

// processKeys is shared by every simulator of the process: generating an RSA key
// takes about a second under the race detector, and a test process starts dozens of
// simulators.
//
//nolint:gochecknoglobals // one lazy cache; its keys never change once made
var processKeys = &keyPool{}

// keyPool is a growing list of RSA keys, each generated when first asked for.
// It is safe for concurrent use.
type keyPool struct {
	mu   sync.Mutex
	keys []*rsa.PrivateKey
	// foreign is for forging: it is never published.
	foreign *rsa.PrivateKey
}

// key returns the i-th key, counted from 0.
func (p *keyPool) key(i int) (*rsa.PrivateKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.keys) <= i {
		key, err := generateKey()
		if err != nil {
			return nil, err
		}
		p.keys = append(p.keys, key)
	}
	return p.keys[i], nil
}

// foreignKey returns a key that is not in the pool.
func (p *keyPool) foreignKey() (*rsa.PrivateKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.foreign == nil {
		key, err := generateKey()
		if err != nil {
			return nil, err
		}
		p.foreign = key
	}
	return p.foreign, nil
}

func generateKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

// signingKey is a key with the id it is published under.
type signingKey struct {
	id  string
	key *rsa.PrivateKey
}

// keyRing is which keys of a pool are in use: one signs, and those published
// are what the JWKS lists.
type keyRing struct {
	pool *keyPool

	mu        sync.Mutex
	current   int
	published []int
}

func newKeyRing(pool *keyPool) *keyRing {
	return &keyRing{pool: pool, published: []int{0}}
}

// signing returns the key that signs now.
func (r *keyRing) signing() (signingKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at(r.current)
}

// listed returns the published keys, the newest first.
func (r *keyRing) listed() ([]signingKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]signingKey, 0, len(r.published))
	for _, i := range slices.Backward(r.published) {
		key, err := r.at(i)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// rotate signs with the next key of the pool, and publishes the old ones on
// only if keepOld says so. It returns the new key's id.
func (r *keyRing) rotate(keepOld bool) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := r.at(r.current + 1)
	if err != nil {
		return "", err
	}
	r.current++
	if !keepOld {
		r.published = nil
	}
	r.published = append(r.published, r.current)
	return next.id, nil
}

// reset goes back to the pool's first key alone.
func (r *keyRing) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current, r.published = 0, []int{0}
}

// at names the i-th key of the pool: its id is its RFC 7638 thumbprint.
func (r *keyRing) at(i int) (signingKey, error) {
	key, err := r.pool.key(i)
	if err != nil {
		return signingKey{}, err
	}
	jwk := jose.JSONWebKey{Key: &key.PublicKey}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return signingKey{}, fmt.Errorf("name key: %w", err)
	}
	return signingKey{id: base64.RawURLEncoding.EncodeToString(sum), key: key}, nil
}
