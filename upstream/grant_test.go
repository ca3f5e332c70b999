package upstream_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ferry/outcome"
	"ferry/transport"
	"ferry/upstream"
)

func TestRequest(t *testing.T) {
	tn, c := newTenant(t)
	profile, loginErr := ask(t, c)
	if loginErr != nil {
		t.Fatal(loginErr)
	}
	if !strings.Contains(profile.Claims, `"sub":"auth0|alice"`) {
		t.Errorf("claims %s", profile.Claims)
	}
	profile.Claims = ""
	if profile != (upstream.Profile{Subject: alice, Email: "alice@example.org", EmailVerified: true}) {
		t.Errorf("profile %+v", profile)
	}
	want := "map[client_id:[ferry-client] client_secret:[client-secret] grant_type:[http://auth0.com/oauth/grant-type/password-realm] " +
		"password:[" + canary + "] realm:[users] scope:[openid profile email phone] username:[alice@example.org]]"
	if got := fmt.Sprint(tn.form); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

func TestDefaultDirectoryWithoutRealm(t *testing.T) {
	tn, c := newTenant(t)
	if _, err := c.Verify(t.Context(), upstream.Credentials{Username: "alice"}); err != nil {
		t.Fatal(err)
	}
	if tn.form.Get("grant_type") != "password" || tn.form.Has("realm") {
		t.Errorf("sent %v", tn.form)
	}
}

// TestAnswers: the outcome of each answer of Auth0, with one request each.
func TestAnswers(t *testing.T) {
	oauth := func(status int, code, description string) http.HandlerFunc {
		return sendJSON(status, fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, description))
	}
	const blockedText = "Your account has been blocked after multiple consecutive login attempts. We’ve sent you an email with instructions on how to unblock it."
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   outcome.Outcome
	}{
		{"wrong password", oauth(403, "invalid_grant", "Wrong email or password."), outcome.Mismatch},
		{"wrong password, legacy", oauth(401, "invalid_user_password", "Wrong email or password."), outcome.Mismatch},
		{"wrong password, 401", oauth(401, "invalid_grant", "Wrong email or password."), outcome.Mismatch},
		{"wrong password, custom text", oauth(403, "invalid_grant", "Falsches Passwort"), outcome.Mismatch},
		{"wrong password, no text", sendJSON(403, `{"error":"invalid_grant"}`), outcome.Mismatch},
		{"wrong password, unknown keys", sendJSON(403, `{"error":"invalid_grant","error_description":"Wrong email or password.","x":{"y":[1]}}`), outcome.Mismatch},
		{"wrong password, text of another type", sendJSON(403, `{"error":"invalid_grant","error_description":{"a":1}}`), outcome.InvalidResponse},
		{"wrong password, key twice", sendJSON(403, `{"error":"invalid_grant","error":"invalid_grant"}`), outcome.InvalidResponse},
		{"wrong password, key twice but for case", sendJSON(403, `{"error":"invalid_grant","Error":"x"}`), outcome.InvalidResponse},
		{"wrong password, key in another case", sendJSON(403, `{"Error":"invalid_grant"}`), outcome.InvalidResponse},
		{"wrong password as text", send(403, "text/plain", `{"error":"invalid_grant","error_description":"Wrong email or password."}`), outcome.InvalidResponse},
		{"wrong password with 400", oauth(400, "invalid_grant", "Wrong email or password."), outcome.InvalidResponse},
		{"wrong password with 500", oauth(500, "invalid_grant", "Wrong email or password."), outcome.Unavailable},
		{"wrong password with 200", oauth(200, "invalid_grant", "Wrong email or password."), outcome.InvalidResponse},
		{"tokens and an error in another case", sendJSON(200, `{"access_token":"at-1","Error":0}`), outcome.InvalidResponse},
		{"tokens and an error, null in another spelling", sendJSON(200, `{"access_token":"at-1","error":"x","er_ror":null}`), outcome.InvalidResponse},
		{"user blocked", oauth(401, "unauthorized", "user is blocked"), outcome.Blocked},
		{"user blocked as invalid_grant", oauth(403, "invalid_grant", "user is blocked"), outcome.Blocked},
		{"brute force", oauth(429, "too_many_attempts", blockedText), outcome.Throttled},
		{"suspicious IP", oauth(429, "too_many_attempts", "We have detected suspicious login behavior and further attempts will be blocked. Please contact the administrator."), outcome.Limited},
		{"too many attempts, no text", sendJSON(429, `{"error":"too_many_attempts"}`), outcome.Limited},
		{"too many logins", oauth(429, "too_many_logins", ""), outcome.Limited},
		{"too many requests", oauth(429, "too_many_requests", "Global limit has been reached"), outcome.Limited},
		{"429 without JSON", send(429, "text/html", "<h1>slow down</h1>"), outcome.Limited},
		{"tenant limit", oauth(500, "access_denied", "Global limit has been reached"), outcome.Limited},
		{"action", oauth(403, "access_denied", "You shall not pass"), outcome.Denied},
		{"action with 401", oauth(401, "access_denied", "You shall not pass"), outcome.Denied},
		{"action that says Unauthorized", oauth(403, "access_denied", "Unauthorized"), outcome.Denied},
		{"rule", oauth(401, "unauthorized", "Please verify your email before logging in."), outcome.Denied},
		{"client secret", oauth(401, "access_denied", "Unauthorized"), outcome.Misconfigured},
		{"invalid client", oauth(401, "invalid_client", "x"), outcome.Misconfigured},
		{"grant not allowed", oauth(403, "unauthorized_client", "Grant type 'http://auth0.com/oauth/grant-type/password-realm' not allowed for the client."), outcome.Misconfigured},
		{"audience", oauth(403, "access_denied", "Service not found: https://api"), outcome.Misconfigured},
		{"audience elsewhere", oauth(403, "access_denied", "Service not enabled within domain: https://api"), outcome.Misconfigured},
		{"no default directory", oauth(500, "server_error", "Authorization server not configured with default connection."), outcome.Misconfigured},
		{"other server error", oauth(500, "server_error", "oops"), outcome.Unavailable},
		{"unknown realm", oauth(400, "invalid_request", "the connection was not found"), outcome.Misconfigured},
		{"realm without passwords", oauth(400, "invalid_request", "invalid connection specified for password grant"), outcome.Misconfigured},
		{"scope", oauth(400, "invalid_scope", "Scope must be an array or a string"), outcome.Misconfigured},
		{"grant type", oauth(501, "unsupported_grant_type", ""), outcome.Misconfigured},
		{"endpoint off", oauth(404, "endpoint_disabled", ""), outcome.Misconfigured},
		{"mfa", sendJSON(403, `{"error":"mfa_required","error_description":"Multifactor authentication required","mfa_token":"Fe26"}`), outcome.MFARequired},
		{"mfa registration", oauth(403, "mfa_registration_required", ""), outcome.MFARequired},
		{"leaked", oauth(401, "password_leaked", "This login attempt has been blocked"), outcome.Leaked},
		{"bot detection", oauth(401, "requires_verification", "Suspicious request requires verification"), outcome.Suspicious},
		{"bot detection, other spelling", oauth(401, "requires_validation", ""), outcome.Suspicious},
		{"passwordless realm", oauth(403, "invalid_grant", "Wrong email or verification code."), outcome.Misconfigured},
		{"another grant's code", oauth(403, "invalid_grant", "Invalid authorization code"), outcome.InvalidResponse},
		{"another grant's refresh token", oauth(403, "invalid_grant", "Unknown or invalid refresh token."), outcome.InvalidResponse},
		{"another grant's mfa", oauth(403, "invalid_grant", "Malformed mfa_token"), outcome.InvalidResponse},
		{"mfa rejected", oauth(400, "access_denied", "MFA Authorization rejected."), outcome.InvalidResponse},
		{"down for a moment", oauth(503, "temporarily_unavailable", ""), outcome.Unavailable},
		{"unknown code", oauth(403, "teapot", "Wrong email or password."), outcome.InvalidResponse},
		{"unknown code with 5xx", oauth(503, "teapot", ""), outcome.Unavailable},
		{"gateway page", send(502, "text/html", "<html>502</html>"), outcome.Unavailable},
		{"firewall page", send(403, "text/html", "<html>denied</html>"), outcome.InvalidResponse},
		{"not JSON at all", sendJSON(403, "Wrong email or password."), outcome.InvalidResponse},
		{"JSON of another kind", sendJSON(403, `["invalid_grant"]`), outcome.InvalidResponse},
		{"null", sendJSON(403, "null"), outcome.InvalidResponse},
		{"empty", sendJSON(403, ""), outcome.InvalidResponse},
		{"empty 200", sendJSON(200, ""), outcome.InvalidResponse},
		{"204", send(204, "application/json", ""), outcome.InvalidResponse},
		{"201 with tokens", sendJSON(201, tokens("x")), outcome.InvalidResponse},
		{"200 as HTML", send(200, "text/html", tokens("x")), outcome.InvalidResponse},
		{"200 without media type", send(200, "", `{"access_token":"a"}`), outcome.InvalidResponse},
		{"200 with an error beside the token", sendJSON(200, `{"access_token":"a","error":"x"}`), outcome.InvalidResponse},
		{"200 with an empty error", sendJSON(200, `{"access_token":"a","error":""}`), outcome.InvalidResponse},
		{"200 without access token", sendJSON(200, `{"id_token":"x"}`), outcome.InvalidResponse},
		{"200 with empty access token", sendJSON(200, `{"access_token":"","id_token":"x"}`), outcome.InvalidResponse},
		{"200 with access token of another type", sendJSON(200, `{"access_token":1,"id_token":"x"}`), outcome.InvalidResponse},
		{"200 with the access token twice", sendJSON(200, `{"access_token":"a","access_token":"b"}`), outcome.InvalidResponse},
		{"200 with trailing text", sendJSON(200, `{"access_token":"a"} {}`), outcome.InvalidResponse},
		{"200 truncated", sendJSON(200, `{"access_token":"a`), outcome.InvalidResponse},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, outcome.InvalidResponse},
		{"oversized", sendJSON(200, `{"access_token":"a","x":"`+strings.Repeat("x", 2<<20)+`"}`), outcome.Unavailable},
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, outcome.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			tn, client := newTenant(t)
			tn.token = c.answer
			_, loginErr := ask(t, client)
			if loginErr == nil || loginErr.Outcome != c.want {
				t.Fatalf("%v, want %s", loginErr, c.want)
			}
			if n := tn.count("/oauth/token"); n != 1 {
				t.Errorf("the password was sent %d times", n)
			}
			if tn.count("/elsewhere") != 0 {
				t.Error("a redirect was followed")
			}
			if strings.Contains(loginErr.Error(), canary) || loginErr.Reason == "" {
				t.Errorf("error %v", loginErr)
			}
		})
	}
}

