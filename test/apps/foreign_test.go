package apps

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/audit"
	"ferry/test/auth0sim"
)

// sent is a refresh token that an application sends, and who sends it.
type sent struct {
	token, client, secret string
}

// foreignTokens sends the token front refresh tokens that must not work, and checks what Auth0 was
// asked. The answers tell nothing of them. It returns what the audit log must have of them, in
// that order.
func (s *stack) foreignTokens(t *testing.T) (audited []string) {
	t.Helper()
	s.leadsTo(t, s.ferry.TokenFrontURL(), false)
	hydras := s.remintedToken(t)
	const invalid = "rejected refresh_token_invalid"
	for name, c := range map[string]struct {
		user   string // its owner; empty: Ada
		client string // it was issued to; empty: the mobile application
		before func(t *testing.T, token string)
		sends  func(token string) sent
		status int
		code   string
		asked  int    // how often Auth0 was asked
		audit  string // outcome and reason; empty: the token is not one to re-mint
	}{
		"forged":                                {sends: func(string) sent { return sent{"v1.canary-of-no-one", mobile, ""} }, status: 403, code: "invalid_grant", asked: 1, audit: invalid},
		"forged, of Hydra":                      {sends: func(string) sent { return sent{"ory_rt_canary-forged", mobile, ""} }, status: 400, code: "invalid_grant"},
		"of Hydra, of another application":      {sends: func(string) sent { return sent{hydras, web, webSecret} }, status: 400, code: "invalid_grant"},
		"expired":                               {before: s.must(s.sim.ExpireRefreshToken), status: 403, code: "invalid_grant", asked: 1, audit: invalid},
		"revoked":                               {before: s.must(s.sim.RevokeRefreshToken), status: 403, code: "invalid_grant", asked: 1, audit: invalid},
		"reused":                                {before: s.redeemed, status: 403, code: "invalid_grant", asked: 1, audit: invalid},
		"of another application":                {client: other, sends: func(token string) sent { return sent{token, mobile, ""} }, status: 403, code: "invalid_grant", asked: 1, audit: invalid},
		"sent by another application":           {sends: func(token string) sent { return sent{token, web, webSecret} }, status: 403, code: "invalid_grant", asked: 1, audit: invalid},
		"of an application that is not enabled": {client: other, status: 503, code: "temporarily_unavailable"},
		"of an unknown application":             {sends: func(token string) sent { return sent{token, "nobody", ""} }, status: 503, code: "temporarily_unavailable"},
		"wrong secret":                          {client: web, sends: func(token string) sent { return sent{token, web, "canary-wrong-secret"} }, status: 401, code: "invalid_client", audit: "invalid_client hydra_invalid_client"},
		"blocked user":                          {user: auth0sim.DemoAlanID, status: 403, code: "invalid_grant", asked: 1, audit: "rejected user_blocked"},
		"deleted user":                          {user: auth0sim.DemoEdsgerID, before: s.deleted, status: 403, code: "invalid_grant", asked: 1, audit: invalid},
		"user without an identity":              {user: auth0sim.DemoGraceID, status: 403, code: "invalid_grant", asked: 1, audit: "refused no_identity"},
		"inactive identity":                     {user: auth0sim.DemoBarbaraID, before: s.inactive, status: 403, code: "invalid_grant", asked: 1, audit: "refused inactive"},
		"forged ID token":                       {before: s.forgedIDToken, status: 503, code: "temporarily_unavailable", asked: 1, audit: "unavailable id_token_untrusted"},
	} {
		t.Run(name, func(t *testing.T) {
			added, err := s.sim.AddRefreshToken(auth0sim.RefreshToken{
				Token: "v1.canary-" + strings.ReplaceAll(name, " ", "-"), UserID: cmp.Or(c.user, auth0sim.DemoAdaID), ClientID: cmp.Or(c.client, mobile),
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.before != nil {
				c.before(t, added.Token)
			}
			what := sent{added.Token, added.ClientID, ""}
			if c.sends != nil {
				what = c.sends(added.Token)
			}
			asked := s.sim.GrantRequests(auth0sim.GrantRefreshToken)
			status, said, text := s.refresh(t, what)
			if status != c.status || said["error"] != c.code || said["access_token"] != nil {
				t.Errorf("%d %s", status, text)
			}
			if n := s.sim.GrantRequests(auth0sim.GrantRefreshToken) - asked; n != c.asked {
				t.Errorf("Auth0 was asked %d times, want %d", n, c.asked)
			}
			if c.audit != "" {
				audited = append(audited, c.audit)
			}
			search(t, "the answer", text, what.token, added.Token, "canary-wrong-secret", webSecret)
		})
	}
	return audited
}

// audited compares the last records of the audit log about refresh tokens.
func (s *stack) audited(t *testing.T, want []string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(read(t, s.audit)) {
		var one audit.Record
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if one.Action == audit.Remint {
			got = append(got, one.Outcome+" "+one.Reason)
		}
	}
	if got = got[max(0, len(got)-len(want)):]; !slices.Equal(got, want) {
		t.Errorf("audited:\n%q, want\n%q", got, want)
	}
}

// remintedToken returns a refresh token of Hydra of the mobile application, for Ada.
func (s *stack) remintedToken(t *testing.T) string {
	t.Helper()
	added, err := s.sim.AddRefreshToken(auth0sim.RefreshToken{Token: "v1.canary-good", UserID: auth0sim.DemoAdaID, ClientID: mobile})
	if err != nil {
		t.Fatal(err)
	}
	status, said, text := s.refresh(t, sent{added.Token, mobile, ""})
	token, _ := said["refresh_token"].(string)
	if status != http.StatusOK || token == "" {
		t.Fatalf("%d %s", status, text)
	}
	return token
}

// refresh makes a refresh request at the host.
func (s *stack) refresh(t *testing.T, what sent) (status int, said map[string]any, text string) {
	t.Helper()
	form := url.Values{"grant_type": {auth0sim.GrantRefreshToken}, "client_id": {what.client}, "refresh_token": {what.token}}
	if what.secret != "" {
		form.Set("client_secret", what.secret)
	}
	resp, text := do(t, s.host.Client(), http.MethodPost, s.host.URL+auth0sim.PathToken, form)
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		t.Fatalf("%d %q: %v", resp.StatusCode, text, err)
	}
	return resp.StatusCode, said, text
}

// must makes a step of a control of the simulator.
func (s *stack) must(control func(token string) error) func(*testing.T, string) {
	return func(t *testing.T, token string) {
		t.Helper()
		if err := control(token); err != nil {
			t.Fatal(err)
		}
	}
}

// redeemed uses the token at Auth0, behind ferry's back.
func (s *stack) redeemed(t *testing.T, token string) {
	t.Helper()
	form := url.Values{"grant_type": {auth0sim.GrantRefreshToken}, "client_id": {mobile}, "refresh_token": {token}}
	if resp, text := do(t, s.host.Client(), http.MethodPost, s.sim.URL()+auth0sim.PathToken, form); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
}

// inactive makes an identity for Barbara that may not log in.
func (s *stack) inactive(t *testing.T, _ string) {
	t.Helper()
	if err := s.kratos.SetState(t.Context(), s.identity(t, auth0sim.DemoBarbaraID), "inactive"); err != nil {
		t.Fatal(err)
	}
}

// deleted deletes the owner, Edsger.
func (s *stack) deleted(t *testing.T, _ string) {
	t.Helper()
	if err := s.sim.DeleteUser(auth0sim.DemoEdsgerID); err != nil {
		t.Fatal(err)
	}
}

// forgedIDToken lets the next answer of Auth0 have an ID token signed by nobody's key.
func (s *stack) forgedIDToken(t *testing.T, _ string) {
	t.Helper()
	if _, err := s.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultIDTokenForeignKey, Grant: auth0sim.GrantRefreshToken, Times: 1}); err != nil {
		t.Fatal(err)
	}
}

