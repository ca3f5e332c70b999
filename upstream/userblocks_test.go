package upstream_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/upstream"
)

// TestUserBlocks: the blocks of a user are read as Auth0 reports them. Without the
// scope, that is an error.
func TestUserBlocks(t *testing.T) {
	t.Parallel()
	tenant := managedTenant(auth0sim.ScopeReadUsers)
	tenant.Apps = append(tenant.Apps, auth0sim.App{ClientID: "weak", ClientSecret: machineSecret, ManagementScopes: []string{auth0sim.ScopeReadClients}})
	limits := auth0sim.DefaultSettings()
	limits.BruteForce.MaxAttempts = 2
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: tenant, Settings: &limits})
	m := newManagement(t, sim)
	if blocks, err := m.UserBlocks(t.Context(), ada); err != nil || len(blocks) != 0 {
		t.Fatalf("got %+v, %v", blocks, err)
	}
	transport := upstream.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	client, err := upstream.New(upstream.Options{
		Issuer: sim.Issuer(), BaseURL: sim.URL(), ClientID: auth0sim.DemoClientID, ClientAuth: upstream.SecretPost(auth0sim.DemoClientID, secret.New(auth0sim.DemoClientSecret)),
		Scope: "openid", Timeout: 5 * time.Second, Transport: transport, Now: sim.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		client.Try(t.Context(), upstream.Credentials{Username: "ada@example.test", Password: secret.New("wrong"), Realm: auth0sim.DemoConnection})
	}
	want := []upstream.UserBlock{{Identifier: "ada@example.test", IP: "127.0.0.1", Connection: auth0sim.DemoConnection}}
	if blocks, err := m.UserBlocks(t.Context(), ada); err != nil || !reflect.DeepEqual(blocks, want) {
		t.Errorf("got %+v, %v", blocks, err)
	}
	weak := newManagement(t, sim, func(o *upstream.ManagementOptions) { o.ClientID = "weak" })
	for _, c := range []struct {
		m    *upstream.Management
		user string
		want upstream.ManagementError
	}{
		{weak, ada, upstream.ManagementError{Status: http.StatusForbidden, Code: "insufficient_scope", Reason: "refused"}},
		{m, "auth0|nobody", upstream.ManagementError{Status: http.StatusNotFound, Code: "inexistent_user", Reason: "refused"}},
		{m, "ada", upstream.ManagementError{Reason: "bad_id"}},
	} {
		_, err := c.m.UserBlocks(t.Context(), c.user)
		if got := failure(t, err); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.user, got, c.want)
		}
	}
}
