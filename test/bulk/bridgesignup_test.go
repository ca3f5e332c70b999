package bulk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/auth0sim"
)

// Who signs up over the bridge is bound, and gets the profile by the next reconciliation. Whom
// an Action refuses at a password grant, it refuses in the browser too: the bridge is no way in.
func TestBridgeSignUp(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	if _, err := b.sim.AddUser(auth0sim.User{
		ID: "auth0|7", Connection: "users", Email: "denied@example.org", EmailVerified: true, Password: "password-of-denied",
		Deny: &auth0sim.Denial{Reason: "not from here"},
	}); err != nil {
		t.Fatal(err)
	}
	refused := b.visit()
	refused.bridge(nil, password("users", "denied@example.org", "password-of-denied"))
	if is := refused.session(); is.Identity.ID != "" {
		t.Errorf("a denied user is logged in as %+v", is)
	}
	v := b.visit()
	v.bridge(nil, password("users", "new@example.org", "password-of-new"))
	id := v.session().Identity.ID
	if text := everybody(t, b.k)[id]; id == "" || !strings.Contains(text, `"user_id":"auth0|9"`) || strings.Contains(text, "gold") {
		t.Fatalf("after the sign-up: %q %s", id, text)
	}
	users := filepath.Join(t.TempDir(), "users.ndjson")
	const row = `{"user_id":"auth0|9","email":"new@example.org","email_verified":true,"user_metadata":{"plan":"gold"},"identities":[{"provider":"auth0","user_id":"9","connection":"users"}]}` + "\n"
	if err := os.WriteFile(users, []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	ferry(t, adminURL(b.k), "reconcile", "--users", users, "--bridge", "old", "--fix").want(t, 0)
	if text := everybody(t, b.k)[id]; !strings.Contains(text, "gold") || !strings.Contains(text, `"old:auth0|9"`) {
		t.Errorf("after the reconciliation: %s", text)
	}
}
