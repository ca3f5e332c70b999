package upstream

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

// TestKeysAfterABurst: after a burst of unknown keys, the tenant's new key is found as
// soon as a fetch is allowed again. Until then it is unknown. The keys are unavailable
// only while Auth0 does not return them.
func TestKeysAfterABurst(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, kid, down := t.Context(), "old", false
		k := &keySet{limit: rate.NewLimiter(rate.Every(keyRefetchEvery), keyRefetchBurst), get: func(*http.Request) (reply, error) {
			if down {
				return reply{status: http.StatusServiceUnavailable}, nil
			}
			body, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: kid, Use: "sig"}}})
			return reply{status: http.StatusOK, body: body}, err
		}}
		want := func(id string, keys int, want error) {
			t.Helper()
			if found, _, err := k.find(ctx, id); len(found) != keys || !errors.Is(err, want) {
				t.Errorf("%s: %d keys, %v; want %d, %v", id, len(found), err, keys, want)
			}
		}
		want("old", 1, nil)
		for range keyRefetchBurst - 1 {
			want("unknown", 0, nil)
		}
		kid = "new"
		want("new", 0, errKeyUnknown)
		want("old", 1, nil)
		<-time.After(keyRefetchEvery) // time of the synctest bubble
		want("new", 1, nil)
		want("unknown", 0, errKeyUnknown)

		down = true
		<-time.After(keyRefetchEvery) // time of the synctest bubble
		want("unknown", 0, errKeysUnavailable)
		want("unknown", 0, errKeysUnavailable) // not fetched again
		want("new", 1, nil)
		down = false
		if err := k.fetch(context.WithoutCancel(ctx)); err != nil {
			t.Fatal(err)
		}
		want("unknown", 0, errKeyUnknown)
	})
}
