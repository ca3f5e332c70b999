package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// machine adds the Management API application to the simulator.
func (s *stack) machine(t *testing.T) {
	t.Helper()
	if err := s.sim.AddApp(auth0sim.App{ClientID: "machine", ClientSecret: "canary-machine-secret", ManagementScopes: []string{"read:users"}}); err != nil {
		t.Fatal(err)
	}
}

const (
	machineID     = "FERRY_AUTH0_MGMT_CLIENT_ID=machine"
	machineSecret = "FERRY_AUTH0_MGMT_CLIENT_SECRET=canary-machine-secret"
)

// submit begins a login flow at Kratos, without a gateway, and returns what submits it.
func (u *unknown) submit(t *testing.T) func() (status int, body string) {
	t.Helper()
	send := func(method, address, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	public := u.stack.kratos.PublicURL()
	_, text := send(http.MethodGet, public+"/self-service/login/api", "")
	var flow struct {
		UI struct {
			Action string `json:"action"`
		} `json:"ui"`
	}
	if err := json.Unmarshal([]byte(text), &flow); err != nil {
		t.Fatal(err)
	}
	action, err := url.Parse(flow.UI.Action)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"method":"password","identifier":%q,"password":%q}`, u.email, u.password)
	return func() (int, string) { return send(http.MethodPost, public+action.RequestURI(), body) }
}

// TestEnsure: after a call of /hooks/ensure the very request that failed succeeds, with one
// attempt at Auth0. Without a gateway. The answer is the same for everybody; in an outage it
// says that it is one.
func TestEnsure(t *testing.T) {
	s := start(t, "FERRY_ENSURE=true", "FERRY_GATEWAY_LOOKUPS_PER_SECOND=100", machineID, machineSecret)
	s.machine(t)
	ensure := func(email string) int {
		return s.call(t, "/hooks/ensure", fmt.Sprintf(`{"identifier":%q}`, email))
	}
	u := s.unknown(t, nil)
	login := u.submit(t)
	if status, body := login(); status != http.StatusBadRequest || !strings.Contains(body, "4000006") {
		t.Fatalf("before: %d %s", status, body)
	}
	status := 0
	s.await(t, "Kratos to be walked", func() bool {
		status = ensure(" " + strings.ToUpper(u.email))
		return status != http.StatusServiceUnavailable
	})
	if status != http.StatusNoContent {
		t.Fatalf("ensure: %d\n%s", status, s.ferry.Logs())
	}
	attempts := s.attempts()
	if status, body := login(); status != http.StatusOK || !strings.Contains(body, "session_token") || s.attempts() != attempts+1 {
		t.Fatalf("after: %d %s, %d attempts", status, body, s.attempts()-attempts)
	}
	for name, email := range map[string]string{"known": u.email, "nobody": "canary-nobody@example.org", "a username": "canary"} {
		if status := ensure(email); status != http.StatusNoContent {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status := s.call(t, "/hooks/ensure", `{"identifier":"a@example.org"}`, "Authorization", "Bearer wrong"); status != http.StatusUnauthorized {
		t.Errorf("a wrong key: %d", status)
	}

	t.Run("recovery of an unverified address", func(t *testing.T) {
		taken := s.unknown(t, func(u *auth0sim.User) { u.EmailVerified = false })
		status := s.call(t, "/hooks/ensure", fmt.Sprintf(`{"identifier":%q,"flow_type":"recovery"}`, taken.email))
		attempts := s.attempts()
		got, err := s.kratos.LoginAPI(t.Context(), taken.email, taken.password)
		if status != http.StatusNoContent || err != nil || got.Sees() != kratostest.SeesInvalidCredentials || s.attempts() != attempts {
			t.Errorf("ensure: %d, then %q, %v, %d attempts", status, got.Sees(), err, s.attempts()-attempts)
		}
	})
	t.Run("outage", func(t *testing.T) {
		s.fault(t, auth0sim.Fault{Name: auth0sim.FaultAnswer, Path: "/api/v2/users-by-email", Status: http.StatusInternalServerError})
		late := s.unknown(t, nil)
		if status := ensure(late.email); status != http.StatusServiceUnavailable {
			t.Errorf("unknown: %d", status)
		}
		if status := ensure(u.email); status != http.StatusNoContent {
			t.Errorf("known: %d", status)
		}
	})
	s.checkSilence(t)
}
