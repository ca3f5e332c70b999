package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ferry/test/kratostest"
)

const adminKey = "canary-admin-key-91b7c2d4-0123456789abcd"

// setMode changes the mode or the cohort by the admin listener.
func (s *stack) setMode(t *testing.T, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.ferry.AdminURL()+"/mode", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var status struct{ Mode, Cohort string }
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil || resp.StatusCode != http.StatusOK || status.Mode == "" || status.Cohort == "" {
		t.Fatalf("%s: %s, %+v, %v", body, resp.Status, status, err)
	}
}

// awaitMode waits until ferry has the mode.
func (s *stack) awaitMode(t *testing.T, mode string) {
	t.Helper()
	s.await(t, "mode "+mode, func() bool { return s.metric(t, fmt.Sprintf("ferry_mode{mode=%q}", mode)) == 1 })
}

// outage reports whether the login says that logins are not possible: by Kratos, or by the
// gateway.
func outage(got kratostest.Login) bool {
	return got.Sees() == kratostest.SeesUnavailable || strings.Contains(got.Sees(), "error 503")
}

// logsIn logs an unknown user in through the gateway.
func (u *unknown) logsIn(t *testing.T, password, sees string, attempts int) {
	t.Helper()
	before := u.stack.attempts()
	got, err := u.stack.kratos.LoginAPI(t.Context(), u.email, password)
	saw := got.Sees()
	if outage(got) {
		saw = kratostest.SeesUnavailable
	}
	if err != nil || saw != sees || u.stack.attempts() != before+attempts {
		t.Errorf("the unknown user sees %q (%v), want %q; %d attempts, want %d", got.Sees(), err, sees, u.stack.attempts()-before, attempts)
	}
}

