package auth0sim_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ferry/test/auth0sim"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	sim := start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.Connections = append(cfg.Tenant.Connections,
			auth0sim.Connection{Name: "off", Disabled: true},
			auth0sim.Connection{Name: "saml", Strategy: auth0sim.StrategySAML},
			auth0sim.Connection{Name: "other"},
			auth0sim.Connection{Name: "email", Strategy: auth0sim.StrategyEmail},
			auth0sim.Connection{Name: "sms", Strategy: auth0sim.StrategySMS},
		)
		cfg.Tenant.Apps = append(cfg.Tenant.Apps,
			auth0sim.App{ClientID: "narrow", ClientSecret: "s3cret", Connections: []string{auth0sim.DemoConnection}},
			auth0sim.App{ClientID: "plain", ClientSecret: "s3cret", GrantTypes: []string{auth0sim.GrantPassword}},
		)
	})
	tests := map[string]struct {
		form   url.Values
		status int
		body   string
	}{
		"wrong password":   {realmForm("password", "wrong"), 403, wrongPasswordBody},
		"unknown user":     {realmForm("username", "nobody@example.test"), 403, wrongPasswordBody},
		"user elsewhere":   {realmForm("realm", "other"), 403, wrongPasswordBody},
		"no grant type":    {realmForm("grant_type", ""), 400, `{"error":"invalid_request","error_description":"missing grant_type parameter"}`},
		"no client id":     {realmForm("client_id", ""), 400, `{"error":"invalid_request","error_description":"missing client_id parameter"}`},
		"no username":      {realmForm("username", ""), 400, `{"error":"invalid_request","error_description":"missing username parameter"}`},
		"no password":      {realmForm("password", ""), 400, `{"error":"invalid_request","error_description":"missing password parameter"}`},
		"no realm":         {realmForm("realm", ""), 400, `{"error":"invalid_request","error_description":"missing connection parameter"}`},
		"unknown grant":    {realmForm("grant_type", "magic"), 501, `{"error":"unsupported_grant_type","error_description":"Unsupported grant type: magic"}`},
		"unknown client":   {realmForm("client_id", "nobody"), 403, `{"error":"unauthorized_client","error_description":"invalid client"}`},
		"wrong secret":     {realmForm("client_secret", "wrong"), 401, `{"error":"access_denied","error_description":"Unauthorized"}`},
		"no secret":        {realmForm("client_secret", ""), 401, `{"error":"access_denied","error_description":"Unauthorized"}`},
		"grant disallowed": {realmForm("client_id", "plain", "client_secret", "s3cret"), 403, `{"error":"unauthorized_client","error_description":"Grant type 'http://auth0.com/oauth/grant-type/password-realm' not allowed for the client.","error_uri":"https://auth0.com/docs/clients/client-grant-types"}`},
		"unknown realm":    {realmForm("realm", "nowhere"), 400, `{"error":"invalid_request","error_description":"the connection was not found"}`},
		"disabled realm":   {realmForm("realm", "off"), 400, `{"error":"invalid_request","error_description":"the connection was disabled"}`},
		"realm of others":  {realmForm("client_id", "narrow", "client_secret", "s3cret", "realm", "other"), 400, `{"error":"invalid_request","error_description":"the connection was disabled"}`},
		"saml realm":       {realmForm("realm", "saml"), 403, `{"error":"invalid_request","error_description":"invalid connection specified for password grant"}`},
		"email code":       {realmForm("realm", "email"), 403, `{"error":"invalid_grant","error_description":"Wrong email or verification code."}`},
		"sms code":         {realmForm("realm", "sms"), 403, `{"error":"invalid_grant","error_description":"Wrong phone number or verification code."}`},
		"unknown audience": {realmForm("audience", "https://nowhere.test/"), 403, `{"error":"access_denied","error_description":"Service not found: https://nowhere.test/"}`},
		"other management": {realmForm("audience", "https://custom.test/api/v2/"), 403, `{"error":"access_denied","error_description":"Service not enabled within domain: https://custom.test/api/v2/"}`},
		"blocked":          {realmForm("username", "alan@example.test", "password", "enigma-was-not-enough"), 401, `{"error":"unauthorized","error_description":"user is blocked"}`},
		"blocked, wrong":   {realmForm("username", "alan@example.test"), 403, wrongPasswordBody},
		"denied by action": {realmForm("username", "edsger@example.test", "password", "goto-considered-harmful"), 403, `{"error":"access_denied","error_description":"Please verify your email before logging in."}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := post(t, sim, tt.form)
			want(t, got, tt.status, tt.body)
			for header, value := range map[string]string{
				"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "Retry-After": "",
			} {
				if got.header.Get(header) != value {
					t.Errorf("%s: got %q, want %q", header, got.header.Get(header), value)
				}
			}
		})
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	sim := start(t)
	target := sim.URL() + auth0sim.PathToken
	tests := map[string]struct {
		method, target, contentType, body string
		status                            int
		wantBody                          string
	}{
		"get":             {http.MethodGet, target, "", "", 405, `{"error":"method_not_allowed","error_description":"Method not allowed"}`},
		"no content type": {http.MethodPost, target, "", "", 400, `{"error":"invalid_request","error_description":"unreadable content type"}`},
		"text":            {http.MethodPost, target, "text/plain", "", 400, `{"error":"invalid_request","error_description":"content type text/plain is not supported"}`},
		"broken form":     {http.MethodPost, target, formType, "password=%zz", 400, `{"error":"invalid_request","error_description":"unreadable form"}`},
		"repeated":        {http.MethodPost, target, formType, "realm=a&realm=b", 400, `{"error":"invalid_request","error_description":"parameter realm is repeated"}`},
		"in the URL":      {http.MethodPost, target + "?password=x", formType, "", 400, `{"error":"invalid_request","error_description":"parameters belong into the body, not into the URL"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, send(t, tt.method, tt.target, tt.contentType, tt.body, nil), tt.status, tt.wantBody)
		})
	}
	t.Run("oversized", func(t *testing.T) {
		t.Parallel()
		got := send(t, http.MethodPost, target, formType, "password="+strings.Repeat("x", 1<<20), nil)
		want(t, got, 413, "unreadable body\n")
	})
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	sim := start(t)
	got := post(t, sim, realmForm())
	body := mustTokens(t, got)
	if body.AccessToken == "" || body.TokenType != "Bearer" || body.ExpiresIn != 86400 || body.Scope != "" {
		t.Errorf("got %s", got.body)
	}
	for header, value := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache",
	} {
		if got.header.Get(header) != value {
			t.Errorf("%s: got %q, want %q", header, got.header.Get(header), value)
		}
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(get(t, sim, auth0sim.PathJWKS).body), &keys); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(body.IDToken, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := token.Claims(keys.Key(token.Headers[0].KeyID)[0], &claims); err != nil {
		t.Fatal(err)
	}
	now := float64(frozen().Unix())
	wantClaims := map[string]any{
		"iss": "https://sim.auth0.test/", "aud": auth0sim.DemoClientID, "sub": auth0sim.DemoAdaID,
		"iat": now, "exp": now + 36000,
		"email": adaEmail, "email_verified": true, "name": "Ada Lovelace", "given_name": "Ada",
		"family_name": "Lovelace", "nickname": "ada", "updated_at": "2026-01-02T03:04:05.000Z",
		"picture": "https://s.gravatar.com/avatar/28ae5bf8fa0cde12855e61ac303859cc?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fad.png",
	}
	if !reflect.DeepEqual(claims, wantClaims) {
		t.Errorf("got claims %v\nwant %v", claims, wantClaims)
	}
	if header := segment(t, body.IDToken, 0); header["alg"] != "RS256" || header["kid"] == "" {
		t.Errorf("got header %v", header)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	sim := start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.APIs = []auth0sim.API{{Identifier: "https://api.test/", Scopes: []string{"read:a", "write:a"}}}
	})
	const all = "openid profile email address phone"
	tests := map[string]struct {
		scope, audience string
		echo            string
		idToken         bool
		claim           string // one that must be there
		noClaim         string // one that must not
	}{
		"none":              {"", "", all, false, "", ""},
		"openid alone":      {"openid", "", all, true, "name", "phone_number"},
		"openid and email":  {"openid email", "", "", true, "email", "name"},
		"order":             {"email openid", "", "", true, "email", "name"},
		"without openid":    {"email", "", "", false, "", ""},
		"unknown scope":     {"openid email magic", "", "openid email", true, "email", "name"},
		"api, none":         {"", "https://api.test/", all + " read:a write:a", false, "", ""},
		"api, standard":     {"openid email", "https://api.test/", "openid email read:a write:a", true, "email", "name"},
		"api, one":          {"openid read:a", "https://api.test/", "", true, "sub", "email"},
		"userinfo audience": {"openid email", "https://sim.auth0.test/userinfo", "", true, "email", "name"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := mustTokens(t, post(t, sim, realmForm("scope", tt.scope, "audience", tt.audience)))
			if body.Scope != tt.echo {
				t.Errorf("got scope %q, want %q", body.Scope, tt.echo)
			}
			if (body.IDToken != "") != tt.idToken {
				t.Errorf("got id token %t", body.IDToken != "")
			}
			if !tt.idToken {
				return
			}
			claims := segment(t, body.IDToken, 1)
			if _, ok := claims[tt.claim]; !ok {
				t.Errorf("no claim %q in %v", tt.claim, claims)
			}
			if _, ok := claims[tt.noClaim]; ok {
				t.Errorf("claim %q in %v", tt.noClaim, claims)
			}
		})
	}
}

