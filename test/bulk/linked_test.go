package bulk

import (
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/kratostest"
)

// TestLinkedAccountWithAnotherEmail: a user whose password belongs to a linked account
// with another e-mail address logs in with that address, as at Auth0.
func TestLinkedAccountWithAnotherEmail(t *testing.T) {
	x := crossingOf(t, nil, "testdata/linked-other-email.json", applications{
		client: "ferry-demo-client", clientSecret: "ferry-demo-client-secret-that-opens-nothing",
		machine: "mgmt", machineSecret: "mgmt-secret-that-opens-nothing-at-all", realms: "Customers,Username-Password-Authentication",
	})
	const subject, typed, password = "google-oauth2|1150", "second@example.org", "linked-pass-123"
	dir := t.TempDir()
	users, results := filepath.Join(dir, "users.ndjson"), filepath.Join(dir, "results.ndjson")
	ferry(t, x.env, "export", "--out", users).want(t, 0)
	ferry(t, x.env, "import", "--users", users, "--results", results)
	var row result
	for _, r := range readLines[result](t, results) {
		if r.UserID == subject {
			row = r
		}
	}
	if row.Outcome != "created_pending" {
		t.Fatalf("the row is %+v", row)
	}
	for _, attempt := range []struct{ identifier, password, sees string }{
		{"p@example.org", password, kratostest.SeesInvalidCredentials},
		{typed, password + "x", kratostest.SeesInvalidCredentials},
		{typed, password, kratostest.SeesSession},
		{strings.ToUpper(typed), password, kratostest.SeesSession}, // without Auth0
	} {
		got, err := x.kratos.LoginAPI(t.Context(), attempt.identifier, attempt.password)
		if err != nil || got.Sees() != attempt.sees {
			t.Errorf("%s sees %q, not %q, %v", attempt.identifier, got.Sees(), attempt.sees, err)
		}
		if got.Sees() == kratostest.SeesSession && got.IdentityID != row.IdentityID {
			t.Errorf("%s is logged in as %s", attempt.identifier, got.IdentityID)
		}
	}
	identity, err := x.kratos.Get(t.Context(), row.IdentityID)
	if err != nil || identity.Pending || identity.HashedPassword == "" || identity.Traits["email"] != typed {
		t.Errorf("the identity is %+v, %v", identity, err)
	}
}
