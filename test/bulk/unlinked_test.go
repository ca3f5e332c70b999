package bulk

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/kratostest"
)

// Logins that the import gave an identity for linked accounts are removed once the accounts
// are no longer linked at Auth0; everything else of the identity stays.
func TestUnlinkedAtAuth0(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := crossingOf(t, nil, "testdata/linked-other-email.json", applications{
		client: "ferry-demo-client", clientSecret: "ferry-demo-client-secret-that-opens-nothing",
		machine: "mgmt", machineSecret: "mgmt-secret-that-opens-nothing-at-all", realms: "Customers,Username-Password-Authentication",
	})
	write := func(name, format string, linked ...any) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, fmt.Appendf(nil, format, linked...), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const hash = "$2b$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
	const rows = `{"user_id":"auth0|u1","email":"u1@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"u1","connection":"Customers"}%s]}
{"user_id":"auth0|u2","email":"u2@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"u2","connection":"Customers"}%s]}
`
	google := func(id string) string {
		return fmt.Sprintf(`,{"provider":"google-oauth2","user_id":%q,"connection":"google-oauth2"}`, id)
	}
	linked, apart := write("linked", rows, google("g1"), google("g2")), write("apart", rows, "", "")
	hashes := write("hashes", `{"_id":{"$oid":"u1"},"passwordHash":%q}`+"\n", hash)
	results := filepath.Join(dir, "results")
	ferry(t, x.env, "import", "--users", linked, "--hashes", hashes, "--provider", "google-oauth2=google", "--results", results).want(t, 0, "1 created_hash", "1 created_pending")
	ids := map[string]string{}
	for _, r := range readLines[result](t, results) {
		ids[r.UserID] = r.IdentityID
	}
	before := everybody(t, x.kratos)
	ferry(t, x.env, "reconcile", "--users", apart).want(t, 1, "2 unlinked\n")
	if after := everybody(t, x.kratos); !maps.Equal(before, after) {
		t.Errorf("without --fix the identities are %v", after)
	}
	ferry(t, x.env, "reconcile", "--users", apart, "--fix").want(t, 0, "2 unlinked, 2 fixed")
	for id, text := range everybody(t, x.kratos) {
		if strings.Contains(text, `"google:`) && strings.Contains(text, `"identifiers":["google:`) {
			t.Errorf("the identity is %s", text)
		}
		is, err := x.kratos.Get(t.Context(), id)
		if err != nil || is.Pending != (id == ids["auth0|u2"]) || (is.HashedPassword == hash) != (id == ids["auth0|u1"]) {
			t.Errorf("%s is %+v, %v", id, is, err)
		}
	}
	ferry(t, x.env, "reconcile", "--users", linked, "--fix", "--provider", "google-oauth2=google").want(t, 0, "2 linked, 2 fixed")
	ferry(t, x.env, "reconcile", "--users", apart).want(t, 1, "2 unlinked\n")
	if sees, err := x.kratos.LoginAPI(t.Context(), "u1@example.org", "wrong"); err != nil || sees.Sees() != kratostest.SeesInvalidCredentials {
		t.Errorf("u1 sees %+v, %v", sees, err)
	}
}