func TestDefaultDirectory(t *testing.T) {
	t.Parallel()
	form := realmForm("grant_type", auth0sim.GrantPassword, "realm", "")
	mustTokens(t, post(t, start(t), form))
	without := start(t, func(cfg *auth0sim.Config) { cfg.Tenant.DefaultDirectory = "" })
	want(t, post(t, without, form), 500,
		`{"error":"server_error","error_description":"Authorization server not configured with default connection."}`)
}

func TestJournal(t *testing.T) {
	t.Parallel()
	sim := start(t)
	const odd = " pä$$ %2B+&=\x01 "
	post(t, sim, realmForm("password", odd), http.Header{
		"auth0-forwarded-for": {"203.0.113.9"}, "X-Trace": {"abc"},
	})
	form := realmForm("username", "Nobody@example.test", "client_id", "", "client_secret", "")
	post(t, sim, form, http.Header{"Authorization": {"Basic " + "c2VjcmV0OnNlY3JldA=="}})
	requests := sim.Requests()
	if len(requests) != 2 {
		t.Fatalf("got %d requests, want 2", len(requests))
	}
	first := requests[0]
	sum := sha256.Sum256([]byte(odd))
	checks := map[string][2]any{
		"seq":          {first.Seq, 1},
		"path":         {first.Path, auth0sim.PathToken},
		"content type": {first.ContentType, "application/x-www-form-urlencoded"},
		"parameters":   {strings.Join(first.Parameters, " "), "client_id client_secret grant_type password realm scope username"},
		"grant":        {first.GrantType, auth0sim.GrantPasswordRealm},
		"realm":        {first.Realm, auth0sim.DemoConnection},
		"username":     {first.Username, adaEmail},
		"scope":        {first.Scope, "openid profile email"},
		"client":       {first.ClientID, auth0sim.DemoClientID},
		"client auth":  {first.ClientAuth, auth0sim.AuthPost},
		"forwarded":    {first.ForwardedFor, "203.0.113.9"},
		"effective":    {first.EffectiveIP, "203.0.113.9"},
		"header":       {first.Header.Get("X-Trace"), "abc"},
		"hash":         {first.PasswordSHA256, hex.EncodeToString(sum[:])},
		"user":         {first.UserID, auth0sim.DemoAdaID},
		"status":       {first.Status, 403},
		"outcome":      {first.Outcome, string(auth0sim.AnswerWrongPassword)},
		"second auth":  {requests[1].ClientAuth, auth0sim.AuthBasic},
		"redacted":     {requests[1].Header.Get("Authorization"), "Basic [redacted]"},
	}
	for name, pair := range checks {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
	if !first.PasswordIs(odd) || first.PasswordIs(odd+" ") {
		t.Error("PasswordIs tells wrongly what arrived")
	}
	if sim.Attempts(auth0sim.DemoAdaID) != 1 || sim.Counters().UnknownAttempts["Nobody@example.test"] != 1 ||
		sim.TokenRequests() != 2 || sim.PathRequests(auth0sim.PathToken) != 2 || sim.Counters().Total() != 2 {
		t.Errorf("got counters %+v", sim.Counters())
	}
	sim.Reset()
	if sim.TokenRequests() != 0 || len(sim.Requests()) != 0 {
		t.Error("reset kept something")
	}
}
