package auth0sim_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

const (
	appID        = "native"
	otherID      = "other"
	apiID        = "https://api.test/"
	offlineScope = "openid profile email offline_access"

	unknownRefreshBody = `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`
)

// refreshing starts a simulator with two applications that may have refresh tokens, and an API
// that allows them.
func refreshing(t *testing.T, policy auth0sim.RefreshPolicy) *auth0sim.Server {
	t.Helper()
	grants := []string{auth0sim.GrantPasswordRealm, auth0sim.GrantAuthorizationCode, auth0sim.GrantRefreshToken}
	return start(t, func(cfg *auth0sim.Config) {
		for _, id := range []string{appID, otherID} {
			cfg.Tenant.Apps = append(cfg.Tenant.Apps, auth0sim.App{
				ClientID: id, AuthMethods: []string{auth0sim.AuthNone}, GrantTypes: grants, Callbacks: []string{callback}, RefreshTokens: policy,
			})
		}
		cfg.Tenant.APIs = append(cfg.Tenant.APIs, auth0sim.API{Identifier: apiID, Scopes: []string{"read:things"}, OfflineAccess: true},
			auth0sim.API{Identifier: "https://online.test/"})
		cfg.Tenant.RefreshTokens = []auth0sim.RefreshToken{{Token: "seeded", UserID: auth0sim.DemoGraceID, ClientID: appID}}
	})
}

// offlineLogin logs Ada in with a password, for a refresh token.
func offlineLogin(t *testing.T, sim *auth0sim.Server, pairs ...string) tokens {
	t.Helper()
	form := realmForm(append([]string{"client_id", appID, "client_secret", "", "scope", offlineScope}, pairs...)...)
	return mustTokens(t, post(t, sim, form))
}

