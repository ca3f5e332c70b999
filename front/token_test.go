package front_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ferry/front"
)

func basic(id, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+password))
}

// TestUnchanged: what is no refresh token of Auth0 reaches Hydra as it came: method, query, host,
// headers and the bytes of the body. The answer reaches the client as Hydra gave it.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Add("Set-Cookie", "ory_hydra_login_csrf_1=a b; Path=/; HttpOnly")
		w.Header().Set("Location", "http://127.0.0.1:1/login?login_challenge=x&y=%20")
		w.WriteHeader(http.StatusFound)
	}, nil)
	odd := "grant_type=authorization_code&code=ory_ac_%2e&x=%41+b&client_id=spa&&y"
	for _, c := range []struct{ method, path, body, uri string }{
		{http.MethodPost, "/oauth/token", odd, "/oauth2/token"},
		{http.MethodPost, "/oauth2/token", odd, "/oauth2/token"},
		{http.MethodPost, "/oauth/token?x=%41;y", "grant_type=refresh_token&refresh_token=ory_rt_1.2&client_id=spa", "/oauth2/token?x=%41;y"},
		{http.MethodPost, "/oauth/token", "grant_type=refresh_token&client_id=spa", "/oauth2/token"},
		{http.MethodPost, "/oauth/token", "grant_type=Refresh_Token&refresh_token=v1.M&client_id=spa", "/oauth2/token"},
		{http.MethodPost, "/oauth/token", "resource=a&resource=b&audience=c&audience=d", "/oauth2/token"},
		{http.MethodGet, "/oauth/token?grant_type=refresh_token&refresh_token=v1.M", "", "/oauth2/token?grant_type=refresh_token&refresh_token=v1.M"},
		{http.MethodGet, "/authorize?client_id=spa&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb%3Fa%3Db&state=%7E+x;", "", "/oauth2/auth?client_id=spa&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb%3Fa%3Db&state=%7E+x;"},
		{http.MethodPost, "/authorize", "client_id=spa&client_id=web", "/oauth2/auth"},
		{http.MethodGet, "/oauth2/fallbacks/error?error=%2F", "", "/oauth2/fallbacks/error?error=%2F"},
		{http.MethodGet, "/.well-known/openid-configuration", "", "/.well-known/openid-configuration"},
		{http.MethodPost, "//oauth/token", "anything", "//oauth/token"},
		{http.MethodDelete, "/oauth/token/", "", "/oauth/token/"},
		{http.MethodPost, "/a%2Fb/c%20d?%zz", strings.Repeat("x", 200_000), "/a%2Fb/c%20d?%zz"},
	} {
		before := len(r.Requests())
		got := r.send(t, c.method, c.path, c.body, "Content-Type", "application/x-www-form-urlencoded", "Cookie", `a=1; b="2"`, "Auth0-Client", "eyJ", "X-Other", "1")
		all := r.Requests()[before:]
		if len(all) != 1 {
			t.Fatalf("%s: %d requests: %+v", c.path, len(all), got)
		}
		if all[0].Method != c.method || all[0].URI != c.uri || all[0].Body != c.body || all[0].Host != strings.TrimPrefix(r.front.URL, "http://") {
			t.Errorf("%s %s: Hydra received %s %s %s %q", c.method, c.path, all[0].Host, all[0].Method, all[0].URI, all[0].Body)
		}
		header := all[0].Header
		if header.Get("Cookie") != `a=1; b="2"` || header.Get("Auth0-Client") != "eyJ" || header.Get("X-Other") != "1" || header.Get("X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("%s: %v", c.path, header)
		}
		if got.Status != http.StatusFound || got.Header.Get("Set-Cookie") != "ory_hydra_login_csrf_1=a b; Path=/; HttpOnly" || got.Header.Get("Location") != "http://127.0.0.1:1/login?login_challenge=x&y=%20" {
			t.Errorf("%s: %+v", c.path, got)
		}
	}
	if len(r.read) > 0 {
		t.Errorf("the registry was asked %d times", len(r.read))
	}
}

