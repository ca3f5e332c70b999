package auth0sim_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"ferry/test/auth0sim"
)

// directoryTenant has a user everywhere that users can be.
func directoryTenant(cfg *auth0sim.Config) {
	cfg.Tenant.Connections = append(cfg.Tenant.Connections,
		auth0sim.Connection{Name: "custom", Custom: true, WrongPassword: &auth0sim.Answer{
			Status: 401, Error: "invalid_user_password", Description: "LDAP says no",
		}},
		auth0sim.Connection{Name: "ad", Strategy: auth0sim.StrategyAD, Realms: []string{"corp", "corp.test"}},
		auth0sim.Connection{Name: "email", Strategy: auth0sim.StrategyEmail},
		auth0sim.Connection{Name: "second"},
	)
	cfg.Tenant.Users = append(cfg.Tenant.Users,
		auth0sim.User{
			ID: "auth0|mixed", Connection: auth0sim.DemoConnection, Email: "Mixed@Example.test", Username: "MiXed",
			Phone: "+15555550100", Password: "mixed",
		},
		auth0sim.User{ID: "auth0|custom", Connection: "custom", Email: "Mixed@Example.test", Password: "custom"},
		auth0sim.User{ID: "ad|corp|1", Connection: "ad", Username: "CORP.User", Password: "ad"},
		auth0sim.User{ID: "email|1", Connection: "email", Email: "code@example.test", Password: "123456"},
		auth0sim.User{
			ID: "auth0|linked", Connection: auth0sim.DemoConnection, Email: "linked@example.test", Password: "primary",
			Identities: []auth0sim.Identity{
				{Provider: "auth0", UserID: "secondary", Connection: "second", Email: "Linked@Example.test", Password: "secondary"},
				{Provider: "google-oauth2", UserID: "1", Connection: "google-oauth2", IsSocial: true, Email: "linked@example.test"},
			},
		},
	)
}