// TestModes: one ferry goes from off to observe to on while it runs, by its file, by SIGHUP and
// by the admin listener. Whatever the mode, no one is told that a password is wrong unless Auth0
// said so, and nothing is stored unless the mode is on.
func TestModes(t *testing.T) {
	t.Parallel()
	const wrong, down, session = kratostest.SeesInvalidCredentials, kratostest.SeesUnavailable, kratostest.SeesSession
	file := filepath.Join(t.TempDir(), "mode")
	write := func(mode string) {
		if err := os.WriteFile(file, []byte(mode+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("off")
	s := start(t, "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_MODE_FILE="+file, "FERRY_ADMIN_KEY="+adminKey)
	s.gatewayReady(t)
	by := s.kratos.LoginAPI
	p, u := s.person(t, nil), s.unknown(t, nil)

	s.awaitMode(t, "off")
	p.check(t, by, p.email, p.password, expect{down, 0, 1, false})
	p.check(t, by, p.email, p.password+"x", expect{down, 0, 1, false})
	u.logsIn(t, u.password, down, 0)

	write("observe")
	s.awaitMode(t, "observe")
	p.check(t, by, p.email, p.password+"x", expect{wrong, 1, 1, false})
	p.check(t, by, p.email, p.password, expect{down, 1, 1, false})
	u.logsIn(t, u.password+"x", wrong, 1)
	u.logsIn(t, u.password, down, 1)
	for _, o := range []string{`{outcome="observed",reason=""}`, `{outcome="mismatch",reason="wrong_credentials"}`} {
		if n := s.metric(t, "ferry_observe_logins_total"+o); n != 2 {
			t.Errorf("%v logins are counted as %s", n, o)
		}
	}
	s.checkObserved(t)
	if n := s.identitiesOf(t, u.subject); n != 0 {
		t.Errorf("observe created %d identities", n)
	}

	write("on")
	s.awaitMode(t, "on")
	p2 := s.person(t, nil)
	p2.check(t, by, p2.email, p2.password, expect{session, 1, 1, true})
	s.setMode(t, `{"mode":"off","by":"kim"}`)
	p3 := s.person(t, nil)
	p3.check(t, by, p3.email, p3.password, expect{down, 0, 1, false})
	p2.check(t, by, p2.email, p2.password, expect{session, 0, 0, true}) // Kratos has the password
	if err := syscall.Kill(s.ferry.Pid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.awaitMode(t, "on")
	p3.check(t, by, p3.email, p3.password, expect{session, 1, 1, true})
	if got, err := by(t.Context(), p.email, p.password); err != nil || got.Sees() != session {
		t.Errorf("after observe the user sees %q, %v", got.Sees(), err)
	}
	if got, err := by(t.Context(), u.email, u.password); err != nil || got.Sees() != session {
		t.Errorf("after observe the unknown user sees %q, %v", got.Sees(), err)
	}
	s.checkSilence(t)
}

// checkObserved checks what the command in docs/modes.md says of the four logins in mode observe.
func (s *stack) checkObserved(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile("../../docs/modes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, command, found := strings.Cut(string(page), "```sh\nbuild/ferry ")
	command, _, closed := strings.Cut(command, "\n```")
	if !found || !closed || !strings.Contains(command, "http://127.0.0.1:4481") {
		t.Fatalf("docs/modes.md has no such command: %q", command)
	}
	args := strings.Fields(strings.ReplaceAll(command, "http://127.0.0.1:4481", s.ferry.AdminURL()))
	out, failed := s.run(t, []string{s.publicURL()}, append(args, "--json")...)
	var read struct {
		Observed struct {
			Modes, Outcomes map[string]int
			Logins          int
			MatchRate       float64 `json:"match_rate"`
			P50             float64 `json:"p50_seconds"`
		}
	}
	if err = json.Unmarshal([]byte(out[max(0, strings.Index(out, "{")):]), &read); failed || err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := read.Observed
	if o.Logins != 4 || o.MatchRate != 0.5 || o.Modes["observe"] != 1 || o.Outcomes["observed"] != 2 || o.Outcomes["mismatch"] != 2 || o.P50 <= 0 {
		t.Errorf("ferry status: %s", out)
	}
}

// TestCohortGrows: with a larger cohort more users log in, and no one who could cannot any more,
// whether Kratos had them or the gateway created them.
func TestCohortGrows(t *testing.T) {
	t.Parallel()
	const imported, others = 10, 10
	s := start(t, "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_GATEWAY_PER_MINUTE=1000", "FERRY_ADMIN_KEY="+adminKey, "FERRY_STATE_KEY="+stateKey, "FERRY_COHORT=0%")
	s.gatewayReady(t)
	var users []account
	for range imported {
		p := s.person(t, nil)
		users = append(users, account{p.email, p.password})
	}
	for range others {
		u := s.unknown(t, nil)
		users = append(users, account{u.email, u.password})
	}
	in := map[string]bool{}
	for _, cohort := range []string{"0%", "50%", "75%", "75%,@example.org"} {
		s.setMode(t, `{"cohort":"`+cohort+`"}`)
		before, attempts := len(in), s.attempts()
		for _, u := range users {
			s.logInOrOut(t, u, in)
		}
		if asked := s.attempts() - attempts; asked != len(in)-before {
			t.Errorf("%s: %d more users are in, and Auth0 was asked %d times", cohort, len(in)-before, asked)
		}
		if cohort == "0%" && len(in) > 0 || cohort == "75%,@example.org" && len(in) != len(users) {
			t.Errorf("%s has %d of %d users", cohort, len(in), len(users))
		}
		if cohort == "50%" && (len(in) == 0 || len(in) == len(users)) { // 2 in 2^20, if the keys were random
			t.Errorf("50%% has %d of %d users", len(in), len(users))
		}
	}
}

// account is a user of Auth0.
type account struct{ email, password string }

// logInOrOut logs the user in. Only a user who was never in may see an outage.
func (s *stack) logInOrOut(t *testing.T, u account, in map[string]bool) {
	t.Helper()
	got, err := s.kratos.LoginAPI(t.Context(), u.email, u.password)
	switch {
	case err == nil && got.Sees() == kratostest.SeesSession:
		in[u.email] = true
	case err != nil || in[u.email] || !outage(got):
		t.Errorf("%s sees %q, %v", u.email, got.Sees(), err)
	}
}