// TestJSON: a JSON body becomes a form with the same parameters.
func TestJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want url.Values // nil: refused
	}{
		"a code":           {`{"grant_type":"authorization_code","code":"a+b &=é","client_id":"spa","code_verifier":"v"}`, url.Values{"grant_type": {"authorization_code"}, "code": {"a+b &=é"}, "client_id": {"spa"}, "code_verifier": {"v"}}},
		"lists":            {`{"client_id":"spa","scope":["openid","email"]}`, url.Values{"client_id": {"spa"}, "scope": {"openid email"}}},
		"other values":     {`{"client_id":"spa","a":1.50,"b":true,"c":false,"d":null,"e":""}`, url.Values{"client_id": {"spa"}, "a": {"1.50"}, "b": {"true"}, "c": {"false"}}},
		"a key twice":      {`{"client_id":"spa","client_id":"web"}`, nil},
		"a key, two cases": {`{"client_id":"spa","Client_Id":"web"}`, nil},
		"an object":        {`{"client_id":{"a":"b"}}`, nil},
		"a list of lists":  {`{"scope":[["openid"]]}`, nil},
		"a blank in one":   {`{"scope":["openid email"]}`, nil},
		"a list":           {`["client_id"]`, nil},
		"two values":       {`{"client_id":"spa"} {}`, nil},
		"not UTF-8":        {"{\"client_id\":\"\xff\"}", nil},
		"nothing":          {``, nil},
		"a form":           {`client_id=spa`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, nil)
			got := r.send(t, http.MethodPost, "/oauth/token", c.body, "Content-Type", "application/json; charset=UTF-8")
			all := r.Requests()
			if c.want == nil {
				if got.Status != http.StatusBadRequest || !strings.Contains(got.Body, `"error":"invalid_request"`) || len(all) > 0 {
					t.Errorf("%+v, %+v", got, all)
				}
				return
			}
			if got.Body != "hydra" || len(all) != 1 || all[0].Body != c.want.Encode() || all[0].Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("%+v, %+v", got, all)
			}
		})
	}
}

// TestRefused: requests that two readers could understand differently reach no one.
func TestRefused(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		body   string
		status int
		header []string
	}{
		"a parameter twice":        {"client_id=spa&grant_type=a&grant_type=refresh_token", 400, []string{"Content-Type", form}},
		"the same value twice":     {"client_id=spa&client_id=spa", 400, []string{"Content-Type", form}},
		"a semicolon":              {"client_id=spa;grant_type=a", 400, []string{"Content-Type", form}},
		"a bad escape":             {"client_id=%zz", 400, []string{"Content-Type", form}},
		"too long":                 {"a=" + strings.Repeat("x", 64<<10), 413, []string{"Content-Type", form}},
		"compressed":               {"client_id=spa", 415, []string{"Content-Type", form, "Content-Encoding", "gzip"}},
		"UTF-16":                   {"client_id=spa", 415, []string{"Content-Type", form + "; charset=utf-16"}},
		"multipart":                {"client_id=spa", 415, []string{"Content-Type", "multipart/form-data; boundary=x"}},
		"text":                     {"client_id=spa", 415, []string{"Content-Type", "text/plain"}},
		"no type":                  {"client_id=spa", 415, nil},
		"two types":                {"client_id=spa", 415, []string{"Content-Type", form, "Content-Type", "application/json"}},
		"two authorizations":       {"a=b", 400, []string{"Content-Type", form, "Authorization", basic("spa", "x"), "Authorization", basic("web", "x")}},
		"a malformed one":          {"a=b", 400, []string{"Content-Type", form, "Authorization", "Basic !"}},
		"a bearer token":           {"a=b", 400, []string{"Content-Type", form, "Authorization", "Bearer x"}},
		"two clients":              {"client_id=spa", 400, []string{"Content-Type", form, "Authorization", basic("web", "x")}},
		"two secrets":              {"client_id=web&client_secret=y", 400, []string{"Content-Type", form, "Authorization", basic("web", "x")}},
		"a secret and assertion":   {"client_id=web&client_secret=y&client_assertion=z", 400, []string{"Content-Type", form}},
		"basic and an assertion":   {"client_id=web&client_assertion=z", 400, []string{"Content-Type", form, "Authorization", basic("web", "x")}},
		"an injected second value": {"client_id=spa&refresh_token=ory_rt_x%0d%0a&refresh_token=v1", 400, []string{"Content-Type", form}},
	} {
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth2/revoke"} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, nil, nil)
				got := r.send(t, http.MethodPost, path, c.body, c.header...)
				if got.Status != c.status || !strings.Contains(got.Body, `"error":"invalid_request"`) || got.Header.Get("Cache-Control") != "no-store" || len(r.Requests()) > 0 {
					t.Errorf("%+v, %d requests", got, len(r.Requests()))
				}
			})
		}
	}
}

