package auth0sim_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

// startControl runs a simulator with its control API.
func startControl(t *testing.T) (*auth0sim.Server, auth0sim.Control) {
	t.Helper()
	sim := start(t)
	if err := sim.StartControl("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return sim, auth0sim.Control{URL: sim.ControlURL(), Client: newClient(t)}
}

// ok fails the test on an error.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestControlUsers(t *testing.T) {
	t.Parallel()
	sim, control := startControl(t)
	ctx := t.Context()
	user, err := control.AddUser(ctx, auth0sim.User{
		ID: "auth0|a/b", Email: "New@example.test", Password: "first", AppMetadata: map[string]any{"a": 1, "b": 2},
	})
	ok(t, err)
	if user.Email != "new@example.test" || user.Password != "" {
		t.Errorf("got %+v", user)
	}
	mustTokens(t, post(t, sim, realmForm("username", "new@example.test", "password", "first")))
	user, err = control.PatchUser(ctx, "auth0|a/b", map[string]any{
		"password": "second", "app_metadata": map[string]any{"b": 3}, "deny": map[string]any{"reason": "no"},
	})
	ok(t, err)
	if !reflect.DeepEqual(user.AppMetadata, map[string]any{"a": 1.0, "b": 3.0}) || user.Deny == nil {
		t.Errorf("got %+v", user)
	}
	want(t, post(t, sim, realmForm("username", "new@example.test", "password", "second")), 403,
		`{"error":"access_denied","error_description":"no"}`)
	_, err = control.PatchUser(ctx, "auth0|a/b", map[string]any{"deny": nil})
	ok(t, err)
	mustTokens(t, post(t, sim, realmForm("username", "new@example.test", "password", "second")))
	users, err := control.Users(ctx)
	ok(t, err)
	if len(users) != 6 {
		t.Errorf("got %d users, want 6", len(users))
	}
	if _, err := control.PatchUser(ctx, "x", nil); err == nil || !strings.Contains(err.Error(), "status 404: ") {
		t.Errorf("got %v, want status 404", err)
	}
}

func TestControlTenant(t *testing.T) {
	t.Parallel()
	sim, control := startControl(t)
	ctx := t.Context()
	ok(t, control.SetTenant(ctx, auth0sim.Tenant{
		DefaultDirectory: "second", Connections: []auth0sim.Connection{{Name: "second"}},
		APIs: []auth0sim.API{{Identifier: "https://api.test/"}}, Apps: []auth0sim.App{{ClientID: "x", ClientSecret: "y"}},
	}))
	_, err := control.AddUser(ctx, auth0sim.User{Email: "two@example.test", Password: "p"})
	ok(t, err)
	form := realmForm("grant_type", auth0sim.GrantPassword, "realm", "", "client_id", "x", "client_secret", "y",
		"username", "two@example.test", "password", "p", "audience", "https://api.test/")
	mustTokens(t, post(t, sim, form))
	ok(t, control.SetTenant(ctx, auth0sim.Tenant{Connections: []auth0sim.Connection{{Name: "only"}}}))
	want(t, post(t, sim, form), 403, `{"error":"unauthorized_client","error_description":"invalid client"}`)
	err = control.SetTenant(ctx, auth0sim.Tenant{DefaultDirectory: "x"})
	if err == nil || err.Error() != `auth0sim: PUT /tenant: status 400: auth0sim: default directory: no such connection: "x"` {
		t.Errorf("got %v", err)
	}
	listen, issuer, err := control.Health(ctx)
	if err != nil || listen != sim.URL() || issuer != sim.Issuer() {
		t.Errorf("got %s, %s, %v", listen, issuer, err)
	}
}

func TestControlFaultsAndSettings(t *testing.T) {
	t.Parallel()
	sim, control := startControl(t)
	ctx := t.Context()
	_, err := control.SetFault(ctx, auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Millisecond, Times: 1})
	ok(t, err)
	id, err := control.SetFault(ctx, auth0sim.Fault{Name: auth0sim.FaultUnavailable})
	ok(t, err)
	if got := post(t, sim, realmForm()); got.status != 503 {
		t.Errorf("got %d, want 503", got.status)
	}
	ok(t, control.ClearFault(ctx, id))
	mustTokens(t, post(t, sim, realmForm()))
	settings, err := control.PatchSettings(ctx, map[string]any{
		"retry_after": 3, "brute_force": map[string]any{"max_attempts": 2},
		"answers": map[string]any{"blocked_user": map[string]any{"status": 403, "error": "e", "error_description": "d"}},
	})
	ok(t, err)
	if settings.RetryAfter != 3 || settings.BruteForce.MaxAttempts != 2 || !settings.BruteForce.Enabled {
		t.Errorf("got %+v", settings)
	}
	want(t, post(t, sim, realmForm("username", "alan@example.test", "password", "enigma-was-not-enough")), 403,
		`{"error":"e","error_description":"d"}`)
	got, err := control.Settings(ctx)
	if err != nil || !reflect.DeepEqual(got, settings) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestControlJournal(t *testing.T) {
	t.Parallel()
	sim, control := startControl(t)
	ctx := t.Context()
	post(t, sim, realmForm("password", "wrong"))
	counters, err := control.Counters(ctx)
	ok(t, err)
	if counters.TokenRequests != 1 || counters.Attempts[auth0sim.DemoAdaID] != 1 || counters.Total() != 1 {
		t.Errorf("got %+v", counters)
	}
	var requests []auth0sim.Request
	ok(t, json.Unmarshal([]byte(send(t, "GET", sim.ControlURL()+"/requests", "", "", nil).body), &requests))
	if len(requests) != 1 || !requests[0].PasswordIs("wrong") || !requests[0].At.Equal(frozen()) {
		t.Errorf("got %+v", requests)
	}
}

