package auth0sim_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"testing"

	"ferry/test/auth0sim"
)

// ids are the last characters of the user ids in an answer.
func ids(t *testing.T, got answer) []string {
	t.Helper()
	var users []struct {
		ID string `json:"user_id"`
	}
	if err := json.Unmarshal([]byte(got.body), &users); got.status != 200 || err != nil {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	found := []string{}
	for _, u := range users {
		found = append(found, u.ID[len(u.ID)-1:])
	}
	return found
}

func TestListRefusals(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers, auth0sim.ScopeReadConnections)
	token := machineBearer(t, sim)
	for _, query := range []string{
		"users-by-email", "users-by-email?email=", "users-by-email?email=a&page=1", "connections?id=x", "connections?%zz", "connections?name=a&name=a",
	} {
		if got := get(t, sim, auth0sim.PathManagement+query, token); got.status != 400 {
			t.Errorf("%s: got %d %s", query, got.status, got.body)
		}
	}
	for _, path := range []string{"users-by-email?email=a", "jobs/job_0123456789abcdef"} {
		other := startManaged(t, auth0sim.ScopeReadConnections)
		if got := get(t, other, auth0sim.PathManagement+path, machineBearer(t, other)); got.status != 403 {
			t.Errorf("%s without the scope: got %d", path, got.status)
		}
		if got := get(t, other, auth0sim.PathManagement+path); got.status != 401 {
			t.Errorf("%s without a token: got %d", path, got.status)
		}
	}
}

// The look-up by e-mail address finds a new user at once, and is case-sensitive.
func TestUsersByEmail(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	token := machineBearer(t, sim)
	if _, err := sim.AddUser(auth0sim.User{ID: "google-oauth2|9", Connection: auth0sim.DemoConnection, Email: "new@example.test"}); err != nil {
		t.Fatal(err)
	}
	for email, want := range map[string]string{"new@example.test": "[9]", "NEW@example.test": "[]"} {
		got := fmt.Sprint(ids(t, get(t, sim, auth0sim.PathUsersByEmail+"?email="+url.QueryEscape(email), token)))
		if got != want {
			t.Errorf("%s: got %s, want %s", email, got, want)
		}
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadConnections)
	for _, c := range []auth0sim.Connection{{Name: "google-oauth2", Strategy: "google-oauth2"}, {Name: "corp", Strategy: "waad", Disabled: true}} {
		if err := sim.AddConnection(c); err != nil {
			t.Fatal(err)
		}
	}
	token := machineBearer(t, sim)
	id := auth0sim.ConnectionID("corp")
	if !regexp.MustCompile(`^con_[A-Za-z0-9]{16}$`).MatchString(id) || id == auth0sim.ConnectionID("google-oauth2") {
		t.Errorf("got id %s", id)
	}
	corp := `{"id":"` + id + `","is_domain_connection":false,"name":"corp","options":{},"realms":["corp"],"strategy":"waad"}`
	want(t, get(t, sim, auth0sim.PathConnections+"?name=corp", token), 200, "["+corp+"]")
	want(t, get(t, sim, auth0sim.PathConnections+"?name=none", token), 200, "[]")
	for query, names := range map[string]string{
		"": "[Username-Password-Authentication corp google-oauth2]",
	} {
		var list []struct{ Name string }
		got := get(t, sim, auth0sim.PathConnections+"?"+query, token)
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			t.Fatal(err)
		}
		found := []string{}
		for _, c := range list {
			found = append(found, c.Name)
		}
		if fmt.Sprint(found) != names {
			t.Errorf("%s: got %s", query, got.body)
		}
	}
}

// The limit is one for the whole Management API, and its headers are on every answer.
func TestManagementLimitIsShared(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	configure(t, sim, func(s *auth0sim.Settings) { s.Management.Enabled = true })
	token := machineBearer(t, sim)
	for i, path := range []string{"tenants/settings", "connections", "users-by-email?email=a"} {
		got := get(t, sim, auth0sim.PathManagement+path, token)
		if (got.status == 429) != (i == 2) || got.header.Get("X-Ratelimit-Remaining") != fmt.Sprint(max(0, 1-i)) {
			t.Errorf("%s: got %d %v", path, got.status, got.header)
		}
	}
}