// TestClientAuthentication: whatever way a client uses, Hydra sees the one that it registered.
func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	const secret = canary + "/_-"
	inForm := func(id string) string {
		return url.Values{"a": {"b"}, "client_id": {id}, "client_secret": {secret}}.Encode()
	}
	encoded := func(id string) string { return basic(url.QueryEscape(id), url.QueryEscape(secret)) }
	for name, c := range map[string]struct {
		body, authorization         string
		wantBody, wantAuthorization string
	}{
		"post as post":         {inForm("post"), "", inForm("post"), ""},
		"basic as post":        {"a=b", encoded("post"), inForm("post"), ""},
		"basic, id twice":      {"a=b&client_id=post", encoded("post"), inForm("post"), ""},
		"both as post":         {inForm("post"), encoded("post"), inForm("post"), ""},
		"basic as basic":       {"a=b", encoded("basic"), "a=b", encoded("basic")},
		"unencoded as basic":   {"a=b", basic("basic", secret), "a=b", basic("basic", secret)},
		"post as basic":        {inForm("basic"), "", "a=b&client_id=basic", encoded("basic")},
		"both as basic":        {inForm("basic"), encoded("basic"), "a=b&client_id=basic", encoded("basic")},
		"an odd id as basic":   {inForm("a%b+c"), "", "a=b&client_id=a%25b%2Bc", encoded("a%b+c")},
		"a public client":      {inForm("spa"), "", "a=b&client_id=spa", ""},
		"a public, basic":      {"a=b", encoded("spa"), "a=b&client_id=spa", ""},
		"a public, no secret":  {"a=b", basic("spa", ""), "a=b", basic("spa", "")},
		"a secret for a key":   {inForm("jwt"), "", inForm("jwt"), ""},
		"an assertion":         {"a=b&client_assertion=e30.e30.x&client_id=post", "", "a=b&client_assertion=e30.e30.x&client_id=post", ""},
		"no client that it is": {inForm("unknown"), "", inForm("unknown"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, nil)
			header := []string{}
			if c.authorization != "" {
				header = []string{"Authorization", c.authorization}
			}
			got := r.form(t, "/oauth/token", c.body, header...)
			all := r.Requests()
			if got.Body != "hydra" || len(all) != 1 {
				t.Fatalf("%+v", got)
			}
			if all[0].Body != c.wantBody || all[0].Header.Get("Authorization") != c.wantAuthorization {
				t.Errorf("Hydra received %q with %q", all[0].Body, all[0].Header.Get("Authorization"))
			}
			r.checkSilent(t)
		})
	}
}

// TestRegistryDown: a client that was read lately is known while the admin API is down. Hydra's
// refusal of one that is not known may be wrong, so it is an outage.
func TestRegistryDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}, nil)
	send := func() int { return r.form(t, "/oauth/token", "client_id=basic&client_secret=x").Status }
	r.down = true
	if got := send(); got != http.StatusServiceUnavailable || r.counted(t, "token", "client_unknown") != 1 {
		t.Errorf("status %d", got)
	}
	if got := r.form(t, "/oauth/token", "client_id=spa").Status; got != http.StatusUnauthorized {
		t.Errorf("a public client: status %d", got) // nothing to translate: Hydra decides
	}
	r.down = false
	if got := send(); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	r.down = true
	for _, age := range []time.Duration{0, 30 * time.Minute} {
		r.later(age)
		if got := send(); got != http.StatusOK {
			t.Errorf("after %s: status %d", age, got)
		}
	}
	r.later(time.Hour)
	if got := send(); got != http.StatusServiceUnavailable {
		t.Errorf("after 90 minutes: status %d", got)
	}
}

// TestNotEnabled: a refresh token of Auth0 of a client that is not re-minted reaches no one. The
// application keeps it: the answer is an outage, until the migration has ended.
func TestNotEnabled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		closed bool
		status int
		code   string
		logged int
	}{
		"while the migration lasts": {false, 503, "temporarily_unavailable", 1},
		"after its end":             {true, 403, "invalid_grant", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, func(o *front.Options) { o.Closed = c.closed })
			for _, token := range []string{"v1." + canary, "ory_xx_" + canary, "ORY_RT_" + canary, " ory_rt_", "x"} {
				got := r.form(t, "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {"spa"}}.Encode())
				if got.Status != c.status || !strings.Contains(got.Body, `"error":"`+c.code+`"`) || (got.Header.Get("Retry-After") != "") != !c.closed {
					t.Errorf("%s: %+v", token, got)
				}
			}
			if len(r.Requests()) > 0 || r.logs.Len() != c.logged {
				t.Errorf("%d requests, %d lines", len(r.Requests()), r.logs.Len())
			}
			r.checkSilent(t)
		})
	}
}