func TestLookup(t *testing.T) {
	t.Parallel()
	sim := start(t, directoryTenant)
	const customWrong = `{"error":"invalid_user_password","error_description":"LDAP says no"}`
	tests := map[string]struct {
		realm, username, password string
		sub                       string // empty: refused
		status                    int
		body                      string
	}{
		"e-mail":               {auth0sim.DemoConnection, "mixed@example.test", "mixed", "auth0|mixed", 200, ""},
		"e-mail, upper case":   {auth0sim.DemoConnection, "MIXED@EXAMPLE.TEST", "mixed", "auth0|mixed", 200, ""},
		"username":             {auth0sim.DemoConnection, "mixeD", "mixed", "auth0|mixed", 200, ""},
		"phone":                {auth0sim.DemoConnection, "+15555550100", "mixed", "auth0|mixed", 200, ""},
		"not trimmed":          {auth0sim.DemoConnection, " mixed@example.test", "mixed", "", 403, wrongPasswordBody},
		"password has case":    {auth0sim.DemoConnection, "mixed@example.test", "Mixed", "", 403, wrongPasswordBody},
		"custom":               {"custom", "Mixed@Example.test", "custom", "auth0|custom", 200, ""},
		"custom, other case":   {"custom", "mixed@example.test", "custom", "", 401, customWrong},
		"custom, other's":      {"custom", "Mixed@Example.test", "mixed", "", 401, customWrong},
		"ad, by realm":         {"corp.test", "CORP.User", "ad", "ad|corp|1", 200, ""},
		"ad, by name":          {"ad", "CORP.User", "ad", "", 400, `{"error":"invalid_request","error_description":"the connection was not found"}`},
		"ad, other case":       {"corp", "corp.user", "ad", "", 403, wrongPasswordBody},
		"code":                 {"email", "code@example.test", "123456", "email|1", 200, ""},
		"wrong code":           {"email", "code@example.test", "654321", "", 403, `{"error":"invalid_grant","error_description":"Wrong email or verification code."}`},
		"linked, primary":      {auth0sim.DemoConnection, "linked@example.test", "primary", "auth0|linked", 200, ""},
		"linked, secondary":    {"second", "linked@example.test", "secondary", "auth0|linked", 200, ""},
		"linked, other's":      {"second", "linked@example.test", "primary", "", 403, wrongPasswordBody},
		"linked, social realm": {"google-oauth2", "linked@example.test", "x", "", 400, `{"error":"invalid_request","error_description":"the connection was not found"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := post(t, sim, realmForm("realm", tt.realm, "username", tt.username, "password", tt.password))
			if tt.sub == "" {
				want(t, got, tt.status, tt.body)
				return
			}
			if sub := segment(t, mustTokens(t, got).IDToken, 1)["sub"]; sub != tt.sub {
				t.Errorf("got sub %v, want %s", sub, tt.sub)
			}
		})
	}
}

func TestUserLife(t *testing.T) {
	t.Parallel()
	sim := start(t, directoryTenant)
	stored, err := sim.AddUser(auth0sim.User{Email: "New@Example.test", Password: "first"})
	if err != nil {
		t.Fatal(err)
	}
	if stored.Email != "new@example.test" || stored.Connection != auth0sim.DemoConnection || stored.Password != "" ||
		!strings.HasPrefix(stored.ID, "auth0|") || len(stored.ID) != len("auth0|")+24 || !stored.CreatedAt.Equal(frozen()) {
		t.Errorf("got %+v", stored)
	}
	form := func(password string) url.Values {
		return realmForm("username", "new@example.test", "password", password)
	}
	mustTokens(t, post(t, sim, form("first")))

	if _, err := sim.UpdateUser(stored.ID, func(u *auth0sim.User) { u.Blocked, u.Username = true, "NEW" }); err != nil {
		t.Fatal(err)
	}
	want(t, post(t, sim, realmForm("username", "new", "password", "first")), 401,
		`{"error":"unauthorized","error_description":"user is blocked"}`)
	if _, err := sim.UpdateUser(stored.ID, func(u *auth0sim.User) { u.Blocked = false }); err != nil {
		t.Fatal(err)
	}
	if err := sim.SetPassword(stored.ID, "second"); err != nil {
		t.Fatal(err)
	}
	want(t, post(t, sim, form("first")), 403, wrongPasswordBody)
	token := mustTokens(t, post(t, sim, form("second"))).AccessToken
	if err := sim.DeleteUser(stored.ID); err != nil {
		t.Fatal(err)
	}
	want(t, post(t, sim, form("second")), 403, wrongPasswordBody)
	want(t, userinfo(t, sim, token), 401, "Unauthorized")
	if _, ok := sim.User(stored.ID); ok {
		t.Error("a deleted user is still there")
	}
	if err := sim.DeleteUser(stored.ID); !errors.Is(err, auth0sim.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}

	// Linked passwords survive a change that is about something else.
	if _, err := sim.UpdateUser("auth0|linked", func(u *auth0sim.User) { u.Name = "L" }); err != nil {
		t.Fatal(err)
	}
	mustTokens(t, post(t, sim, realmForm("realm", "second", "username", "linked@example.test", "password", "secondary")))
}

func TestPasswordHash(t *testing.T) {
	t.Parallel()
	sim := start(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("hashed"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	auth0Hash := strings.Replace(string(hash), "$2a$", "$2b$", 1)
	if _, err := sim.AddUser(auth0sim.User{Email: "h@example.test", PasswordHash: auth0Hash}); err != nil {
		t.Fatal(err)
	}
	mustTokens(t, post(t, sim, realmForm("username", "h@example.test", "password", "hashed")))
	if _, err := sim.AddUser(auth0sim.User{Email: "none@example.test"}); err != nil {
		t.Fatal(err)
	}
	want(t, post(t, sim, realmForm("username", "none@example.test", "password", "x")), 403, wrongPasswordBody)
}

func TestLongPasswords(t *testing.T) {
	t.Parallel()
	sim := start(t)
	longest := strings.Repeat("x", 72)
	if err := sim.SetPassword(auth0sim.DemoAdaID, longest); err != nil {
		t.Fatal(err)
	}
	// bcrypt reads 72 bytes, so what follows them makes no difference.
	mustTokens(t, post(t, sim, realmForm("password", longest+"y")))
	if !sim.Requests()[0].PasswordIs(longest + "y") {
		t.Error("the password arrived changed")
	}
	err := sim.SetPassword(auth0sim.DemoAdaID, longest+"y")
	if want := `auth0sim: change user "` + auth0sim.DemoAdaID + `": password: longer than 72 bytes`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTenantIsChecked(t *testing.T) {
	t.Parallel()
	demo := auth0sim.DemoConnection
	tests := map[string]struct {
		change func(*auth0sim.Tenant)
		want   string
	}{
		"connection without a name": {func(tn *auth0sim.Tenant) { tn.Connections[0].Name = "" }, `connection: want a name`},
		"realm twice": {
			func(tn *auth0sim.Tenant) {
				tn.Connections = append(tn.Connections, auth0sim.Connection{Name: "x", Realms: []string{demo}})
			},
			`connection "x": realm "` + demo + `" belongs to "` + demo + `"`,
		},
		"custom answer": {
			func(tn *auth0sim.Tenant) { tn.Connections[0].WrongPassword = &auth0sim.Answer{Status: 200} },
			`connection "` + demo + `": wrong_password: status 200: want 400 to 599`,
		},
		"default directory":      {func(tn *auth0sim.Tenant) { tn.DefaultDirectory = "x" }, `default directory: no such connection: "x"`},
		"app without an id":      {func(tn *auth0sim.Tenant) { tn.Apps[0].ClientID = "" }, `app: want a client id`},
		"app without a secret":   {func(tn *auth0sim.Tenant) { tn.Apps[0].ClientSecret = "" }, `app "ferry-demo-client": client_secret_post: want a client secret`},
		"app without a key":      {func(tn *auth0sim.Tenant) { tn.Apps[0].AuthMethods = []string{"private_key_jwt"} }, `app "ferry-demo-client": private_key_jwt: want a public key`},
		"app with a bad key":     {func(tn *auth0sim.Tenant) { tn.Apps[0].PublicKeys = []string{"x"} }, `app "ferry-demo-client": public key 0: want one PEM block`},
		"app with a bad method":  {func(tn *auth0sim.Tenant) { tn.Apps[0].AuthMethods = []string{"x"} }, `app "ferry-demo-client": auth method "x": unknown`},
		"app with a bad alg":     {func(tn *auth0sim.Tenant) { tn.Apps[0].IDTokenAlg = "none" }, `app "ferry-demo-client": id token algorithm "none": want RS256, PS256 or HS256`},
		"app of a connection":    {func(tn *auth0sim.Tenant) { tn.Apps[0].Connections = []string{"x"} }, `app "ferry-demo-client": no such connection: "x"`},
		"API without identifier": {func(tn *auth0sim.Tenant) { tn.APIs = []auth0sim.API{{}} }, `api: want an identifier`},
		"user twice":             {func(tn *auth0sim.Tenant) { tn.Users[1].ID = tn.Users[0].ID }, `user "` + auth0sim.DemoAdaID + `": exists already`},
		"e-mail twice": {
			func(tn *auth0sim.Tenant) { tn.Users[1].Email = "ADA@example.test" },
			`user "` + auth0sim.DemoGraceID + `": "ada@example.test" is taken in connection "` + demo + `"`,
		},
		"user of a connection": {func(tn *auth0sim.Tenant) { tn.Users[0].Connection = "x" }, `user "` + auth0sim.DemoAdaID + `": no such connection: "x"`},
		"user with a bad hash": {
			func(tn *auth0sim.Tenant) { tn.Users[0].PasswordHash = "x" },
			`user "` + auth0sim.DemoAdaID + `": password hash: crypto/bcrypt: hashedSecret too short to be a bcrypted password`,
		},
		"linked without an id": {
			func(tn *auth0sim.Tenant) { tn.Users[0].Identities = []auth0sim.Identity{{}} },
			`user "` + auth0sim.DemoAdaID + `": linked identity: want provider and user_id`,
		},
		"linked, connection": {
			func(tn *auth0sim.Tenant) {
				tn.Users[0].Identities = []auth0sim.Identity{{Provider: "a", UserID: "b", Connection: "x", Password: "p"}}
			},
			`user "` + auth0sim.DemoAdaID + `": linked identity a|b: no such connection: "x"`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := auth0sim.DemoTenant()
			tt.change(tenant)
			_, err := auth0sim.New(auth0sim.Config{Tenant: tenant})
			if err == nil || err.Error() != "auth0sim: "+tt.want {
				t.Errorf("got %v\nwant auth0sim: %s", err, tt.want)
			}
		})
	}
}

func TestMFA(t *testing.T) {
	t.Parallel()
	sim := start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.Apps = append(cfg.Tenant.Apps, auth0sim.App{ClientID: "exempt", ClientSecret: "s", MFAExempt: true})
	})
	barbara := []string{"username", "barbara@example.test", "password", "substitution-principle"}
	got := post(t, sim, realmForm(barbara...))
	const before = `{"error":"mfa_required","error_description":"Multifactor authentication required","mfa_token":"Fe26.2*`
	if got.status != 403 || !strings.HasPrefix(got.body, before) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	mustTokens(t, post(t, sim, realmForm(append(barbara, "client_id", "exempt", "client_secret", "s")...)))
}

func TestUserRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*auth0sim.User)
		status int
		body   string
	}{
		"leaked": {
			func(u *auth0sim.User) { u.PasswordLeaked = true }, 401,
			`{"error":"password_leaked","error_description":"This login attempt has been blocked because the password you're using was previously disclosed through a data breach (not in this application). Please check your email for more information."}`,
		},
		"rule": {
			func(u *auth0sim.User) { u.Deny = &auth0sim.Denial{Reason: `"no" <&>`, Rule: true} }, 401,
			`{"error":"unauthorized","error_description":"\"no\" <&>"}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := start(t)
			if _, err := sim.UpdateUser(auth0sim.DemoAdaID, tt.change); err != nil {
				t.Fatal(err)
			}
			want(t, post(t, sim, realmForm()), tt.status, tt.body)
			want(t, post(t, sim, realmForm("password", "wrong")), 403, wrongPasswordBody)
		})
	}
}
