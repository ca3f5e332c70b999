package upstream_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ferry/outcome"
	"ferry/secret"
	"ferry/test/faultyhttp"
	"ferry/upstream"
)

func refreshToken(auth upstream.ClientAuth) upstream.RefreshToken {
	return upstream.RefreshToken{Token: secret.New("rt-canary"), ClientID: "app", Auth: auth}
}

// redeem redeems a token of a public client.
func redeem(t *testing.T, c *upstream.Client) (upstream.Redeemed, *upstream.LoginError) {
	t.Helper()
	got, err := c.Redeem(t.Context(), refreshToken(upstream.NoSecret("app")))
	var loginErr *upstream.LoginError
	if err != nil && !errors.As(err, &loginErr) {
		t.Fatalf("%T: %v", err, err)
	}
	return got, loginErr
}

// TestRedeem: the request is that of the application, with its credentials, and the successor is
// read from the answer.
func TestRedeem(t *testing.T) {
	t.Parallel()
	common := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"rt-canary"}}
	for name, c := range map[string]struct {
		auth upstream.ClientAuth
		want url.Values
	}{
		"public":    {upstream.NoSecret("app"), url.Values{"client_id": {"app"}}},
		"post":      {upstream.SecretPost("app", secret.New("s")), url.Values{"client_id": {"app"}, "client_secret": {"s"}}},
		"basic":     {upstream.SecretBasic("app", secret.New("s")), url.Values{}},
		"assertion": {upstream.ForwardedAssertion("app", secret.New("a.b.c")), url.Values{"client_id": {"app"}, "client_assertion": {"a.b.c"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			maps.Copy(c.want, common)
			redeemsAs(t, c.auth, c.want)
		})
	}
	tn, client := newTenant(t)
	if _, err := client.Redeem(t.Context(), upstream.RefreshToken{Token: secret.New("x"), ClientID: "app"}); err == nil || tn.count("/oauth/token") > 0 {
		t.Errorf("without client authentication: %v", err)
	}
}