func TestControlRefusals(t *testing.T) {
	t.Parallel()
	sim, _ := startControl(t)
	tests := map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"unknown key":  {"POST", "/users", `{"mail":"x"}`, 400, `{"error":"decode: json: unknown field \"mail\""}`},
		"two values":   {"POST", "/users", `{}{}`, 400, `{"error":"decode: more than one JSON value"}`},
		"no body":      {"POST", "/faults", ``, 400, `{"error":"decode: EOF"}`},
		"bad fault":    {"POST", "/faults", `{"name":"x"}`, 400, `{"error":"auth0sim: unknown fault \"x\""}`},
		"fault id":     {"DELETE", "/faults/x", ``, 400, `{"error":"fault id: strconv.Atoi: parsing \"x\": invalid syntax"}`},
		"no fault":     {"DELETE", "/faults/7", ``, 404, `{"error":"auth0sim: fault 7: not found"}`},
		"bad settings": {"PATCH", "/settings", `{"access_token_seconds":0}`, 400, `{"error":"auth0sim: settings: access_token_seconds: 0: want 1 or more"}`},
		"settings key": {"PATCH", "/settings", `{"x":0}`, 400, `{"error":"decode: json: unknown field \"x\""}`},
		"user's id":    {"PATCH", "/users/" + "auth0%7C5f7c8ec7c33c6c004bbafe81", `{"user_id":"x"}`, 400, `{"error":"auth0sim: change user \"auth0|5f7c8ec7c33c6c004bbafe81\": the id cannot change"}`},
		"wrong method": {"PUT", "/counters", ``, 405, "Method Not Allowed\n"},
		"unknown path": {"GET", "/", ``, 404, "404 page not found\n"},
		"bad user":     {"POST", "/users", `{"user_id":"u","connection":"x"}`, 400, `{"error":"auth0sim: add user \"u\": no such connection: \"x\""}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, tt.method, sim.ControlURL()+tt.path, "application/json", tt.body, nil)
			want(t, got, tt.status, tt.want)
		})
	}
}

func TestControlClientErrors(t *testing.T) {
	t.Parallel()
	_, control := startControl(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := control.Counters(ctx); err == nil || !strings.HasPrefix(err.Error(), "auth0sim: GET /counters: ") {
		t.Errorf("got %v", err)
	}
	if err := control.SetTenant(t.Context(), auth0sim.Tenant{Users: []auth0sim.User{{AppMetadata: map[string]any{"x": func() {}}}}}); err == nil {
		t.Error("what cannot be encoded was sent")
	}
	if _, err := (auth0sim.Control{URL: control.URL + "/elsewhere"}).Counters(t.Context()); err == nil ||
		err.Error() != "auth0sim: GET /counters: status 404: no reason given" {
		t.Errorf("got %v", err)
	}
}

func TestReadSeed(t *testing.T) {
	t.Parallel()
	seed, err := auth0sim.ReadSeed(strings.NewReader(`{"default_directory":"d","settings":{"same_user":{"enabled":false}}}`))
	ok(t, err)
	if seed.DefaultDirectory != "d" || seed.Settings.SameUser.Enabled || seed.Settings.SameUser.Burst != 20 || !seed.Settings.BruteForce.Enabled {
		t.Errorf("got %+v", seed)
	}
	raw, err := json.Marshal(auth0sim.Seed{Tenant: *auth0sim.DemoTenant(), Settings: auth0sim.DefaultSettings()})
	ok(t, err)
	back, err := auth0sim.ReadSeed(strings.NewReader(string(raw)))
	ok(t, err)
	if !reflect.DeepEqual(back.Tenant, *auth0sim.DemoTenant()) {
		t.Errorf("got %+v", back.Tenant)
	}
	for text, want := range map[string]string{
		`{"x":1}`:                               `seed: decode: json: unknown field "x"`,
		`{"settings":{"userinfo":{"burst":0}}}`: `seed: settings: userinfo.burst: 0: want 1 or more`,
		``:                                      `seed: decode: EOF`,
	} {
		if _, err := auth0sim.ReadSeed(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