// refresh uses a refresh token of the application.
func refresh(t *testing.T, sim *auth0sim.Server, token string, pairs ...string) answer {
	t.Helper()
	form := url.Values{"grant_type": {auth0sim.GrantRefreshToken}, "client_id": {appID}, "refresh_token": {token}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return post(t, sim, form)
}

// stateOf is the state of a refresh token.
func stateOf(t *testing.T, sim *auth0sim.Server, token string) auth0sim.RefreshState {
	t.Helper()
	for _, one := range sim.RefreshTokens() {
		if one.Token == token {
			return one.State
		}
	}
	t.Fatalf("no such refresh token")
	return ""
}

// A login gives a refresh token only for offline_access, and only where the application and the
// API allow it.
func TestRefreshTokenIssued(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pairs []string
		want  bool
	}{
		"asked for":                       {nil, true},
		"for an API":                      {[]string{"audience", apiID}, true},
		"not asked for":                   {[]string{"scope", "openid profile"}, false},
		"the application lacks the grant": {[]string{"client_id", auth0sim.DemoClientID, "client_secret", auth0sim.DemoClientSecret}, false},
		"the API does not allow it":       {[]string{"audience", "https://online.test/"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := offlineLogin(t, refreshing(t, auth0sim.RefreshPolicy{}), c.pairs...)
			if (got.RefreshToken != "") != c.want || !c.want && strings.Contains(got.Scope, "offline_access") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The code flow of a public application gives a refresh token, for the audience of /authorize.
func TestRefreshTokenOfCode(t *testing.T) {
	t.Parallel()
	sim := refreshing(t, auth0sim.RefreshPolicy{})
	b := browser{t: t, sim: sim, client: newClient(t)}
	b.restart()
	if _, location, _ := b.authorize("client_id", appID, "audience", "https://nowhere.test/"); b.back(location).Get("error") != "access_denied" {
		t.Errorf("an unknown audience: %s", location)
	}
	_, location, _ := b.authorize("client_id", appID, "audience", apiID, "scope", "openid offline_access read:things")
	_, location, _ = b.post(location, "username", adaEmail, "password", adaPassword)
	form := url.Values{"grant_type": {auth0sim.GrantAuthorizationCode}, "client_id": {appID}, "redirect_uri": {callback}, "code_verifier": {verifier}, "code": {b.back(location).Get("code")}}
	first := mustTokens(t, post(t, sim, form))
	got := mustTokens(t, refresh(t, sim, first.RefreshToken))
	claims := segment(t, got.AccessToken, 1)
	audiences, _ := claims["aud"].([]any)
	if claims["sub"] != auth0sim.DemoAdaID || claims["azp"] != appID || len(audiences) != 2 || audiences[0] != apiID || claims["scope"] != "openid offline_access read:things" {
		t.Errorf("claims of the access token: %v", claims)
	}
	if id := segment(t, got.IDToken, 1); id["sub"] != auth0sim.DemoAdaID || id["aud"] != appID || id["nonce"] != nil {
		t.Errorf("claims of the ID token: %v", id)
	}
	info := get(t, sim, auth0sim.PathUserinfo, http.Header{"Authorization": {"Bearer " + got.AccessToken}})
	if info.status != http.StatusOK {
		t.Errorf("userinfo: %+v", info)
	}
	if sim.GrantRequests(auth0sim.GrantRefreshToken) != 1 || sim.GrantRequests(auth0sim.GrantAuthorizationCode) != 1 {
		t.Errorf("counters: %+v", sim.Counters())
	}
	if last := sim.Requests()[1]; !last.RefreshTokenIs(first.RefreshToken) || last.UserID != auth0sim.DemoAdaID {
		t.Errorf("journal: %+v", last)
	}
}

// Scope and audience of the login are kept; scope narrows one answer. There is an ID token only
// with openid, and an opaque access token without an API.
func TestRefreshKeepsTheGrant(t *testing.T) {
	t.Parallel()
	sim := refreshing(t, auth0sim.RefreshPolicy{})
	first := offlineLogin(t, sim)
	got := mustTokens(t, refresh(t, sim, first.RefreshToken, "scope", "email offline_access read:things"))
	if got.Scope != "email offline_access" || got.IDToken != "" || got.RefreshToken != "" {
		t.Errorf("narrowed: %+v", got)
	}
	got = mustTokens(t, refresh(t, sim, first.RefreshToken))
	if got.Scope != offlineScope || got.IDToken == "" || strings.Contains(got.AccessToken, ".") {
		t.Errorf("afterwards: %+v", got)
	}
	added, err := sim.AddRefreshToken(auth0sim.RefreshToken{UserID: auth0sim.DemoAdaID, ClientID: appID, Scope: "offline_access read:things", Audience: apiID})
	if err != nil {
		t.Fatal(err)
	}
	got = mustTokens(t, refresh(t, sim, added.Token))
	if claims := segment(t, got.AccessToken, 1); got.IDToken != "" || claims["aud"] != apiID {
		t.Errorf("without openid: %+v, %v", got, claims)
	}
}

// With rotation, each use gives a successor. The replaced token works for the leeway, and then
// ends the whole family.
func TestRefreshRotation(t *testing.T) {
	t.Parallel()
	sim := refreshing(t, auth0sim.RefreshPolicy{Rotation: true, LeewaySeconds: 10})
	first := offlineLogin(t, sim).RefreshToken
	second := mustTokens(t, refresh(t, sim, first)).RefreshToken
	sim.Advance(9 * time.Second)
	again := mustTokens(t, refresh(t, sim, first)).RefreshToken
	if second == "" || again == "" || again == second || stateOf(t, sim, first) != auth0sim.RefreshRotated {
		t.Fatalf("successors %q and %q", second, again)
	}
	sim.Advance(time.Second)
	want(t, refresh(t, sim, first), http.StatusForbidden, unknownRefreshBody)
	for _, token := range []string{second, again} {
		want(t, refresh(t, sim, token), http.StatusForbidden, unknownRefreshBody)
	}
	if stateOf(t, sim, second) != auth0sim.RefreshRevoked || stateOf(t, sim, "seeded") != auth0sim.RefreshActive {
		t.Errorf("tokens: %+v", sim.RefreshTokens())
	}
}

// The leeway is for the token replaced last: the one before it ends the family at once.
func TestRefreshLeewayIsForTheLast(t *testing.T) {
	t.Parallel()
	sim := refreshing(t, auth0sim.RefreshPolicy{Rotation: true, LeewaySeconds: 60})
	second := mustTokens(t, refresh(t, sim, "seeded")).RefreshToken
	third := mustTokens(t, refresh(t, sim, second)).RefreshToken
	want(t, refresh(t, sim, "seeded"), http.StatusForbidden, unknownRefreshBody)
	want(t, refresh(t, sim, third), http.StatusForbidden, unknownRefreshBody)
	sim.Reset()
	if got := sim.RefreshTokens(); len(got) != 1 || got[0].State != auth0sim.RefreshActive {
		t.Errorf("after a reset: %+v", got)
	}
}

// The absolute lifetime goes on over rotations, the idle one begins anew at each use.
func TestRefreshLifetimes(t *testing.T) {
	t.Parallel()
	sim := refreshing(t, auth0sim.RefreshPolicy{Rotation: true, LifetimeSeconds: 100, IdleSeconds: 40})
	token := "seeded"
	for range 3 {
		sim.Advance(30 * time.Second)
		token = mustTokens(t, refresh(t, sim, token)).RefreshToken
	}
	sim.Advance(10 * time.Second)
	want(t, refresh(t, sim, token), http.StatusForbidden, unknownRefreshBody)
	idle := offlineLogin(t, sim).RefreshToken
	sim.Advance(40 * time.Second)
	want(t, refresh(t, sim, idle), http.StatusForbidden, unknownRefreshBody)
	if stateOf(t, sim, idle) != auth0sim.RefreshExpired {
		t.Error("the idle token is not expired")
	}
}

// Whatever cannot be refreshed is refused in Auth0's words.
func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	blocked := `{"error":"invalid_grant","error_description":"user is blocked"}`
	for name, c := range map[string]struct {
		before func(*auth0sim.Server) error
		pairs  []string
		status int
		body   string
	}{
		"unknown":               {nil, []string{"refresh_token", "unknown"}, 403, unknownRefreshBody},
		"missing":               {nil, []string{"refresh_token", ""}, 400, `{"error":"invalid_request","error_description":"missing refresh_token parameter"}`},
		"another application's": {nil, []string{"client_id", otherID}, 403, unknownRefreshBody},
		"revoked":               {func(s *auth0sim.Server) error { return s.RevokeRefreshToken("seeded") }, nil, 403, unknownRefreshBody},
		"expired":               {func(s *auth0sim.Server) error { return s.ExpireRefreshToken("seeded") }, nil, 403, unknownRefreshBody},
		"a deleted user": {
			func(s *auth0sim.Server) error { return s.DeleteUser(auth0sim.DemoGraceID) }, nil, 403,
			`{"error":"invalid_grant","error_description":"The refresh_token was generated for a user who doesn't exist anymore."}`,
		},
		"a blocked user": {changeGrace(func(u *auth0sim.User) { u.Blocked = true }), nil, 403, blocked},
		"an Action": {
			changeGrace(func(u *auth0sim.User) { u.Deny = &auth0sim.Denial{Reason: "No."} }), nil, 403,
			`{"error":"access_denied","error_description":"No."}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := refreshing(t, auth0sim.RefreshPolicy{Rotation: true})
			if c.before != nil {
				if err := c.before(sim); err != nil {
					t.Fatal(err)
				}
			}
			want(t, refresh(t, sim, "seeded", c.pairs...), c.status, c.body)
			if all := sim.RefreshTokens(); len(all) != 1 || all[0].Redeemed != 0 {
				t.Errorf("the token was spent: %+v", all)
			}
		})
	}
}

func changeGrace(change func(*auth0sim.User)) func(*auth0sim.Server) error {
	return func(s *auth0sim.Server) error {
		_, err := s.UpdateUser(auth0sim.DemoGraceID, change)
		return err
	}
}

// A fault narrowed to the grant breaks it alone; a lost answer has spent the token.
func TestRefreshFaults(t *testing.T) {
	t.Parallel()
	sim := refreshing(t, auth0sim.RefreshPolicy{Rotation: true})
	for _, fault := range []auth0sim.Fault{
		{Name: auth0sim.FaultUnavailable, Grant: auth0sim.GrantRefreshToken, Times: 1},
		{Name: auth0sim.FaultCloseAfterRequest, Grant: auth0sim.GrantRefreshToken, User: auth0sim.DemoGraceID, Times: 1},
	} {
		if _, err := sim.SetFault(fault); err != nil {
			t.Fatal(err)
		}
		offlineLogin(t, sim)
		if fault.Name == auth0sim.FaultUnavailable {
			if got := refresh(t, sim, "seeded"); got.status != http.StatusServiceUnavailable || stateOf(t, sim, "seeded") != auth0sim.RefreshActive {
				t.Errorf("an outage: %+v", got)
			}
			continue
		}
		form := url.Values{"grant_type": {auth0sim.GrantRefreshToken}, "client_id": {appID}, "refresh_token": {"seeded"}}
		_, err := try(t.Context(), newClient(t), http.MethodPost, sim.URL()+auth0sim.PathToken, "application/x-www-form-urlencoded", form.Encode(), nil)
		if err == nil || stateOf(t, sim, "seeded") != auth0sim.RefreshRotated {
			t.Errorf("a lost answer: %v", err)
		}
	}
}

// Revocation answers 200 whatever the token is, and ends only tokens of the application.
func TestRevoke(t *testing.T) {
	t.Parallel()
	sim := refreshing(t, auth0sim.RefreshPolicy{})
	revoke := func(pairs ...string) answer {
		form := url.Values{}
		for i := 0; i+1 < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return send(t, http.MethodPost, sim.URL()+auth0sim.PathRevoke, "application/x-www-form-urlencoded", form.Encode(), nil)
	}
	want(t, revoke("client_id", appID, "token", "unknown"), http.StatusOK, "")
	want(t, revoke("client_id", otherID, "token", "seeded"), http.StatusOK, "")
	mustTokens(t, refresh(t, sim, "seeded"))
	want(t, revoke("client_id", appID, "token", "seeded"), http.StatusOK, "")
	want(t, refresh(t, sim, "seeded"), http.StatusForbidden, unknownRefreshBody)
	want(t, revoke("client_id", appID), http.StatusBadRequest, `{"error":"invalid_request","error_description":"missing token parameter"}`)
	want(t, revoke("client_id", "nobody", "token", "seeded"), http.StatusUnauthorized, `{"error":"invalid_client","error_description":"Unauthorized"}`)
}

// The control API declares, lists, revokes and expires refresh tokens.
func TestRefreshControl(t *testing.T) {
	t.Parallel()
	sim := refreshing(t, auth0sim.RefreshPolicy{})
	if err := sim.StartControl("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	control := auth0sim.Control{URL: sim.ControlURL(), Client: newClient(t)}
	added, err := control.AddRefreshToken(t.Context(), auth0sim.RefreshToken{UserID: auth0sim.DemoAdaID, ClientID: appID})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(control.RevokeRefreshToken(t.Context(), added.Token), control.ExpireRefreshToken(t.Context(), "seeded")); err != nil {
		t.Fatal(err)
	}
	if control.RevokeRefreshToken(t.Context(), "unknown") == nil {
		t.Error("an unknown token was revoked")
	}
	list, err := control.RefreshTokens(t.Context())
	states := []auth0sim.RefreshState{}
	for _, one := range list {
		states = append(states, one.State)
	}
	if err != nil || !slices.Equal(states, []auth0sim.RefreshState{auth0sim.RefreshExpired, auth0sim.RefreshRevoked}) {
		t.Errorf("%v, %v", states, err)
	}
	for name, bad := range map[string]auth0sim.RefreshToken{
		"user": {UserID: "auth0|nobody", ClientID: appID}, "application": {UserID: auth0sim.DemoAdaID, ClientID: "nobody"},
		"grant": {UserID: auth0sim.DemoAdaID, ClientID: auth0sim.DemoClientID}, "API": {UserID: auth0sim.DemoAdaID, ClientID: appID, Audience: "x"},
		"token": {UserID: auth0sim.DemoAdaID, ClientID: appID, Token: "seeded"},
	} {
		if _, err := control.AddRefreshToken(t.Context(), bad); err == nil {
			t.Errorf("%s: added", name)
		}
	}
}
