package front_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/front"
	"ferry/test/proxytest"
)

// hydraKeys answers with Hydra's keys while it works, and with its name to all else.
func hydraKeys(broken *atomic.Bool) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		switch {
		case broken.Load():
			w.WriteHeader(http.StatusBadGateway)
		case req.URL.Path == "/.well-known/jwks.json":
			_, _ = io.WriteString(w, `{"keys":[`+keyHydra+`]}`)
		default:
			_, _ = io.WriteString(w, "hydra")
		}
	}
}

// runs runs the front's background work until the test ends, and waits for Auth0's keys.
func (r *rig) runs(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	waited, done := context.WithTimeout(ctx, 20*time.Second)
	defer done()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.made.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for len(r.auth0.Requests()) == 0 || len(r.keyTexts(t)) < 2 {
		select {
		case <-ticker.C:
		case <-waited.Done():
			t.Fatal("Auth0's keys were not read")
		}
	}
}

// keyTexts returns the keys that the front publishes.
func (r *rig) keyTexts(t *testing.T) []string {
	t.Helper()
	var said struct {
		Keys []json.RawMessage `json:"keys"`
	}
	got := r.send(t, http.MethodGet, "/.well-known/jwks.json", "")
	if got.Status == http.StatusOK && json.Unmarshal([]byte(got.Body), &said) != nil {
		t.Fatalf("%+v", got)
	}
	var texts []string
	for _, key := range said.Keys {
		texts = append(texts, string(key))
	}
	return texts
}

// TestKeys: the keys are Hydra's and Auth0's, as they came. Of two with one id it is Hydra's.
// What is no public key is not published.
func TestKeys(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	r := newRig(t, hydraKeys(&broken), nil)
	r.runs(t)
	if got := r.keyTexts(t); len(got) != 2 || got[0] != keyHydra || got[1] != keyAuth0 {
		t.Errorf("%q", got)
	}
	broken.Store(true)
	r.later(time.Hour)
	if got := r.keyTexts(t); len(got) != 2 {
		t.Errorf("while Hydra is down: %q", got)
	}
}

// TestKeysAlone: without Auth0's keys there are Hydra's, and without any it is an outage.
func TestKeysAlone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*front.Options){
		"before Auth0 has answered": nil,
		"after the end":             func(o *front.Options) { o.Closed = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			r := newRig(t, hydraKeys(&broken), change)
			if got := r.keyTexts(t); len(got) != 1 || got[0] != keyHydra || len(r.auth0.Requests()) > 0 {
				t.Errorf("%q", got)
			}
		})
	}
	var broken atomic.Bool
	broken.Store(true)
	if got := newRig(t, hydraKeys(&broken), nil).send(t, http.MethodGet, "/.well-known/jwks.json", ""); got.Status != http.StatusServiceUnavailable {
		t.Errorf("%+v", got)
	}
}

// jwtOf is a JWT with the header and the claims.
func jwtOf(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + ".c2ln"
}

// TestUserinfoTooLong: a part of an answer is no answer.
func TestUserinfoTooLong(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{1 << 20: http.StatusOK, 1<<20 + 1: http.StatusServiceUnavailable} {
		r := newRig(t, nil, func(o *front.Options) {
			o.Auth0 = new(proxytest.Recorder).Run(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, strings.Repeat("a", size))
			})
		})
		if got := r.send(t, http.MethodGet, "/userinfo", "", "Authorization", "Bearer opaque"); got.Status != want || want == http.StatusOK && len(got.Body) != size {
			t.Errorf("%d bytes: %d, %d bytes", size, got.Status, len(got.Body))
		}
	}
}

