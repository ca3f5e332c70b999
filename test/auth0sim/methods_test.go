package auth0sim_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

// methodsPath is where the methods of a user are.
func methodsPath(userID string) string {
	return auth0sim.PathUsers + url.PathEscape(userID) + auth0sim.PathMethods
}

// manyMethods are so many methods: a passkey, and security keys.
func manyMethods(n int) []auth0sim.AuthenticationMethod {
	enrolled := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	yes := true
	methods := []auth0sim.AuthenticationMethod{{
		ID: "passkey|dev_0", Type: "passkey", Confirmed: &yes, KeyID: "aWQ", PublicKey: "cGs", CreatedAt: enrolled,
		DeviceType: "multi_device", BackedUp: &yes, Identity: "5f7c", AAGUID: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", RelyingParty: "login.example.org",
	}}
	for i := 1; i < n; i++ {
		methods = append(methods, auth0sim.AuthenticationMethod{ID: fmt.Sprintf("webauthn-roaming|dev_%d", i), Type: "webauthn-roaming", CreatedAt: enrolled})
	}
	return methods
}

// The methods come as a list, or with totals, in pages.
func TestAuthenticationMethods(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadAuthenticationMethods)
	token, path := machineBearer(t, sim), methodsPath(auth0sim.DemoAdaID)
	want(t, get(t, sim, path, token), 200, `[]`)
	want(t, get(t, sim, path+"?include_totals=true", token), 200, `{"authenticators":[],"limit":50,"start":0,"total":0}`)
	if _, err := sim.UpdateUser(auth0sim.DemoAdaID, func(u *auth0sim.User) { u.AuthenticationMethods = manyMethods(3) }); err != nil {
		t.Fatal(err)
	}
	const passkey = `{"id":"passkey|dev_0","type":"passkey","confirmed":true,"key_id":"aWQ","public_key":"cGs","created_at":"2024-05-06T07:08:09Z","credential_device_type":"multi_device","credential_backed_up":true,` +
		`"identity_user_id":"5f7c","aaguid":"fbfc3007-154e-4ecc-8c0b-6e020557d7bd","relying_party_identifier":"login.example.org"}`
	const last = `{"id":"webauthn-roaming|dev_2","type":"webauthn-roaming","created_at":"2024-05-06T07:08:09Z"}`
	want(t, get(t, sim, path+"?per_page=1", token), 200, `[`+passkey+`]`)
	want(t, get(t, sim, path+"?include_totals=true&per_page=2&page=1", token), 200, `{"authenticators":[`+last+`],"limit":2,"start":2,"total":3}`)
	want(t, get(t, sim, path+"?include_totals=true&per_page=2&page=9", token), 200, `{"authenticators":[],"limit":2,"start":18,"total":3}`)
}

// What Auth0 refuses is refused here.
func TestAuthenticationMethodsRefuses(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadAuthenticationMethods)
	token, path := machineBearer(t, sim), methodsPath(auth0sim.DemoAdaID)
	for name, c := range map[string]struct {
		path, code string
		status     int
	}{
		"no such user": {methodsPath("auth0|none"), "inexistent_user", 404},
		"page":         {path + "?page=-1", "invalid_query_string", 400},
		"per_page":     {path + "?per_page=101", "invalid_query_string", 400},
		"totals":       {path + "?include_totals=1", "invalid_query_string", 400},
		"unknown":      {path + "?take=1", "invalid_query_string", 400},
	} {
		if got := get(t, sim, c.path, token); got.status != c.status || !strings.Contains(got.body, c.code) {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
	}
	other := startManaged(t, auth0sim.ScopeReadUsers)
	if got := get(t, other, path, machineBearer(t, other)); got.status != 403 || !strings.Contains(got.body, "read:authentication_methods") {
		t.Errorf("without the scope: %d %s", got.status, got.body)
	}
	for name, methods := range map[string][]auth0sim.AuthenticationMethod{
		"no id": {{Type: "totp"}}, "no type": {{ID: "1", Type: "otp"}}, "twice": {{ID: "1", Type: "totp"}, {ID: "1", Type: "totp"}},
	} {
		if _, err := sim.UpdateUser(auth0sim.DemoAdaID, func(u *auth0sim.User) { u.AuthenticationMethods = methods }); err == nil {
			t.Errorf("%s: the user was stored", name)
		}
	}
}

// A confirmed second factor is asked for at the login; a passkey or a recovery code is not.
func TestAuthenticationMethodsAtLogin(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	no := false
	for _, c := range []struct {
		method auth0sim.AuthenticationMethod
		status int
	}{
		{auth0sim.AuthenticationMethod{ID: "1", Type: "passkey"}, 200},
		{auth0sim.AuthenticationMethod{ID: "1", Type: "recovery-code"}, 200},
		{auth0sim.AuthenticationMethod{ID: "1", Type: "totp", Confirmed: &no}, 200},
		{auth0sim.AuthenticationMethod{ID: "1", Type: "totp"}, 403},
	} {
		if _, err := sim.UpdateUser(auth0sim.DemoAdaID, func(u *auth0sim.User) { u.AuthenticationMethods = []auth0sim.AuthenticationMethod{c.method} }); err != nil {
			t.Fatal(err)
		}
		if got := post(t, sim, realmForm()); got.status != c.status {
			t.Errorf("%s: %d %s", c.method.Type, got.status, got.body)
		}
	}
}
