package hydra_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/hydra"
	"ferry/secret"
	"ferry/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client returns a client of a Hydra that is this handler.
func client(t *testing.T, handler http.HandlerFunc) *hydra.Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	c, err := hydra.New(hydra.Options{AdminURL: srv.URL, PublicURL: srv.URL + "/", AdminToken: secret.New("admin-canary"), Timeout: 2 * time.Second, Transport: transport.New(transport.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// says answers with a status and a JSON text.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// kindOf returns the kind and the reason of an error.
func kindOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var fault *hydra.Error
	if !errors.As(err, &fault) {
		t.Fatalf("%T: %v", err, err)
	}
	return fault.Kind.String() + " " + fault.Reason
}

// TestProbe: the answer to a refresh token that does not exist says whether the client's
// credentials hold, and each method presents them in its own way.
func TestProbe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"they hold":            {says(400, `{"error":"invalid_grant"}`), ""},
		"they do not":          {says(401, `{"error":"invalid_client"}`), "refused invalid_client"},
		"no refresh tokens":    {says(400, `{"error":"unauthorized_client"}`), "misconfigured unauthorized_client"},
		"tokens":               {says(200, `{"access_token":"x"}`), "garbled tokens_for_nothing"},
		"down":                 {says(503, `{}`), "unavailable unknown_answer"},
		"database":             {says(500, `{"error":"error"}`), "unavailable error"},
		"busy":                 {says(429, `{}`), "unavailable unknown_answer"},
		"another program":      {says(200, `hello`), "garbled tokens_for_nothing"},
		"a proxy":              {says(403, `{}`), "misconfigured unknown_answer"},
		"key twice":            {says(401, `{"error":"invalid_client","error":"invalid_grant"}`), "misconfigured unknown_answer"},
		"unknown error code":   {says(400, `{"error":"canary"}`), "garbled unknown_answer"},
		"redirect":             {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "misconfigured unknown_answer"},
		"connection is broken": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "unavailable connection_broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := client(t, c.handler).Probe(t.Context(), hydra.Credentials{ClientID: "spa", Method: hydra.None})
			if got := kindOf(t, err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for method, want := range map[hydra.Method]string{
		hydra.None: "id= secret= basic=", hydra.SecretPost: "id= secret=s%/ basic=", hydra.SecretBasic: "id= secret= basic=a%25b s%25%2F", hydra.PrivateKeyJWT: "id= secret= basic= assertion=jwt",
	} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			var got string
			c := client(t, func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				got = strings.TrimSpace(fmt.Sprintf("id= secret=%s basic=%s", r.PostFormValue("client_secret"), strings.TrimSpace(user+" "+password)))
				if assertion := r.PostFormValue("client_assertion"); assertion != "" {
					got += " assertion=" + assertion
				}
				if id := r.PostFormValue("client_id"); (id == "a%b") != (method != hydra.SecretBasic) || !strings.HasPrefix(r.PostFormValue("refresh_token"), "ory_rt_") {
					t.Errorf("%v", r.PostForm)
				}
				says(400, `{"error":"invalid_grant"}`)(w, r)
			})
			err := c.Probe(t.Context(), hydra.Credentials{ClientID: "a%b", Secret: secret.New("s%/"), Assertion: secret.New("jwt"), Method: method})
			if err != nil || got != want {
				t.Errorf("got %q, want %q, %v", got, want, err)
			}
		})
	}
}

// TestOAuth2Client: a client is read strictly, and one that a database finds although its id is
// written in another way is not it.
func TestOAuth2Client(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		text, want string
	}{
		"found":            {200, `{"client_id":"spa","metadata":{"A":1,"a":2}}`, ""},
		"another case":     {200, `{"client_id":"SPA"}`, "refused unknown_client"},
		"none":             {404, `{"error":"Unable to locate the resource"}`, "refused unknown_client"},
		"ambiguous":        {200, `{"client_id":"spa","client_id":"spa"}`, "garbled malformed"},
		"admin refuses it": {401, `{}`, "misconfigured unknown_answer"},
		"down":             {502, `{}`, "unavailable unknown_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := client(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/admin/clients/spa" || r.Header.Get("Authorization") != "Bearer admin-canary" {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				says(c.status, c.text)(w, r)
			})
			found, err := at.OAuth2Client(t.Context(), "spa")
			if got := kindOf(t, err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if err == nil && found.Method != hydra.SecretBasic { // the default
				t.Errorf("%+v", found)
			}
		})
	}
}

// TestRedirectURI: of the registered redirect URIs only those are used that Hydra accepts.
func TestRedirectURI(t *testing.T) {
	t.Parallel()
	for text, usable := range map[string]bool{
		"https://app.example.com/cb": true, "com.example.app:/cb": true, "myapp://": true, "urn:ietf:wg:oauth:2.0:oob": true,
		"http://localhost:3000/cb": true, "http://127.0.0.1/cb": true, "http://[::1]/cb": true, "http://x.localhost/": true,
		"http://app.example.com/cb": false, "https://*.example.com/cb": false, "https://app.example.com/*": false, "/relative": false, "https://a/#f": false, "": false,
	} {
		if got := (hydra.OAuth2Client{RedirectURIs: []string{text}}).RedirectURI() != ""; got != usable {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestNoSecretInErrors: no error quotes what was sent or what came back.
func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	at := client(t, says(400, `{"error":"canary","error_description":"canary"}`))
	err := at.Probe(t.Context(), hydra.Credentials{ClientID: "canary", Secret: secret.New("canary"), Method: hydra.SecretPost})
	text, _ := json.Marshal(err)
	if err == nil || strings.Contains(err.Error()+string(text), "canary") {
		t.Errorf("%v, %s", err, text)
	}
}
