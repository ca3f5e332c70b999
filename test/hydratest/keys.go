package hydratest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// signingKey is one for all Hydras of the process: it takes a moment to make.
var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { //nolint:gochecknoglobals // made once for all tests of the process
	return rsa.GenerateKey(rand.Reader, 2048)
})

// putKeys gives Hydra its two signing keys, unless its database has them, and makes sure that the
// public API shows them. The keys of 4096 bits that Hydra makes otherwise can take so long that
// the first request for a token fails.
func (h *Hydra) putKeys(ctx context.Context) error {
	for _, set := range []string{"hydra.openid.id-token", "hydra.jwt.access-token"} {
		status, body, err := h.send(ctx, http.MethodGet, h.adminURL+"/admin/keys/"+set, nil)
		if err != nil {
			return err
		}
		if status == http.StatusNotFound {
			if status, body, err = h.putKey(ctx, set); err != nil {
				return err
			}
		}
		var kept jose.JSONWebKeySet
		if err := json.Unmarshal(body, &kept); err != nil || len(kept.Keys) == 0 {
			return fmt.Errorf("keys of hydra, %s: status %d: %.200s", set, status, body)
		}
		if err := h.shows(ctx, kept.Keys[0].KeyID); err != nil {
			return err
		}
	}
	return nil
}

func (h *Hydra) putKey(ctx context.Context, set string) (status int, body []byte, err error) {
	key, err := signingKey()
	if err != nil {
		return 0, nil, err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: hex.EncodeToString(id[:]), Algorithm: "RS256", Use: "sig"}}}
	return h.send(ctx, http.MethodPut, h.adminURL+"/admin/keys/"+set, keys)
}

// shows checks that the public API shows a key. Otherwise it is that of another Hydra.
func (h *Hydra) shows(ctx context.Context, id string) error {
	_, body, err := h.send(ctx, http.MethodGet, h.publicURL+"/.well-known/jwks.json", nil)
	if err != nil {
		return err
	}
	var shown jose.JSONWebKeySet
	if err := json.Unmarshal(body, &shown); err != nil {
		return fmt.Errorf("keys of hydra: %w: %.200s", err, body)
	}
	if len(shown.Key(id)) == 0 {
		return errPortTaken
	}
	return nil
}
