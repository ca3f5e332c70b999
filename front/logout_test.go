package front_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/hydra"
)

// TestLogout: Hydra decides about a logout with an ID token of its own. Without one, a browser
// goes to an address that the client has at Hydra, and to no other.
func TestLogout(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	r := newRig(t, hydraKeys(&broken), nil)
	const out = "https://app.example.com/out?x=1"
	r.clients["spa"] = hydra.OAuth2Client{ID: "spa", LogoutURIs: []string{out}}
	ours, theirs := jwtOf(`{"kid":"hydra-1"}`, `{"aud":["spa"]}`), jwtOf(`{"kid":"auth0-1"}`, `{"aud":"spa"}`)
	for name, c := range map[string]struct {
		path    string
		query   url.Values
		session bool
		status  int
		to      string // Location
		atHydra string // its query; "-": Hydra was not asked
	}{
		"with a hint":            {"/oidc/logout", url.Values{"id_token_hint": {ours}, "post_logout_redirect_uri": {out}, "state": {"s"}, "client_id": {"spa"}}, true, 200, "", url.Values{"id_token_hint": {ours}, "post_logout_redirect_uri": {out}, "state": {"s"}}.Encode()},
		"returnTo with a hint":   {"/v2/logout", url.Values{"id_token_hint": {ours}, "returnTo": {out}, "federated": {""}}, false, 200, "", url.Values{"id_token_hint": {ours}, "post_logout_redirect_uri": {out}}.Encode()},
		"nothing":                {"/v2/logout", nil, true, 200, "", ""},
		"a client alone":         {"/v2/logout", url.Values{"client_id": {"spa"}}, true, 200, "", ""},
		"returnTo, no session":   {"/v2/logout", url.Values{"client_id": {"spa"}, "returnTo": {out}}, false, 302, out, "-"},
		"a state, no session":    {"/oidc/logout", url.Values{"client_id": {"spa"}, "post_logout_redirect_uri": {out}, "state": {"a b"}}, false, 302, out + "&state=a+b", "-"},
		"returnTo, a session":    {"/v2/logout", url.Values{"client_id": {"spa"}, "returnTo": {out}}, true, 200, "", ""},
		"a hint of Auth0's":      {"/oidc/logout", url.Values{"id_token_hint": {theirs}, "post_logout_redirect_uri": {out}}, false, 302, out, "-"},
		"another address":        {"/v2/logout", url.Values{"client_id": {"spa"}, "returnTo": {"https://evil.example/"}}, false, 400, "", "-"},
		"a longer address":       {"/v2/logout", url.Values{"client_id": {"spa"}, "returnTo": {out + "&y=2"}}, true, 400, "", "-"},
		"an injected header":     {"/v2/logout", url.Values{"client_id": {"spa"}, "returnTo": {out + "\r\nSet-Cookie: a=b"}}, false, 400, "", "-"},
		"a script":               {"/v2/logout", url.Values{"client_id": {"spa"}, "returnTo": {"javascript:alert(1)"}}, false, 400, "", "-"},
		"an unknown client":      {"/v2/logout", url.Values{"client_id": {"x"}, "returnTo": {out}}, false, 400, "", "-"},
		"no client":              {"/v2/logout", url.Values{"returnTo": {out}}, false, 400, "", "-"},
		"a forged hint, no aud":  {"/v2/logout", url.Values{"id_token_hint": {jwtOf(`{}`, `{"aud":[]}`)}, "returnTo": {out}}, false, 400, "", "-"},
		"a hint that is no text": {"/v2/logout", url.Values{"id_token_hint": {"..."}, "returnTo": {out}}, false, 400, "", "-"},
	} {
		before := len(r.Requests())
		header := []string{"X-Forwarded-Proto", "https"}
		if c.session {
			header = append(header, "Cookie", "ory_hydra_session=x")
		}
		got := r.send(t, http.MethodGet, c.path+"?"+c.query.Encode(), "", header...)
		at := "-"
		for _, one := range r.Requests()[before:] {
			if path, query, _ := strings.Cut(one.URI, "?"); path == "/oauth2/sessions/logout" {
				at = query
			}
		}
		if got.Status != c.status || got.Header.Get("Location") != c.to || at != c.atHydra {
			t.Errorf("%s: Hydra received %q: %+v", name, at, got)
		}
	}
}

// TestLogoutDone: after Hydra has ended its session, the browser goes where it was to go, if that
// is still an address of the client. A cookie that someone else set changes nothing of that.
func TestLogoutDone(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	r := newRig(t, hydraKeys(&broken), nil)
	const out = "com.example.app://out"
	r.clients["spa"] = hydra.OAuth2Client{ID: "spa", LogoutURIs: []string{out}}
	got := r.send(t, http.MethodGet, "/v2/logout?client_id=spa&state=s&returnTo="+url.QueryEscape(out), "", "Cookie", "ory_hydra_session_dev=x")
	cookie, err := http.ParseSetCookie(got.Header.Get("Set-Cookie"))
	if err != nil || got.Body != "hydra" || !cookie.HttpOnly || cookie.Path != "/v2/logout/done" {
		t.Fatalf("%+v", got)
	}
	got = r.send(t, http.MethodGet, "/v2/logout/done", "", "Cookie", cookie.Name+"="+cookie.Value)
	if got.Status != http.StatusFound || got.Header.Get("Location") != out+"?state=s" || !strings.Contains(got.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%+v", got)
	}
	for _, value := range []string{"", "x", "c3BhCmh0dHBzOi8vZXZpbC5leGFtcGxlCg", "c3Bh", "c3BhCgo"} { // spa and an address of another host
		got = r.send(t, http.MethodGet, "/v2/logout/done", "", "Cookie", cookie.Name+"="+value)
		if got.Status != http.StatusOK || !strings.Contains(got.Body, "You are logged out.") || got.Header.Get("Location") != "" {
			t.Errorf("%q: %+v", value, got)
		}
	}
}
