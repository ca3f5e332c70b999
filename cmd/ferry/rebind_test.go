package main

import (
	"bytes"
	"strings"
	"testing"

	"ferry/test/auth0sim"
)

// TestRebindUsage: what cannot be meant is wrong usage, and an id is the same in every
// form that a UUID has.
func TestRebindUsage(t *testing.T) {
	const id = "00000000-0000-4000-8000-00000000000A"
	listing(t, strings.Replace(oneIdentity(10, pendingConfig, `{"user_id":"auth0|1"}`), "000010", "00000a", 1))
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no id":           {[]string{"kim@x.test", "--to", "auth0|1", "--reason", "r"}, exitUsage, "must be its id in Kratos"},
		"nobody":          {[]string{id, "--reason", "r"}, exitUsage, "name the Auth0 user"},
		"no subject":      {[]string{id, "--to", "kim@x.test", "--reason", "r"}, exitUsage, "such as auth0|"},
		"no reason":       {[]string{id, "--to", "auth0|1"}, exitUsage, "give a reason"},
		"a blank reason":  {[]string{id, "--to", "auth0|1", "--reason", " "}, exitUsage, "give a reason"},
		"upper case":      {[]string{id, "--to", "auth0|1", "--reason", "r"}, exitOK, "bound to that user already"},
		"without hyphens": {[]string{strings.ReplaceAll(id, "-", ""), "--to", "auth0|1", "--reason", "r"}, exitOK, "bound to that user already"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), append([]string{"rebind"}, c.args...), &stdout, &stderr)
			if status != c.status || !strings.Contains(stderr.String(), c.says) || (stdout.Len() > 0) != (c.status == exitOK) {
				t.Errorf("status %d: %s", status, stderr.String())
			}
		})
	}
}

// TestRebindAsksAuth0: nobody is bound to a user whom Auth0 does not have, and that this is
// not checked is said.
func TestRebindAsksAuth0(t *testing.T) {
	const id = "00000000-0000-4000-8000-000000000010"
	listing(t, oneIdentity(10, pendingConfig, `{"user_id":"auth0|1"}`))
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: &auth0sim.Tenant{
		Connections: []auth0sim.Connection{{Name: "db"}},
		Apps: []auth0sim.App{
			{ClientID: "machine", ClientSecret: "machine-secret", ManagementScopes: []string{auth0sim.ScopeReadUsers}},
			{ClientID: "weak", ClientSecret: "machine-secret", ManagementScopes: []string{auth0sim.ScopeReadConnections}},
		},
		Users: []auth0sim.User{{ID: "auth0|1", Connection: "db", Email: "kim@example.org", Password: "a password"}},
	}})
	t.Setenv("FERRY_AUTH0_DOMAIN", sim.Domain())
	t.Setenv("FERRY_AUTH0_BASE_URL", sim.URL())
	for name, c := range map[string]struct {
		machine, to string
		status      int
		says        string
	}{
		"a user of Auth0's":        {"machine", "auth0|1", exitOK, "bound to that user already"},
		"nobody":                   {"machine", "auth0|2", exitFailed, "it has no user auth0|2; the identity is unchanged"},
		"it may not be asked":      {"weak", "auth0|1", exitOK, "could not be checked: auth0 management: refused (status 403, insufficient_scope)"},
		"there are no credentials": {"", "auth0|1", exitOK, "not checked: FERRY_AUTH0_MGMT_CLIENT_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.machine != "" {
				t.Setenv("FERRY_AUTH0_MGMT_CLIENT_ID", c.machine)
				t.Setenv("FERRY_AUTH0_MGMT_CLIENT_SECRET", "machine-secret")
			}
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), []string{"rebind", id, "--to", c.to, "--reason", "r"}, &stdout, &stderr)
			if status != c.status || !strings.Contains(stderr.String(), c.says) {
				t.Errorf("status %d: %s", status, stderr.String())
			}
		})
	}
}
