package clients_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"ferry/clients"
)

// FuzzRead: whatever a file says, an application that gets a client has a grant, only callbacks
// that Hydra can match, and no finding with its secret.
func FuzzRead(f *testing.F) {
	const canary = "canary-secret-canary"
	for _, app := range []string{
		`{"client_id":"a","client_secret":"` + canary + `","callbacks":["https://a.example/cb","https://*.a.example"],"grant_types":["authorization_code"]}`,
		`{"client_id":"a","app_type":"spa","grant_types":["implicit","refresh_token"],"callbacks":["http://localhost/"],"web_origins":["*","https://a.example/"],"refresh_token":{"expiration_type":"expiring","token_lifetime":1e99}}`,
		`{"client_id":"a","grant_types":["client_credentials"],"client_secret":"` + canary + `","addons":{"samlp":{"a":1}},"unknown":"x"}`,
		`{"client_id":"a","client_authentication_methods":{"private_key_jwt":{"credentials":[{"id":"c"}]}}}`,
		`{"global":true}`, `7`, `{"client_id":"a","jwt_configuration":{"lifetime_in_seconds":-1}}`,
	} {
		f.Add([]byte(`{"kind":"auth0_applications","clients":[` + app + `],"resource_servers":[{"identifier":"urn:a:b","scopes":[{"value":"*"},{"value":"a b"}]}],"client_grants":[{"client_id":"a","audience":"urn:a:b","scope":["x"]}]}`))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tenant, err := clients.Read(bytes.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), canary) {
				t.Error("the error has a secret")
			}
			return
		}
		for _, app := range tenant.Applications {
			plan := clients.Map(app, tenant, clients.Options{})
			findings, err := json.Marshal(plan.Findings)
			if err != nil || bytes.Count(text, []byte(canary)) == 1 && app.Secret.Reveal() == canary && bytes.Contains(findings, []byte(canary)) {
				t.Errorf("%s, %v", findings, err)
			}
			if plan.Refused == nil && plan.Skipped == "" {
				usable(t, plan)
			}
		}
	})
}

// usable checks a client that is to be made.
func usable(t *testing.T, plan clients.Plan) {
	t.Helper()
	if len(plan.Client.GrantTypes) == 0 || plan.Client.GetClientId() == "" {
		t.Errorf("a client without a grant or an id: %+v", plan)
	}
	for _, redirect := range plan.Client.RedirectUris {
		if u, err := url.Parse(redirect); err != nil || !u.IsAbs() || strings.ContainsAny(redirect, "*{#") {
			t.Errorf("redirect URI %q", redirect)
		}
	}
}

// FuzzParseExpansions: a URL that a pattern stands for has the scheme of the pattern, and its host
// up to the first wildcard from the right.
func FuzzParseExpansions(f *testing.F) {
	for _, value := range []string{"https://*.example.com/cb=https://a.example.com/cb", "https://{organization_name}.example.com=https://b.example.com", "https://a.example.com/*=https://a.example.com/x,https://a.example.com/y", "*=*", "https://*=https://evil.org", "https://*.a.com/#b=https://c.a.com/#b"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		expansions, err := clients.ParseExpansions([]string{value})
		if err != nil {
			return
		}
		for pattern, targets := range expansions {
			if strings.ContainsAny(pattern, "@%#") {
				continue // an operator who writes a user, an escape or a fragment gets the same in the URL
			}
			for _, target := range targets {
				if !within(pattern, target) {
					t.Errorf("%q stands for %q", pattern, target)
				}
			}
		}
	})
}

// within reports whether a URL has the scheme of a pattern, and its host from the last wildcard
// on.
func within(pattern, target string) bool {
	u, err := url.Parse(target)
	scheme, host, _ := strings.Cut(pattern, "://")
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	fixed := host[strings.LastIndexAny(host, "*}")+1:]
	return err == nil && u.IsAbs() && u.Fragment == "" && u.User == nil && strings.EqualFold(u.Scheme, scheme) && strings.HasSuffix(u.Host, fixed)
}
