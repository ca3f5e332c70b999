package front

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"ferry/strictjson"
	"ferry/transport"
)

const (
	keysPath = "/.well-known/jwks.json"
	// keysFresh is how long Hydra's keys are not read again. A new key is thus known at once.
	keysFresh = 5 * time.Second
	// keysTime bounds one reading.
	keysTime = 5 * time.Second
	// Auth0's keys are read so often, and again after a failure.
	keysEvery = 10 * time.Minute
	keysRetry = 30 * time.Second
	// maxKeysBytes bounds a key set.
	maxKeysBytes = 1 << 20
)

// publicKey is a key of a set, with its text as it came.
type publicKey struct {
	id   string
	text json.RawMessage
}

// keySet is the key set of a server (RFC 7517). The last one that could be read stays. It is safe
// for concurrent use.
type keySet struct {
	url    string
	http   http.RoundTripper
	now    func() time.Time
	flight singleflight.Group

	mu     sync.Mutex
	keys   []publicKey
	readAt time.Time
}

func newKeySet(server *url.URL, via http.RoundTripper, now func() time.Time) *keySet {
	return &keySet{url: server.JoinPath(keysPath).String(), http: via, now: now}
}

// last returns the keys that were read last; none: there were none.
func (k *keySet) last() []publicKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys
}

// current reads the keys, unless that was moments ago. If they cannot be read, it returns the
// last ones.
func (k *keySet) current(ctx context.Context) []publicKey {
	k.mu.Lock()
	fresh := len(k.keys) > 0 && k.now().Sub(k.readAt) < keysFresh
	k.mu.Unlock()
	if !fresh {
		done := k.flight.DoChan("keys", func() (any, error) { return nil, k.read(context.WithoutCancel(ctx)) })
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	return k.last()
}

// has reports whether the set has a key with the id.
func has(keys []publicKey, id string) bool {
	return id != "" && slices.ContainsFunc(keys, func(k publicKey) bool { return k.id == id })
}

var errKeys = errors.New("the answer is not a key set")

// read reads the keys. On an error they are unchanged.
func (k *keySet) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := k.http.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := transport.ReadAll(io.LimitReader(resp.Body, maxKeysBytes+1), resp.ContentLength)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || len(body) > maxKeysBytes:
		return errKeys
	}
	keys, err := parseKeys(body)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.readAt = keys, k.now()
	return nil
}

// parseKeys returns the public keys of a set that has at least one. Anything that is not a public
// key is left out: ferry must not publish a secret because another server did.
func parseKeys(body []byte) ([]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if strictjson.Unmarshal(body, &set) != nil {
		return nil, errKeys
	}
	var keys []publicKey
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) == nil && key.IsPublic() && !hasSecret(text) {
			keys = append(keys, publicKey{key.KeyID, text})
		}
	}
	if len(keys) == 0 {
		return nil, errKeys
	}
	return keys, nil
}

// hasSecret reports whether a key has a member of a private or a symmetric key (RFC 7518, 6), in
// whatever case, also if its type does not use it.
func hasSecret(key json.RawMessage) bool {
	value, err := strictjson.Value(key)
	members, ok := value.(map[string]any)
	if err != nil || !ok {
		return true // not known
	}
	for name := range members {
		switch strings.ToLower(name) {
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			return true
		}
	}
	return false
}

// Run keeps Auth0's keys until ctx ends. Requests never wait for them.
func (f *Front) Run(ctx context.Context) {
	if f.auth0Keys == nil {
		return
	}
	for {
		wait := keysEvery
		if err := f.auth0Keys.read(ctx); err != nil && ctx.Err() == nil {
			wait = keysRetry
			f.opts.Log.Warn("token front: Auth0's keys not read: the last ones stay", zap.Error(err))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// keys answers with the keys of Hydra, and those of Auth0: APIs still get access tokens that Auth0
// signed.
func (f *Front) keys(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		f.pass(w, r, &exchange{at: routeKeys})
		return
	}
	all := f.hydraKeys.current(r.Context())
	if len(all) == 0 {
		f.metrics.answered(routeKeys, resultHydraUnreachable)
		unavailable("The keys could not be read.").write(w)
		return
	}
	texts := make([]json.RawMessage, 0, len(all))
	for _, key := range all {
		texts = append(texts, key.text)
	}
	if f.auth0Keys != nil {
		for _, key := range f.auth0Keys.last() {
			if !has(all, key.id) {
				texts = append(texts, key.text)
			}
		}
	}
	body, err := json.Marshal(map[string][]json.RawMessage{"keys": texts})
	if err != nil {
		f.metrics.answered(routeKeys, resultHydraUnreachable)
		unavailable("The keys could not be read.").write(w)
		return
	}
	f.metrics.answered(routeKeys, resultKeys)
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*") // they are public
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

// joseHeader is the header of a JWT.
type joseHeader struct {
	KeyID string `json:"kid"`
}

// isJWT reports whether a token has the form of a signed JWT, and returns the id of its key.
// Nothing is verified: it only says which server can decide about the token.
func isJWT(token string) (keyID string, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[0])
	var header joseHeader
	if err != nil || strictjson.Unmarshal(text, &header) != nil {
		return "", false
	}
	return header.KeyID, true
}

// claimsOf returns the claims of a JWT that say whose it is, without verifying them.
func claimsOf(token string) (said jwtClaims) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return said
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || strictjson.Unmarshal(payload, &said) != nil {
		return jwtClaims{}
	}
	return said
}

// jwtClaims are the claims that name a client.
type jwtClaims struct {
	Subject         string `json:"sub"`
	AuthorizedParty string `json:"azp"`
	Audience        any    `json:"aud"`
}

// audience returns the audience, if it is one.
func (c jwtClaims) audience() string {
	switch audience := c.Audience.(type) {
	case string:
		return audience
	case []any:
		if len(audience) == 1 {
			one, _ := audience[0].(string)
			return one
		}
	}
	return ""
}
