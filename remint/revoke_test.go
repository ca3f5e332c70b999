package remint_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/hydra"
	"ferry/remint"
	"ferry/secret"
)

// revokes revokes a token as the public client.
func (p *process) revokes(token string) remint.Answer {
	return p.Revoke(p.w.t.Context(), remint.Request{Credentials: hydra.Credentials{ClientID: clientID, Method: hydra.None}, RefreshToken: secret.New(token)})
}

// TestRevoke: a token is revoked at Auth0, or the successor that is kept for it, and at Hydra the
// chain that is kept; no one gets tokens for it any more. It needs the client's credentials.
func TestRevoke(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before  func(*world, *process)
		want    string
		atHydra int
		left    int // values in the store
	}{
		"never redeemed": {func(*world, *process) {}, "old", 0, 0},
		"redeemed": {func(w *world, p *process) {
			w.hydra.set(func(h *fakeHydra) { h.fault = onPath("accept", 503) })
			p.refresh("old")
			w.hydra.set(func(h *fakeHydra) { h.fault = nil })
		}, "old-1", 0, 0},
		"minted": {func(_ *world, p *process) { p.refresh("old") }, "old-1", 1, 0},
		"minted again": {func(w *world, p *process) {
			p.refresh("old")
			w.later(2 * remint.Grace)
			p.refresh("old")
		}, "old-1", 1, 1}, // the way from the first chain, which only expires
		"minted, and then an outage of Auth0": {func(w *world, p *process) {
			p.refresh("old")
			w.later(time.Hour)
			w.auth0.set(func(a *fakeAuth0) { a.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) } })
			p.refresh("old")
			w.auth0.set(func(a *fakeAuth0) { a.answer = nil })
		}, "old-1", 1, 0},
		"minted, and then an outage of Hydra": {func(w *world, p *process) {
			p.refresh("old")
			w.later(time.Hour)
			w.hydra.set(func(h *fakeHydra) { h.fault = onPath("accept", 503) })
			p.refresh("old")
			w.hydra.set(func(h *fakeHydra) { h.fault = nil })
		}, "old-1-2", 1, 0},
		"used": {func(w *world, p *process) { w.use(p, p.refresh("old")) }, "old", 1, 0},
		"used, and forgotten": {func(w *world, p *process) {
			w.use(p, p.refresh("old"))
			w.later(remint.Grace)
		}, "old", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.auth0.set(func(a *fakeAuth0) { a.rotates = true })
			w.options = func(o *remint.Options) { o.Clients = []string{clientID} }
			p := w.start(0, false)
			c.before(w, p)
			as := func(credentials hydra.Credentials) remint.Answer {
				return p.Revoke(t.Context(), remint.Request{Credentials: credentials, RefreshToken: secret.New("old")})
			}
			if a := as(hydra.Credentials{ClientID: "web", Secret: secret.New("wrong"), Method: hydra.SecretBasic}); a.Status != 401 || len(w.auth0.revocations)+len(w.hydra.revocations) > 0 {
				t.Errorf("%s", errorOf(a))
			}
			if a := p.revokes("old"); a.Status != 200 || !slices.Equal(w.auth0.revocations, []string{c.want}) || len(w.hydra.revocations) != c.atHydra || w.store.left() != c.left {
				t.Errorf("%s, at Auth0 %v, at Hydra %v, %d values", errorOf(a), w.auth0.revocations, w.hydra.revocations, w.store.left())
			}
			if got := errorOf(p.refresh("old")); got != "403 invalid_grant" {
				t.Errorf("%s", got)
			}
			// The tokens of a client that are not re-minted are revoked all the same.
			if a := as(hydra.Credentials{ClientID: "web", Secret: secret.New("s3cret"), Method: hydra.SecretBasic}); a.Status != 200 {
				t.Errorf("%s", errorOf(a))
			}
			w.store.fault = errors.New("down")
			if a := p.revokes("old"); a.Status != 503 {
				t.Errorf("%s", errorOf(a))
			}
		})
	}
}

// TestRevokeDuringOutage: if Hydra or Auth0 does not answer, the other one revokes all the same, the
// application is told to try again, and the next try asks both.
func TestRevokeDuringOutage(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*world, bool){
		"of Hydra": func(w *world, down bool) {
			w.hydra.set(func(h *fakeHydra) {
				if h.fault = nil; down {
					h.fault = onPath("revoke", 503)
				}
			})
		},
		"of Auth0": func(w *world, down bool) {
			w.auth0.set(func(a *fakeAuth0) { a.revokes = !down })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.start(0, false)
			chain := tokenOf(t, p.refresh("old"))
			fault(w, true)
			if a := p.revokes("old"); errorOf(a) != "503 temporarily_unavailable" || len(w.auth0.revocations)+len(w.hydra.revocations) != 1 {
				t.Errorf("%s, at Auth0 %v, at Hydra %v", errorOf(a), w.auth0.revocations, w.hydra.revocations)
			}
			fault(w, false)
			if a := p.revokes("old"); a.Status != 200 || !slices.Contains(w.hydra.revocations, chain) || !slices.Contains(w.auth0.revocations, "old") || w.store.left() != 0 {
				t.Errorf("%s, at Auth0 %v, at Hydra %v", errorOf(a), w.auth0.revocations, w.hydra.revocations)
			}
			if got := strings.Join(p.reasons(), ", "); !strings.HasPrefix(got, "reminted, unavailable ") || !strings.HasSuffix(got, ", revoked") {
				t.Error(got)
			}
		})
	}
}
