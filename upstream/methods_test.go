package upstream_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/upstream"
)

// TestAuthenticationMethods: all pages of a user's methods are read, each method as Auth0 has
// it.
func TestAuthenticationMethods(t *testing.T) {
	t.Parallel()
	tenant := managedTenant(auth0sim.ScopeReadAuthenticationMethods)
	tenant.Apps = append(tenant.Apps, auth0sim.App{ClientID: "weak", ClientSecret: machineSecret, ManagementScopes: []string{auth0sim.ScopeReadUsers}})
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: tenant})
	m := newManagement(t, sim)
	for _, n := range []int{0, 1, 50, 51, 120} {
		if _, err := sim.UpdateUser(ada, func(u *auth0sim.User) {
			u.AuthenticationMethods = nil
			for i := range n {
				u.AuthenticationMethods = append(u.AuthenticationMethods, auth0sim.AuthenticationMethod{ID: fmt.Sprintf("totp|dev_%d", i), Type: "totp", CreatedAt: time.Unix(0, 0).UTC()})
			}
		}); err != nil {
			t.Fatal(err)
		}
		methods, err := m.AuthenticationMethods(t.Context(), ada)
		if err != nil || len(methods) != n || methods == nil {
			t.Fatalf("%d methods, %v, want %d", len(methods), err, n)
		}
		for i, method := range methods {
			if want := fmt.Sprintf(`{"id":"totp|dev_%d","type":"totp","created_at":"1970-01-01T00:00:00Z"}`, i); string(method) != want {
				t.Errorf("got %s, want %s", method, want)
			}
		}
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
		_, err := c.m.AuthenticationMethods(t.Context(), c.user)
		if got := failure(t, err); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.user, got, c.want)
		}
	}
}

// TestAuthenticationMethodsMalformed: an answer that is not a page of methods is an error, never
// a user without methods.
func TestAuthenticationMethodsMalformed(t *testing.T) {
	t.Parallel()
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: managedTenant(auth0sim.ScopeReadAuthenticationMethods)})
	m := newManagement(t, sim)
	for body, reason := range map[string]string{
		`[]`:                                    "malformed",
		`{}`:                                    "malformed",
		`{"total":0}`:                           "malformed",
		`{"authenticators":[]}`:                 "malformed",
		`{"total":1,"authenticators":null}`:     "malformed",
		`{"total":1,"authenticators":["totp"]}`: "malformed",
		`{"total":1,"authenticators":[]}`:       "changed_meanwhile",
		`{"total":99,"authenticators":[{}]}`:    "too_many_methods",
		// ambiguous
		`{"total":0,"Total":1,"authenticators":[]}`: "malformed",
	} {
		id, err := sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultAnswer, Status: 200, Body: body, Path: auth0sim.PathUsers, Headers: map[string]string{"Content-Type": "application/json"}})
		if err != nil {
			t.Fatal(err)
		}
		methods, err := m.AuthenticationMethods(t.Context(), ada)
		if got := failure(t, err); got.Reason != reason || methods != nil || strings.Contains(err.Error(), "totp") {
			t.Errorf("%s: %+v", body, got)
		}
		if err := sim.ClearFault(id); err != nil {
			t.Error(err)
		}
	}
}