func redeemsAs(t *testing.T, auth upstream.ClientAuth, want url.Values) {
	t.Helper()
	tn, client := newTenant(t)
	tn.token = sendJSON(200, `{"access_token":"canary","refresh_token":"next","scope":"openid"}`)
	got, err := client.Redeem(t.Context(), refreshToken(auth))
	if err != nil || got.Successor().Reveal() != "next" {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(tn.form, want) {
		t.Errorf("%v", tn.form)
	}
	again, err := upstream.ReadRedeemed(got.Text())
	if err != nil || again.Successor().Reveal() != "next" {
		t.Errorf("%v", err)
	}
	if text := fmt.Sprintf("%v %+v", got, got); strings.Contains(text, "next") || strings.Contains(text, "canary") {
		t.Errorf("it prints its tokens: %s", text)
	}
}

// TestEveryRefreshEnds: a token is sent once, and a faulty answer never decides.
func TestEveryRefreshEnds(t *testing.T) {
	t.Parallel()
	for name, c := range endings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn, srv := faulty(t, "/oauth/token", c.fault)
			tn.token = sendJSON(200, `{"access_token":"at","refresh_token":"next"}`)
			wire := upstream.NewTransport()
			t.Cleanup(wire.CloseIdleConnections)
			_, err := redeem(t, newClient(t, srv.URL, wire, 300*time.Millisecond))
			if err == nil || err.Outcome != c.want || upstream.Unsent(err.Reason) {
				t.Errorf("%v", err)
			}
			if n := tn.count("/oauth/token"); n > 1 && c.fault != faultyhttp.None {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

// TestIdentify: the user is the subject of a valid ID token for the application, else the one of
// /userinfo.
func TestIdentify(t *testing.T) {
	t.Parallel()
	jwtFor := func(aud string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":`+aud+`}`)) + ".sig"
	}
	app := map[string]any{"aud": "app", "amr": []string{"mfa"}}
	for name, c := range map[string]struct {
		access, id, scope, userinfo string
		want                        string
	}{
		"ID token":               {"at", idToken(t, app), "openid read:x", "", "auth0|alice [openid read:x] [] [mfa]"},
		"audience":               {jwtFor(`["https://api/","https://tenant.example/userinfo"]`), idToken(t, app), "openid", "", "auth0|alice [openid] [https://api/] [mfa]"},
		"one audience":           {jwtFor(`"https://api/"`), idToken(t, app), "openid", "", "auth0|alice [openid] [https://api/] [mfa]"},
		"PS256":                  {"at", sign(t, jose.PS256, "k1", key(), payload(t, app)), "openid", "", "auth0|alice [openid] [] [mfa]"},
		"userinfo":               {"at", "", "openid", `{"sub":"auth0|alice","amr":7}`, "auth0|alice [openid] [] []"},
		"scope not named":        {"at", "", "", `{"sub":"auth0|alice"}`, "auth0|alice [] [] []"},
		"HS256":                  {"at", sign(t, jose.HS256, "", []byte(strings.Repeat("s", 32)), payload(t, app)), "openid", `{"sub":"auth0|alice"}`, "auth0|alice [openid] [] []"},
		"HS256, another user":    {"at", sign(t, jose.HS256, "", []byte(strings.Repeat("s", 32)), payload(t, app)), "openid", `{"sub":"auth0|bob"}`, "garbled userinfo_other_subject"},
		"for ferry, not the app": {"at", idToken(t, nil), "openid", "", "garbled id_token_wrong_claims"},
		"signed by another":      {"at", sign(t, jose.RS256, "k1", foreignKey(), payload(t, app)), "openid", "", "garbled id_token_untrusted"},
		"no openid":              {"at", "", "read:x", `{"sub":"auth0|alice"}`, "denied no_openid"},
		"no access token":        {"", idToken(t, app), "openid", "", "garbled no_access_token"},
		"userinfo down":          {"at", "", "openid", "", "unavailable userinfo_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn, client := newTenant(t)
			if c.userinfo != "" {
				tn.userinfo = sendJSON(200, c.userinfo)
			}
			tn.token = sendJSON(200, fmt.Sprintf(`{"access_token":%q,"id_token":%q,"scope":%q,"refresh_token":"next"}`, c.access, c.id, c.scope))
			redeemed, loginErr := redeem(t, client)
			if loginErr != nil {
				t.Fatal(loginErr)
			}
			s, err := client.Identify(t.Context(), "app", redeemed)
			got := fmt.Sprint(s.Profile.Subject, " ", s.Scope, " ", s.Audience, " ", s.AMR)
			if errors.As(err, &loginErr) {
				got = loginErr.Outcome.String() + " " + loginErr.Reason
			}
			if got != c.want || err == nil && s.ScopeKnown != (c.scope != "") {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestRevoke: Auth0 gets the token from the application itself. Only 200 is a success.
func TestRevoke(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`200 `: "", `200 {}`: "", `401 {"error":"invalid_client"}`: "misconfigured client_refused", `400 {"error":"invalid_request"}`: "misconfigured request_invalid",
		`403 {"error":"invalid_grant"}`: "misconfigured client_refused", `503 {}`: "unavailable server_fault", `429 {}`: "limited request_rate", `302 `: "garbled redirect",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			status, body, _ := strings.Cut(text, " ")
			code, err := strconv.Atoi(status)
			if err != nil {
				t.Fatal(err)
			}
			var form url.Values
			srv := faultyhttp.Run(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/oauth/revoke" || r.ParseForm() != nil {
					t.Errorf("%s", r.URL)
				}
				form = r.PostForm
				sendJSON(code, body)(w, r)
			}), func(*http.Request) faultyhttp.Fault { return faultyhttp.None })
			wire := upstream.NewTransport()
			t.Cleanup(wire.CloseIdleConnections)
			got := ""
			var loginErr *upstream.LoginError
			if err := newClient(t, srv.URL, wire, time.Second).Revoke(t.Context(), refreshToken(upstream.NoSecret("app"))); errors.As(err, &loginErr) {
				got = loginErr.Outcome.String() + " " + loginErr.Reason
			}
			if got != want || !reflect.DeepEqual(form, url.Values{"client_id": {"app"}, "token": {"rt-canary"}}) {
				t.Errorf("got %q, want %q, %v", got, want, form)
			}
		})
	}
}

// TestRefreshGuard: refresh tokens have a circuit breaker of their own, and Auth0's rate limit is
// that of all.
func TestRefreshGuard(t *testing.T) {
	inGuardedBubble(t, 0, func(g *guarded) {
		g.tn.token = sendJSON(http.StatusServiceUnavailable, `{}`)
		try := func(i int) *upstream.LoginError {
			_, err := g.client.Redeem(g.Context(), upstream.RefreshToken{
				Token: secret.New(fmt.Sprint("rt-", i)), ClientID: "app", Auth: upstream.NoSecret("app"), From: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}),
			})
			var loginErr *upstream.LoginError
			if !errors.As(err, &loginErr) {
				g.Fatal(err)
			}
			return loginErr
		}
		var last *upstream.LoginError
		for i := range 6 {
			last = try(i)
		}
		if last.Reason != upstream.ReasonBreakerOpen || last.Outcome != outcome.Unavailable || g.guard.State().Breakers["refresh_token"] != "open" {
			g.Errorf("%v, %v", last, g.guard.State())
		}
	})
}
