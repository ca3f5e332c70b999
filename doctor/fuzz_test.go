package doctor

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"ferry/secret"
)

// FuzzKratosConfig: whatever the file holds, every check says something, what is wrong
// how to fix it, and none quotes a key of ferry's.
func FuzzKratosConfig(f *testing.F) {
	const key = "canary-key-0123456789abcdef0123456789"
	example, err := os.ReadFile("../kratos.yml.example")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(strings.ReplaceAll(string(example), "CHANGE-ME-32-CHARACTERS-OR-MORE", key))
	f.Add("selfservice: {methods: {password: {config: {migrate_hook: {enabled: yes, config: {url: 'http://[::1', auth: {type: api_key}}}}}}}}")
	f.Add("selfservice: [1, 2]\nclients: {http: 7}")
	f.Add("selfservice: {flows: {registration: {after: {password: {hooks: [{hook: web_hook, config: {url: 'http://127.0.0.1:1/hooks/after-registration', response: {parse: true}, body: 'base64://e30='}}]}}}}}")
	f.Add("selfservice: {methods: {oidc: {enabled: true, config: {providers: [{id: google, mapper_url: 'http://127.0.0.1:1/'}, {id: other, mapper_url: 'base64://e30='}]}}}}")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		e := newDoctor(Options{KratosConfig: []byte(text), Hooks: noServer{}, ID: func() string { return "id" }, Settings: Settings{
			HookKeys: []secret.String{secret.New(key)}, SignUp: true, Providers: map[string]string{"google-oauth2": "google"},
		}})
		checks := e.kratosConfig(t.Context())
		if len(checks) != 14 {
			t.Fatalf("%d checks", len(checks))
		}
		for _, check := range checks {
			bad := check.Status == Fail || check.Status == Warn
			if check.Detail == "" || bad == (check.Fix == "") || strings.Contains(check.Detail+check.Fix, key) {
				t.Errorf("%+v", check)
			}
		}
	})
}

// noServer is a network without servers.
type noServer struct{}

func (noServer) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no server") }
