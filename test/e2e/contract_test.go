package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ferry/hook"
	"ferry/outcome"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/upstream"
)

// testContract runs every row of the answer table through the real Kratos and checks
// what the user sees, that the password is sent once, and that no hash is stored.
func testContract(t *testing.T, s *stack) {
	t.Helper()
	for _, row := range upstream.Contract() {
		t.Run(row.Reason+" "+row.Status(), func(t *testing.T) {
			s.answered(t)
			p := s.person(t, nil)
			s.fault(t, sample(t, row))
			logged := len(s.ferry.Logs())
			p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{sees(row.Outcome), 1, 1, false})
			log := s.ferry.Logs()[logged:]
			for _, want := range []string{`"outcome":"` + row.Outcome.String() + `"`, `"reason":"` + row.Reason + `"`} {
				if !strings.Contains(log, want) {
					t.Errorf("%s is not in the log: %s", want, log)
				}
			}
		})
	}
}

// answered lets somebody log in, so that the answers before are no outage to ferry.
func (s *stack) answered(t *testing.T) {
	t.Helper()
	p := s.person(t, nil)
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
}

// sample returns an answer that the row matches and no earlier row does.
func sample(t *testing.T, row upstream.Row) auth0sim.Fault {
	t.Helper()
	status, code, text := row.Statuses[0], "nobody_knows_this", "nobody knows this"
	if status < 10 {
		status = map[int]int{2: http.StatusCreated, 3: http.StatusFound, 4: http.StatusForbidden, 5: http.StatusInternalServerError}[status]
	}
	if len(row.Codes) > 0 {
		code = row.Codes[0]
	}
	switch {
	case row.Text.Is != "":
		text = row.Text.Is + "."
	case row.Text.Begins != "":
		text = row.Text.Begins + " canary"
	case row.Text.Contains != "":
		text = "canary " + row.Text.Contains + " canary"
	}
	body, err := json.Marshal(map[string]string{"error": code, "error_description": text})
	if err != nil {
		t.Fatal(err)
	}
	return auth0sim.Fault{
		Name: auth0sim.FaultAnswer, Times: 1, Status: status, Body: string(body), Headers: map[string]string{"Content-Type": "application/json"},
	}
}

// sees returns what Kratos shows for an outcome.
func sees(o outcome.Outcome) string {
	switch status, _ := hook.Answer(o); status {
	case http.StatusOK:
		return kratostest.SeesSession
	case http.StatusForbidden:
		return kratostest.SeesInvalidCredentials
	}
	return kratostest.SeesUnavailable
}

// TestApplications: every way to set up the application. The simulator is as strict
// about it as Auth0.
func TestApplications(t *testing.T) {
	s := start(t)
	t.Run("valid", func(t *testing.T) { testApplications(t, s) })
	t.Run("misconfigured", func(t *testing.T) { testMisconfigured(t, s) })
	s.checkSilence(t)
}

// reconfigure replaces the application at the tenant and restarts ferry with other
// settings.
func (s *stack) reconfigure(t *testing.T, app auth0sim.App, settings ...string) {
	t.Helper()
	app.ClientID = clientID
	if app.ClientSecret == "" {
		app.ClientSecret = clientSecret
	}
	if err := s.sim.AddApp(app); err != nil {
		t.Fatal(err)
	}
	s.restartFerry(t, settings...)
}

func testApplications(t *testing.T, s *stack) {
	t.Helper()
	privateKey, publicKey := keyPair(t)
	for name, c := range map[string]struct {
		app      auth0sim.App
		settings []string
		userinfo int
	}{
		"client_secret_basic": {
			auth0sim.App{AuthMethods: []string{auth0sim.AuthBasic}, ClientSecret: "s:e%c r+et/ü-0123456789"},
			[]string{"FERRY_AUTH0_CLIENT_AUTH=client_secret_basic", "FERRY_AUTH0_CLIENT_SECRET=s:e%c r+et/ü-0123456789"},
			0,
		},
		"private_key_jwt": {
			auth0sim.App{AuthMethods: []string{auth0sim.AuthPrivateKey}, PublicKeys: []string{publicKey}},
			[]string{"FERRY_AUTH0_PRIVATE_KEY_FILE=" + privateKey},
			0,
		},
		"PS256": {auth0sim.App{IDTokenAlg: "PS256"}, []string{"FERRY_AUTH0_ID_TOKEN_ALG=PS256"}, 0},
		"HS256": {
			auth0sim.App{IDTokenAlg: "HS256", ClientSecret: strings.Repeat("canary-", 8)},
			[]string{"FERRY_AUTH0_CLIENT_SECRET=" + strings.Repeat("canary-", 8)},
			1,
		},
		"default directory": {auth0sim.App{}, []string{"FERRY_AUTH0_REALMS="}, 0},
		"audience":          {auth0sim.App{}, []string{"FERRY_AUTH0_AUDIENCE=https://api.example"}, 0},
		"password grant alone": {
			auth0sim.App{GrantTypes: []string{auth0sim.GrantPassword}}, []string{"FERRY_AUTH0_REALMS="}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.reconfigure(t, c.app, c.settings...)
			asked := s.sim.PathRequests(auth0sim.PathUserinfo)
			p := s.person(t, nil)
			p.check(t, s.kratos.LoginAPI, p.email, p.password+"x", expect{kratostest.SeesInvalidCredentials, 1, 1, false})
			p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
			if n := s.sim.PathRequests(auth0sim.PathUserinfo) - asked; n != c.userinfo {
				t.Errorf("/userinfo was asked %d times, want %d", n, c.userinfo)
			}
		})
	}
}

// testMisconfigured: a wrong setting looks like an outage to the user, and the log
// names the reason.
func testMisconfigured(t *testing.T, s *stack) {
	t.Helper()
	for name, c := range map[string]struct {
		app     auth0sim.App
		setting string
		reason  string
	}{
		"wrong secret":      {auth0sim.App{}, "FERRY_AUTH0_CLIENT_SECRET=wrong", "client_refused"},
		"wrong method":      {auth0sim.App{AuthMethods: []string{auth0sim.AuthBasic}}, "", "client_refused"},
		"grant not allowed": {auth0sim.App{GrantTypes: []string{auth0sim.GrantPassword}}, "", "client_not_allowed"},
		"unknown realm":     {auth0sim.App{}, "FERRY_AUTH0_REALMS=nowhere", "request_invalid"},
		"realm not enabled": {auth0sim.App{Connections: []string{legacy}}, "", "request_invalid"},
		"unknown audience":  {auth0sim.App{}, "FERRY_AUTH0_AUDIENCE=https://nowhere.example", "audience"},
		"wrong domain":      {auth0sim.App{}, "FERRY_AUTH0_DOMAIN=other.auth0.test", "id_token_wrong_claims"},
		"wrong algorithm":   {auth0sim.App{IDTokenAlg: "PS256"}, "", "id_token_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s.reconfigure(t, c.app, c.setting)
			p := s.person(t, nil)
			p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesUnavailable, 1, 1, false})
			if want := fmt.Sprintf(`"reason":%q`, c.reason); !strings.Contains(s.ferry.Logs(), want) {
				t.Errorf("%s is not in the log: %s", want, s.ferry.Logs())
			}
		})
	}
}
