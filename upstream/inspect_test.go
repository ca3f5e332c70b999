package upstream_test

import (
	"fmt"
	"testing"

	"ferry/test/auth0sim"
)

// TestEnabled: whether a connection is enabled for an application, whichever page
// lists the application.
func TestEnabled(t *testing.T) {
	t.Parallel()
	tenant := managedTenant(auth0sim.ScopeReadConnections)
	tenant.Connections = append(tenant.Connections, auth0sim.Connection{Name: "empty", Disabled: true})
	for i := range 1000 {
		tenant.Apps = append(tenant.Apps, auth0sim.App{ClientID: fmt.Sprintf("app-%04d", i), ClientSecret: "canary-secret"})
	}
	tenant.Apps = append(tenant.Apps, auth0sim.App{ClientID: "narrow", ClientSecret: "canary-secret", Connections: []string{"empty"}}, auth0sim.App{ClientID: "z-last", ClientSecret: "canary-secret"})
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: tenant})
	m := newManagement(t, sim)
	for _, c := range []struct {
		connection, client string
		want               bool
	}{
		{auth0sim.DemoConnection, "app-0000", true},
		{auth0sim.DemoConnection, "z-last", true},
		{auth0sim.DemoConnection, "narrow", false},
		{auth0sim.DemoConnection, "nobody", false},
		{"empty", "app-0000", false},
	} {
		got, err := m.Enabled(t.Context(), auth0sim.ConnectionID(c.connection), c.client)
		if err != nil || got != c.want {
			t.Errorf("%s for %s: %v, %v", c.connection, c.client, got, err)
		}
	}
	if _, err := m.Enabled(t.Context(), auth0sim.ConnectionID("none"), "z-last"); failure(t, err).Status != 404 {
		t.Errorf("no such connection: %v", err)
	}
	if _, err := m.Enabled(t.Context(), "../users", "z-last"); failure(t, err).Reason != "bad_id" {
		t.Errorf("not an id: %v", err)
	}
}
