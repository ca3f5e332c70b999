package bulk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/test/kratostest"
)

// bridgeUsers can log in by their password, not without a second factor, by a code that only
// Auth0 sends, at their company only, and with an address that Auth0 did not verify.
const bridgeUsers = `{"user_id":"auth0|1","email":"ann@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"1","connection":"users"}]}
{"user_id":"auth0|2","email":"bo@example.org","email_verified":true,"multifactor":["guardian"],"identities":[{"provider":"auth0","user_id":"2","connection":"users"}]}
{"user_id":"email|3","email":"cleo@example.org","email_verified":true,"identities":[{"provider":"email","user_id":"3","connection":"email"}]}
{"user_id":"waad|4","email":"di@corp.example","identities":[{"provider":"waad","user_id":"4","connection":"corp"}]}
{"user_id":"auth0|5","email":"eve@example.org","email_verified":false,"identities":[{"provider":"auth0","user_id":"5","connection":"users"}]}
`

// An import without the bridge, then one with it: who has an identity gets a login at the
// bridge, and who had no way in gets an identity with that alone. Reconcile finds nothing to do.
func TestBridge(t *testing.T) {
	t.Parallel()
	k := newKratos(t, kratostest.Options{})
	dir := t.TempDir()
	users, results := filepath.Join(dir, "users.ndjson"), filepath.Join(dir, "results.ndjson")
	if err := os.WriteFile(users, []byte(bridgeUsers), 0o600); err != nil {
		t.Fatal(err)
	}
	ferry(t, adminURL(k), "import", "--users", users).want(t, 0, "2 created_pending", "3 skipped")
	before := everybody(t, k)

	again := []string{"import", "--users", users, "--bridge", "old", "--on-conflict", "update"}
	ferry(t, adminURL(k), append(again, "--dry-run", "--results", filepath.Join(dir, "dry.ndjson"))...).want(t, 0, "3 created_bridge", "1 updated")
	ferry(t, adminURL(k), append(again, "--results", results)...).want(t, 0, "3 created_bridge", "1 users get no login at the bridge")
	var got []string
	ids := map[string]string{}
	for _, r := range readLines[result](t, results) {
		got = append(got, fmt.Sprintf("%d %s %s", r.Line, r.Outcome, r.word()))
		ids[r.UserID] = r.IdentityID
	}
	slices.Sort(got)
	if joined := strings.Join(got, "|"); joined != "1 updated |2 created_bridge mfa|3 created_bridge no_login_method|4 created_bridge no_login_method|5 skipped pending" {
		t.Errorf("got %s", joined)
	}
	all := everybody(t, k)
	for _, user := range []string{"auth0|1", "auth0|2", "email|3", "waad|4"} {
		text := all[ids[user]]
		if pending := strings.Contains(text, `"use_password_migration_hook":true`); !strings.Contains(text, `"old:`+user+`"`) || pending != (user == "auth0|1") {
			t.Errorf("%s is %s", user, text)
		}
	}
	if id := ids["auth0|5"]; all[id] != before[id] {
		t.Errorf("it was %s, and is %s", before[id], all[id])
	}

	ferry(t, adminURL(k), again...).want(t, 0, "5 skipped")
	const verdict = "verdict: 5 of Auth0's 5 users (100.0 %) can log in to Kratos today: 3 only at Auth0, over the bridge, 2 only while Auth0 answers (pending)"
	ferry(t, adminURL(k), "reconcile", "--users", users, "--bridge", "old").want(t, 0, verdict)
	ferry(t, adminURL(k), "reconcile", "--users", users).want(t, 0, verdict)
	if said := ferry(t, adminURL(k), "status").want(t, 0).stdout; !strings.Contains(said, "3 can log in at Auth0 only, over the bridge") {
		t.Errorf("status says %s", said)
	}
	x := strings.SplitN(all[ids["auth0|2"]], `"run":"`, 2)
	run, _, _ := strings.Cut(x[len(x)-1], `"`)
	ferry(t, adminURL(k), "undo", "--run", run, "--yes").want(t, 0, "3 deleted")
}
