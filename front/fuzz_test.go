package front_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/front"
	"ferry/hydra"
	"ferry/remint"
	"ferry/secret"
)

// roundTrip is a transport that answers by itself.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// said is an answer in JSON.
func said(r *http.Request, status int, body []byte) *http.Response {
	return &http.Response{
		Request: r, StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// fuzzed is a front before a Hydra that knows no client.
func fuzzed(tb testing.TB, atHydra roundTrip, change func(*front.Options)) *front.Front {
	tb.Helper()
	opts := front.Options{
		Hydra: &url.URL{Scheme: "http", Host: "hydra.invalid"}, Transport: atHydra, Registry: &world{clients: map[string]hydra.OAuth2Client{}},
		PerMinute: 1 << 30, Closed: true, Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now,
	}
	if change != nil {
		change(&opts)
	}
	made, err := front.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// understood reads a body as net/url does or, if it is JSON, as encoding/json does. ok is false if
// it cannot be read, or has a parameter twice that must not come twice.
func understood(body []byte, asJSON bool) (values url.Values, ok bool) {
	if asJSON {
		return members(body)
	}
	values, err := url.ParseQuery(string(body))
	for name, all := range values {
		if len(all) > 1 && name != "resource" && name != "audience" {
			return nil, false
		}
	}
	return values, err == nil
}

// members reads the members of a JSON object as parameters: texts, numbers as they are written,
// booleans, and lists of texts with blanks between them.
func members(body []byte) (values url.Values, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
		return nil, false
	}
	values = url.Values{}
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		var member any
		text, isText := name.(string)
		if err != nil || !isText || seen[text] || dec.Decode(&member) != nil {
			return nil, false
		}
		seen[text] = true
		value, isParameter := parameterOf(member)
		if !isParameter {
			return nil, false
		}
		if value != "" {
			values.Set(text, value)
		}
	}
	_, err := dec.Token()
	_, after := dec.Token()
	return values, err == nil && after == io.EOF
}

func parameterOf(member any) (text string, ok bool) {
	switch member := member.(type) {
	case nil:
		return "", true
	case string:
		return member, true
	case json.Number:
		return member.String(), true
	case bool:
		return map[bool]string{true: "true", false: "false"}[member], true
	case []any:
		var all []string
		for _, one := range member {
			word, isText := one.(string)
			if !isText || len(strings.Split(word, " ")) != 1 || word == "" {
				return "", false
			}
			all = append(all, word)
		}
		return strings.Join(all, " "), true
	}
	return "", false
}

// FuzzForm: whatever comes to the token and the revocation endpoint, Hydra reads in the front's request
// what net/url and encoding/json read in that of the application, and package remint gets the same
// token, or Auth0 if it is to be revoked there. A parameter that comes twice goes nowhere, nor does a refresh token of Auth0 to Hydra.
func FuzzForm(f *testing.F) {
	for _, body := range []string{
		"grant_type=refresh_token&client_id=spa&refresh_token=v1.M", "grant_type=refresh_token&client_id=spa&refresh_token=ory_rt_1.2",
		"grant_type=authorization_code&code=ory_ac_1&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb%3Fa%3Db&client_id=a+b", "a=1&a=2", "audience=1&audience=2",
		"token=v1.M&client_id=spa", "token=ory_rt_1", "token=a.b.c", "a=%zz", "a;b", "=&=", "%00=%ff", "client_id=spa&client_assertion=e30.eyJzdWIiOiJzcGEifQ.x", "",
	} {
		f.Add([]byte(body), false, false)
		f.Add([]byte(body), false, true)
	}
	for _, body := range []string{
		`{"grant_type":"refresh_token","client_id":"spa","refresh_token":"v1.M"}`, `{"grant_type":"refresh_token","refresh_token":"ory_rt_1","scope":["a","b"]}`,
		`{"a":1.50,"b":true,"c":null,"d":""}`, `{"token":"v1.M","client_id":"spa"}`, `{"token":"a","Token":"b"}`, `{"a":"1","a":"2"}`, `{"a":{}}`, `{"a":["b c"]}`, `[]`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`,
	} {
		f.Add([]byte(body), true, false)
		f.Add([]byte(body), true, true)
	}
	var atHydra []url.Values
	m := &reminter{}
	made := fuzzed(f, func(r *http.Request) (*http.Response, error) {
		err := r.ParseForm() // as Hydra does
		if err != nil {
			atHydra = append(atHydra, nil)
		} else {
			atHydra = append(atHydra, r.PostForm)
		}
		return said(r, http.StatusBadRequest, []byte(`{"error":"invalid_grant"}`)), nil
	}, func(o *front.Options) {
		o.Closed, o.Auth0 = false, &url.URL{Scheme: "https", Host: "tenant.invalid"}
		o.Auth0Transport = roundTrip(func(r *http.Request) (*http.Response, error) { // for clients that Hydra does not have
			if err := r.ParseForm(); err != nil || r.URL.Path != "/oauth/revoke" {
				panic("Auth0 was asked " + r.URL.Path)
			}
			m.revoked = append(m.revoked, remint.Request{Credentials: hydra.Credentials{ClientID: r.PostForm.Get("client_id")}, RefreshToken: secret.New(r.PostForm.Get("token"))})
			return said(r, http.StatusOK, nil), nil
		})
		reminting(m, "spa")(o)
	})
	f.Fuzz(func(t *testing.T, body []byte, asJSON, revoke bool) {
		const longest = 64 << 10
		body = body[:min(len(body), longest)]
		atHydra, m.asked, m.revoked = nil, nil, nil
		path, param := "/oauth/token", "refresh_token"
		if revoke {
			path, param = "/oauth/revoke", "token"
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", map[bool]string{true: "application/json", false: "application/x-www-form-urlencoded"}[asJSON])
		w := httptest.NewRecorder()
		made.ServeHTTP(w, r)
		sent{body, asJSON, revoke, param}.check(t, atHydra, slices.Concat(m.asked, m.revoked), w)
	})
}

// sent is a request of FuzzForm: param has the token.
type sent struct {
	body           []byte
	asJSON, revoke bool
	param          string
}

// check compares what became of a request with what it says.
func (s sent) check(t *testing.T, atHydra []url.Values, asked []remint.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	want, ok := understood(s.body, s.asJSON)
	token := want.Get(s.param)
	isHydras := token == "" || strings.HasPrefix(token, "ory_rt_") || strings.HasPrefix(token, "ory_at_") || s.revoke && strings.Count(token, ".") == 2 || !s.revoke && want.Get("grant_type") != "refresh_token"
	switch {
	case len(atHydra)+len(asked) > 1:
		t.Fatalf("sent %d times", len(atHydra)+len(asked))
	case len(atHydra) == 1 && (!ok || !isHydras || !maps.EqualFunc(atHydra[0], want, slices.Equal)):
		t.Fatalf("Hydra reads %v in %q, and net/url %v (%v)", atHydra[0], s.body, want, ok)
	case len(asked) == 1 && (!ok || asked[0].RefreshToken.Reveal() != token || !s.revoke && isHydras):
		t.Fatalf("package remint gets %q of %q (%v)", asked[0].RefreshToken.Reveal(), s.body, ok)
	case len(asked) == 1 && want.Get("client_assertion") == "" && asked[0].Credentials.ClientID != want.Get("client_id"):
		t.Fatalf("package remint gets the client %q of %q", asked[0].Credentials.ClientID, s.body)
	case len(atHydra)+len(asked) == 0 && (w.Code < 400 || ok && isHydras && !s.asJSON && want.Get("client_assertion") == ""):
		t.Fatalf("%q goes nowhere: %d %s", s.body, w.Code, w.Body)
	}
}

// privateMembers are the members of private and symmetric keys (RFC 7518, 6).
func privateMembers() []string { return []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} }

// FuzzKeys: whatever Hydra or Auth0 says are its keys, what the front publishes is a set of valid public
// keys with their ids, without a secret.
func FuzzKeys(f *testing.F) {
	for _, keys := range []string{
		keyHydra, keyHydra + `,{"kty":"oct","k":"c2VjcmV0","kid":"s"}`, strings.Replace(keyHydra, "{", `{"d":"AQAB",`, 1), strings.Replace(keyHydra, "{", `{"D":"AQAB",`, 1),
		strings.Replace(keyHydra, "{", `{"k":"c2VjcmV0",`, 1), `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"e"}`, "1", "{}", "null", "",
	} {
		f.Add([]byte(`{"keys":[` + keys + `]}`))
	}
	f.Add([]byte(`{"keys":[],"keys":[` + keyHydra + `]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		made := fuzzed(t, func(r *http.Request) (*http.Response, error) { return said(r, http.StatusOK, body), nil }, nil)
		w := httptest.NewRecorder()
		made.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.well-known/jwks.json", http.NoBody))
		if w.Code == http.StatusServiceUnavailable {
			return
		}
		var texts struct {
			Keys []map[string]any `json:"keys"`
		}
		var keys jose.JSONWebKeySet
		if json.Unmarshal(w.Body.Bytes(), &texts) != nil || json.Unmarshal(w.Body.Bytes(), &keys) != nil || len(keys.Keys) == 0 || len(keys.Keys) != len(texts.Keys) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for i, key := range keys.Keys {
			if id, _ := texts.Keys[i]["kid"].(string); !key.IsPublic() || !key.Valid() || id != key.KeyID {
				t.Fatalf("%v", texts.Keys[i])
			}
			for name := range texts.Keys[i] {
				if slices.Contains(privateMembers(), strings.ToLower(name)) {
					t.Fatalf("%s is published: %v", name, texts.Keys[i])
				}
			}
		}
	})
}