// TestUserinfo: an access token is used at the server that made it.
func TestUserinfo(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	r := newRig(t, hydraKeys(&broken), func(o *front.Options) { o.PerMinute = 10 })
	r.runs(t)
	auth0JWT := jwtOf(`{"kid":"auth0-1"}`, `{"azp":"spa"}`)
	for name, c := range map[string]struct {
		token, origin, want string // want: the body
		allowed             bool
	}{
		"Hydra's":                     {"ory_at_spa", appOrigin, "hydra", true},
		"Hydra's, another page":       {"ory_at_spa", "https://evil.example", "hydra", false},
		"Hydra's, expired":            {"ory_at_", appOrigin, "hydra", false},
		"a JWT of Hydra's":            {jwtOf(`{"kid":"hydra-1"}`, `{}`), "", "hydra", false},
		"a JWT with another key":      {jwtOf(`{"kid":"auth0-2"}`, `{}`), "", `{"sub":"auth0|kim"}`, false},
		"a JWT without a key":         {jwtOf(`{}`, `{}`), "", `{"sub":"auth0|kim"}`, false},
		"none":                        {"", "", "hydra", false},
		"a JWT of Auth0's":            {auth0JWT, appOrigin, `{"sub":"auth0|kim"}`, true},
		"a JWT of Auth0's, elsewhere": {auth0JWT, "https://evil.example", `{"sub":"auth0|kim"}`, false},
		"opaque":                      {"a-_" + canary, "", `{"sub":"auth0|kim"}`, false},
		"opaque, encrypted":           {"eyJ.." + canary + ".a.b", "", `{"sub":"auth0|kim"}`, false},
	} {
		header := []string{"Authorization", "Bearer " + c.token, "Cookie", "a=b"}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		got := r.send(t, http.MethodGet, "/userinfo", "", header...)
		if got.Status != http.StatusOK || got.Body != c.want || (got.Header.Get("Access-Control-Allow-Origin") == c.origin && c.origin != "") != c.allowed || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, one := range r.auth0.Requests() {
		if one.Header.Get("Cookie") != "" || one.Header.Get("X-Forwarded-For") != "" {
			t.Errorf("Auth0 received %v", one.Header)
		}
	}
	for status, want := range map[int]int{401: 401, 403: 403, 500: 503, 302: 503} {
		r.setAuth0(status)
		if got := r.send(t, http.MethodGet, "/userinfo", "", "Authorization", "Bearer opaque"); got.Status != want {
			t.Errorf("Auth0 says %d: %d", status, got.Status)
		}
	}
	if got := r.send(t, http.MethodGet, "/userinfo", "", "Authorization", "Bearer opaque"); got.Status != http.StatusTooManyRequests {
		t.Errorf("%+v", got)
	}
	r.checkSilent(t)
}

// TestUserinfoAfterStart: before any key has been read, a JWT is used at the server that made it,
// and a server that is down is an outage: an application must not take it for an invalid token.
func TestUserinfoAfterStart(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	ofAuth0, ofHydra := jwtOf(`{"kid":"auth0-1"}`, `{}`), jwtOf(`{"kid":"hydra-1"}`, `{}`)
	for name, c := range map[string]struct {
		token string
		auth0 int // its status
		want  int
		body  string
	}{
		"Hydra's":                {ofHydra, http.StatusInternalServerError, http.StatusOK, "hydra"},
		"Auth0's":                {ofAuth0, 0, http.StatusOK, `{"sub":"auth0|kim"}`},
		"Auth0's, Auth0 is down": {ofAuth0, http.StatusInternalServerError, http.StatusServiceUnavailable, ""},
	} {
		r := newRig(t, hydraKeys(&broken), nil)
		r.setAuth0(c.auth0)
		got := r.send(t, http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+c.token)
		if got.Status != c.want || c.body != "" && got.Body != c.body {
			t.Errorf("%s: %+v", name, got)
		}
	}
	broken.Store(true)
	r := newRig(t, hydraKeys(&broken), nil)
	if got := r.send(t, http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+ofHydra); got.Status != http.StatusBadGateway || len(r.auth0.Requests()) > 0 {
		t.Errorf("Hydra's, Hydra is down: %+v", got)
	}
}
