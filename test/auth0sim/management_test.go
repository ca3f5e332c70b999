package auth0sim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

const (
	machineID     = "machine"
	machineSecret = "machine-secret"
)

// startManaged runs a simulator whose application has the scopes.
func startManaged(t *testing.T, scopes ...string) *auth0sim.Server {
	t.Helper()
	return start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.Apps = append(cfg.Tenant.Apps,
			auth0sim.App{ClientID: machineID, ClientSecret: machineSecret, ManagementScopes: scopes})
		cfg.Tenant.APIs = []auth0sim.API{{Identifier: "https://api.test/"}}
		cfg.Tenant.Users[0].AppMetadata = map[string]any{"plan": "free", "deep": map[string]any{"a": 1, "b": 2}}
		cfg.Tenant.Users[0].Identities = []auth0sim.Identity{{Provider: "google-oauth2", UserID: "7", Connection: "google-oauth2", IsSocial: true}}
	})
}

func machineForm(sim *auth0sim.Server, pairs ...string) url.Values {
	form := url.Values{
		"grant_type": {auth0sim.GrantClientCredentials}, "client_id": {machineID}, "client_secret": {machineSecret},
		"audience": {sim.ManagementAudience()},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

func machineBearer(t *testing.T, sim *auth0sim.Server) http.Header {
	t.Helper()
	return http.Header{"Authorization": {"Bearer " + mustTokens(t, post(t, sim, machineForm(sim))).AccessToken}}
}

func adaURL(sim *auth0sim.Server) string {
	return sim.URL() + auth0sim.PathUsers + url.PathEscape(auth0sim.DemoAdaID)
}

func patch(t *testing.T, sim *auth0sim.Server, body string, header http.Header) answer {
	t.Helper()
	return send(t, http.MethodPatch, adaURL(sim), "application/json", body, header)
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers, auth0sim.ScopeUpdateUsers)
	got := mustTokens(t, post(t, sim, machineForm(sim)))
	if got.AccessToken == "" || got.IDToken != "" || got.Scope != "read:users update:users" || got.ExpiresIn != 86400 || got.TokenType != "Bearer" {
		t.Errorf("got %+v", got)
	}
	if got := mustTokens(t, post(t, sim, machineForm(sim, "scope", "update:users delete:users"))); got.Scope != "update:users" {
		t.Errorf("got %+v", got)
	}
	denied := `{"error":"access_denied","error_description":"%s"}`
	for name, c := range map[string]struct {
		form   url.Values
		status int
		body   string
	}{
		"wrong secret":    {machineForm(sim, "client_secret", "x"), 401, unauthorizedBody},
		"no audience":     {machineForm(sim, "audience", ""), 403, fmt.Sprintf(denied, "No audience parameter was provided, and no default audience has been configured")},
		"no such API":     {machineForm(sim, "audience", "https://x.test/"), 403, fmt.Sprintf(denied, "Service not found: https://x.test/")},
		"another tenant":  {machineForm(sim, "audience", "https://x.test/api/v2/"), 403, fmt.Sprintf(denied, "Service not enabled within domain: https://x.test/api/v2/")},
		"another API":     {machineForm(sim, "audience", "https://api.test/"), 403, ""},
		"not its grant":   {machineForm(sim, "client_id", auth0sim.DemoClientID, "client_secret", auth0sim.DemoClientSecret), 403, ""},
		"a login with it": {realmForm("client_id", machineID, "client_secret", machineSecret), 403, ""},
	} {
		got := post(t, sim, c.form)
		if got.status != c.status || c.body != "" && got.body != c.body {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
	}
	if n := sim.Counters().Total(); n != 1 {
		t.Errorf("%d passwords arrived, want the login's", n)
	}
}

func TestReadUser(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	got := send(t, http.MethodGet, adaURL(sim), "", "", machineBearer(t, sim))
	want(t, got, 200, `{"app_metadata":{"deep":{"a":1,"b":2},"plan":"free"},"created_at":"2026-01-02T03:04:05Z",`+
		`"email":"ada@example.test","email_verified":true,"family_name":"Lovelace","given_name":"Ada","identities":[`+
		`{"connection":"Username-Password-Authentication","user_id":"5f7c8ec7c33c6c004bbafe81","provider":"auth0","isSocial":false},`+
		`{"connection":"google-oauth2","user_id":"7","provider":"google-oauth2","isSocial":true,"profileData":{}}],`+
		`"name":"Ada Lovelace","updated_at":"2026-01-02T03:04:05Z","user_id":"auth0|5f7c8ec7c33c6c004bbafe81"}`)
}

func TestPatchMerges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want map[string]any
	}{
		"a new member":      {`{"app_metadata":{"ferry":{"x":1}}}`, map[string]any{"plan": "free", "deep": map[string]any{"a": 1., "b": 2.}, "ferry": map[string]any{"x": 1.}}},
		"first level only":  {`{"app_metadata":{"deep":{"c":3}}}`, map[string]any{"plan": "free", "deep": map[string]any{"c": 3.}}},
		"null unsets":       {`{"app_metadata":{"deep":null}}`, map[string]any{"plan": "free"}},
		"empty empties":     {`{"app_metadata":{}}`, nil},
		"null empties":      {`{"app_metadata":null}`, nil},
		"other members too": {`{"name":"A","family_name":null,"app_metadata":{"deep":null}}`, map[string]any{"plan": "free"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := startManaged(t, auth0sim.ScopeUpdateUsers)
			got := patch(t, sim, c.body, machineBearer(t, sim))
			if got.status != 200 || !strings.Contains(got.body, `"user_id":"auth0|5f7c8ec7c33c6c004bbafe81"`) {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			user, _ := sim.User(auth0sim.DemoAdaID)
			if len(c.want)+len(user.AppMetadata) > 0 && !reflect.DeepEqual(user.AppMetadata, c.want) {
				t.Errorf("got %v", user.AppMetadata)
			}
			if name == "other members too" && (user.Name != "A" || user.FamilyName != "" || user.Email != adaEmail) {
				t.Errorf("got %+v", user)
			}
			mustTokens(t, post(t, sim, realmForm())) // the password stays
		})
	}
}

func TestManagementRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scope, header, body string
		status              int
		want                string
	}{
		"no token":      {auth0sim.ScopeUpdateUsers, "", `{}`, 401, `{"statusCode":401,"error":"Unauthorized","message":"Missing authentication"}`},
		"bad token":     {auth0sim.ScopeUpdateUsers, "Bearer x", `{}`, 401, `{"statusCode":401,"error":"Unauthorized","message":"Invalid token","errorCode":"invalid_token"}`},
		"scope":         {auth0sim.ScopeReadUsers, "own", `{}`, 403, `{"statusCode":403,"error":"Forbidden","message":"Insufficient scope, expected any of: update:users,update:users_app_metadata","errorCode":"insufficient_scope"}`},
		"narrow scope":  {auth0sim.ScopeUpdateAppMetadata, "own", `{"blocked":true}`, 403, ""},
		"not JSON":      {auth0sim.ScopeUpdateUsers, "own", `blocked=true`, 400, ""},
		"a list":        {auth0sim.ScopeUpdateUsers, "own", `[]`, 400, ""},
		"repeated":      {auth0sim.ScopeUpdateUsers, "own", `{"name":"a","name":"b"}`, 400, `{"statusCode":400,"error":"Bad Request","message":"Payload validation error: 'additional or repeated property: name'.","errorCode":"invalid_body"}`},
		"unchangeable":  {auth0sim.ScopeUpdateUsers, "own", `{"user_id":"auth0|x"}`, 400, ""},
		"wrong type":    {auth0sim.ScopeUpdateUsers, "own", `{"blocked":"yes"}`, 400, ""},
		"metadata text": {auth0sim.ScopeUpdateUsers, "own", `{"app_metadata":"x"}`, 400, ""},
		"taken":         {auth0sim.ScopeUpdateUsers, "own", `{"email":"alan@example.test"}`, 400, `{"statusCode":400,"error":"Bad Request","message":"The user could not be changed.","errorCode":"auth0_idp_error"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := startManaged(t, c.scope)
			header := http.Header{"Authorization": {c.header}}
			if c.header == "own" {
				header = machineBearer(t, sim)
			}
			before, _ := sim.User(auth0sim.DemoAdaID)
			got := patch(t, sim, c.body, header)
			if got.status != c.status || c.want != "" && got.body != c.want {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if after, _ := sim.User(auth0sim.DemoAdaID); !reflect.DeepEqual(before, after) || sim.UserWrites(auth0sim.DemoAdaID) != 1 {
				t.Errorf("got %+v, %+v", after, sim.Counters())
			}
		})
	}
}

func TestManagementTokens(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeUpdateUsers)
	token := machineBearer(t, sim)
	login := mustTokens(t, post(t, sim, realmForm())).AccessToken
	if got := patch(t, sim, `{}`, http.Header{"Authorization": {"Bearer " + login}}); got.status != 401 {
		t.Errorf("a login's token: got %d %s", got.status, got.body)
	}
	if got := get(t, sim, auth0sim.PathUserinfo, token); got.status != 401 {
		t.Errorf("/userinfo: got %d %s", got.status, got.body)
	}
	got := send(t, http.MethodPatch, sim.URL()+auth0sim.PathUsers+"auth0%7Cnobody", "application/json", `{}`, token)
	want(t, got, 404, `{"statusCode":404,"error":"Not Found","message":"The user does not exist.","errorCode":"inexistent_user"}`)
	for _, path := range []string{"/api/v2/roles", "/api/v2/jobs", "/api/v2/users/a/b"} {
		want(t, get(t, sim, path, token), 404, `{"statusCode":404,"error":"Not Found","message":"Not Found"}`)
	}
	if got := send(t, http.MethodDelete, adaURL(sim), "", "", token); got.status != 404 {
		t.Errorf("DELETE: got %d %s", got.status, got.body)
	}
	sim.Advance(24 * time.Hour)
	if got := patch(t, sim, `{}`, token); got.status != 401 {
		t.Errorf("expired: got %d %s", got.status, got.body)
	}
}

func TestManagementLimit(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeUpdateUsers)
	configure(t, sim, func(s *auth0sim.Settings) { s.Management.Enabled = true })
	token := machineBearer(t, sim)
	for range 2 {
		if got := patch(t, sim, `{}`, token); got.status != 200 || got.header.Get("X-Ratelimit-Limit") != "2" {
			t.Errorf("got %d %v", got.status, got.header)
		}
	}
	got := patch(t, sim, `{}`, token)
	want(t, got, 429, `{"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached","errorCode":"too_many_requests"}`)
	if reset := fmt.Sprint(frozen().Add(time.Second).Unix()); got.header.Get("X-Ratelimit-Reset") != reset || got.header.Get("X-Ratelimit-Remaining") != "0" {
		t.Errorf("got %v", got.header)
	}
	sim.Advance(time.Second / 2)
	if got := patch(t, sim, `{}`, token); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// Faults hold on the new paths too: of one user, and of all.
func TestManagementFaults(t *testing.T) {
	t.Parallel()
	for _, f := range []auth0sim.Fault{
		{Name: auth0sim.FaultUnavailable, Path: auth0sim.PathUsers},
		{Name: auth0sim.FaultUnavailable, Path: auth0sim.PathUsers + auth0sim.DemoAdaID},
		{Name: auth0sim.FaultUnavailable, Path: auth0sim.AnyPath, User: auth0sim.DemoAdaID},
		{Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerManagementUnavailable, Path: auth0sim.PathUsers},
	} {
		sim := startManaged(t, auth0sim.ScopeUpdateUsers)
		token := machineBearer(t, sim)
		setFault(t, sim, f)
		want(t, patch(t, sim, `{}`, token), 503, `{"statusCode":503,"error":"Service Unavailable","message":"Service Unavailable"}`)
		mustTokens(t, post(t, sim, machineForm(sim)))
	}
	sim := startManaged(t, auth0sim.ScopeUpdateUsers)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultRedirect308, Path: auth0sim.PathUsers})
	client := newClient(t)
	client.CheckRedirect = nil
	header := machineBearer(t, sim)
	header.Set("Content-Type", "application/json")
	got, err := try(t.Context(), client, http.MethodPatch, adaURL(sim), "", `{"name":"followed"}`, header)
	user, _ := sim.User(auth0sim.DemoAdaID)
	if err != nil || got.status != 200 || user.Name != "followed" || sim.UserWrites(auth0sim.DemoAdaID) != 2 {
		t.Errorf("got %v, %+v, %+v", err, got, user)
	}
}

// Every row can be sent as it stands, and replaced.
func TestManagementRows(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeUpdateUsers)
	for _, row := range auth0sim.ManagementRows() {
		setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: row.Name, Path: auth0sim.PathUsers, Times: 1})
		got := patch(t, sim, `{}`, nil)
		var body struct {
			StatusCode                int
			Error, Message, ErrorCode string
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil {
			t.Fatal(err)
		}
		if got.status != row.Answer.Status || body.StatusCode != got.status || body.Error != http.StatusText(got.status) ||
			body.Message == "" || body.ErrorCode != row.Answer.Error {
			t.Errorf("%s: got %d %s", row.Name, got.status, got.body)
		}
	}
	configure(t, sim, func(s *auth0sim.Settings) {
		s.Answers = map[auth0sim.AnswerName]auth0sim.Answer{auth0sim.AnswerManagementNoToken: {Status: 400, Error: "other", Description: "words"}}
	})
	want(t, patch(t, sim, `{}`, nil), 400, `{"statusCode":400,"error":"Bad Request","message":"words","errorCode":"other"}`)
}

// Nothing that a user has is forgotten where the Management API shows it, but for
// what only the simulator knows.
func TestEverythingIsShown(t *testing.T) {
	t.Parallel()
	full := auth0sim.User{
		ID: "auth0|full", Connection: auth0sim.DemoConnection, Email: "full@example.test", EmailVerified: true, Username: "full",
		Phone: "+491511234567", PhoneVerified: true, Password: "a password", Blocked: true, MFA: true, Multifactor: []string{"guardian"},
		AuthenticationMethods: []auth0sim.AuthenticationMethod{{ID: "totp|dev_1", Type: "totp"}},
		PasswordLeaked:        true, Deny: &auth0sim.Denial{Reason: "x"}, Name: "n", GivenName: "g", FamilyName: "f", MiddleName: "m", Nickname: "k",
		Picture: "p", CreatedAt: frozen(), UpdatedAt: frozen(), LastLogin: frozen(), LastIP: "203.0.113.7", LoginsCount: 3,
		LastPasswordReset: frozen(), AppMetadata: map[string]any{"a": 1}, UserMetadata: map[string]any{"u": 2},
		CustomClaims: map[string]any{"c": 3}, PasswordHash: "", Identities: []auth0sim.Identity{{Provider: "github", UserID: "1"}},
	}
	for i, value := 0, reflect.ValueOf(full); i < value.NumField(); i++ {
		if name := value.Type().Field(i).Name; value.Field(i).IsZero() && name != "PasswordHash" {
			t.Fatalf("the test does not set %s", name)
		}
	}
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	stored, err := sim.AddUser(full)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	var kept, shown map[string]any
	got := get(t, sim, auth0sim.PathUsers+"auth0%7Cfull", machineBearer(t, sim))
	if err := errors.Join(json.Unmarshal(raw, &kept), json.Unmarshal([]byte(got.body), &shown)); err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"connection", "mfa", "password_leaked", "deny", "custom_claims", "identities", "authentication_methods"} {
		delete(kept, own)
	}
	delete(shown, "identities")
	if !reflect.DeepEqual(kept, shown) {
		t.Errorf("got %v\nwant %v", shown, kept)
	}
}