func TestHangEndsAtTheTimeout(t *testing.T) {
	hold := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer srv.Close()
	defer close(hold)
	_, loginErr := ask(t, newClient(t, srv.URL, upstream.NewTransport(), 100*time.Millisecond))
	if loginErr == nil || loginErr.Outcome != outcome.Unavailable || loginErr.Reason != "timeout" {
		t.Fatalf("%v", loginErr)
	}
}

func TestCallerGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hold := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); <-hold }))
	defer srv.Close()
	defer close(hold)
	_, loginErr := askContext(ctx, t, newClient(t, srv.URL, upstream.NewTransport(), time.Minute))
	if loginErr == nil || loginErr.Reason != "caller_gone" {
		t.Fatalf("%v", loginErr)
	}
}

func TestUnreachable(t *testing.T) {
	const refuses = "http://127.0.0.1:9" // a free port would soon be that of another program
	_, loginErr := ask(t, newClient(t, refuses, upstream.NewTransport(), 5*time.Second))
	if loginErr == nil || loginErr.Outcome != outcome.Unavailable || loginErr.Reason != "dial" {
		t.Fatalf("%v", loginErr)
	}
}

// TestDialIsTriedAgain: if no connection was made, the request never reached Auth0 and
// is sent again.
func TestDialIsTriedAgain(t *testing.T) {
	tn, _ := newTenant(t)
	srv := httptest.NewServer(http.HandlerFunc(tn.serve))
	defer srv.Close()
	dials := 0
	wire := transport.New(transport.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials++; dials <= 2 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: context.DeadlineExceeded}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}})
	if _, loginErr := ask(t, newClient(t, srv.URL, wire, 5*time.Second)); loginErr != nil {
		t.Fatal(loginErr)
	}
	if dials < 3 || tn.count("/oauth/token") != 1 {
		t.Errorf("%d dials, %d requests", dials, tn.count("/oauth/token"))
	}
}

func TestUntrustedCertificate(t *testing.T) {
	tn, _ := newTenant(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(tn.serve))
	srv.Config.ErrorLog = discardLog()
	srv.StartTLS()
	defer srv.Close()
	_, loginErr := ask(t, newClient(t, srv.URL, upstream.NewTransport(), 5*time.Second))
	if loginErr == nil || loginErr.Outcome != outcome.Unavailable || loginErr.Reason != "tls" || tn.count("/oauth/token") != 0 {
		t.Fatalf("%v", loginErr)
	}
}