// canaries searches everything that ferry writes for tokens, secrets and users.
func (s *stack) canaries(t *testing.T) {
	t.Helper()
	_, metrics := do(t, s.host.Client(), http.MethodGet, s.ferry.AdminURL()+"/metrics/prometheus", nil)
	if err := s.ferry.Stop(); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{
		"the log": s.ferry.Logs(), "the metrics": metrics, "the traces": s.spans.Raw("ferry"), "the audit log": read(t, s.audit),
	}
	entries, err := os.ReadDir(s.data)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		places["the file "+entry.Name()] = read(t, filepath.Join(s.data, entry.Name()))
	}
	words := []string{webSecret, "canary-wrong-secret", stateKey, hookKey, "ory_rt_", "ory_at_", "ory_ac_", "eyJhbGciOi", "v1.canary", "@example.test"}
	for _, one := range s.sim.RefreshTokens() {
		words = append(words, one.Token)
	}
	for place, text := range places {
		if text == "" {
			t.Errorf("%s is empty", place)
		}
		search(t, place, text, words...)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// search looks for words that must not be in a text.
func search(t *testing.T, place, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if at := strings.Index(text, word); at >= 0 {
			t.Errorf("%q is in %s: %.200q", word, place, text[max(0, at-100):])
		}
	}
}
