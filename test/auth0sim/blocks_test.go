package auth0sim_test

import (
	"net/http"
	"net/url"
	"testing"

	"ferry/test/auth0sim"
)

const noBlocks = `{"blocked_for":[]}`

// TestUserBlocks: ten wrong passwords make a block that the Management API lists until it
// is lifted.
func TestUserBlocks(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	token, blocks := machineBearer(t, sim), auth0sim.PathUserBlocks+url.PathEscape(auth0sim.DemoAdaID)
	fail(t, sim, 9, adaEmail, from("203.0.113.1"))
	want(t, get(t, sim, blocks, token), 200, noBlocks)
	fail(t, sim, 1, adaEmail, from("203.0.113.1"))
	want(t, get(t, sim, blocks, token), 200,
		`{"blocked_for":[{"identifier":"ada@example.test","ip":"203.0.113.1","connection":"Username-Password-Authentication"}]}`)
	if err := sim.UnblockUser(auth0sim.DemoAdaID); err != nil {
		t.Fatal(err)
	}
	want(t, get(t, sim, blocks, token), 200, noBlocks)
	mustTokens(t, post(t, sim, realmForm(), from("203.0.113.1")))
}

// TestUserBlocksOfLockout: Account Lockout names no address.
func TestUserBlocksOfLockout(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	configure(t, sim, func(s *auth0sim.Settings) { s.BruteForce.PerIdentifier = true })
	fail(t, sim, 10, adaEmail, from("203.0.113.1"))
	blocks := sim.URL() + auth0sim.PathUserBlocks + url.PathEscape(auth0sim.DemoAdaID)
	token := machineBearer(t, sim)
	want(t, send(t, http.MethodGet, blocks, "", "", token), 200,
		`{"blocked_for":[{"identifier":"ada@example.test","connection":"Username-Password-Authentication"}]}`)
	configure(t, sim, func(s *auth0sim.Settings) { s.BruteForce.Enabled = false })
	want(t, send(t, http.MethodGet, blocks+"?consider_brute_force_enablement=true", "", "", token), 200, noBlocks)
}

func TestUserBlocksRefusals(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	token := machineBearer(t, sim)
	ada := url.PathEscape(auth0sim.DemoAdaID)
	for name, c := range map[string]struct {
		method, query string
		status        int
	}{
		"nobody":            {http.MethodGet, "auth0%7Cnobody", 404},
		"unknown parameter": {http.MethodGet, ada + "?page=1", 400},
		"twice":             {http.MethodGet, ada + "?consider_brute_force_enablement=true&consider_brute_force_enablement=true", 400},
		"not a boolean":     {http.MethodGet, ada + "?consider_brute_force_enablement=1", 400},
		"another method":    {http.MethodPost, ada, 404},
	} {
		if got := send(t, c.method, sim.URL()+auth0sim.PathUserBlocks+c.query, "", "", token); got.status != c.status {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
	}
	if got := send(t, http.MethodGet, sim.URL()+auth0sim.PathUserBlocks+ada, "", "", nil); got.status != 401 {
		t.Errorf("without a token: got %d %s", got.status, got.body)
	}
}
