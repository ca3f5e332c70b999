package bulk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/auth0sim/gen"
)

// TestFetchMissing: with --fetch-missing, every row of a users file without the deciding fields
// becomes what it becomes with the fields in the file. A user whom Auth0 does not have any more
// gets a result that says so, and a file of other users only is refused.
func TestFetchMissing(t *testing.T) {
	t.Parallel()
	x := newTenant(t, 300, 11)
	seed, err := os.Open(x.path(gen.SeedFile))
	if err != nil {
		t.Fatal(err)
	}
	defer seed.Close()
	tenant, err := auth0sim.ReadSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	settings := tenant.Settings.Relaxed()
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: &tenant.Tenant, Settings: &settings})
	env := []string{
		"FERRY_AUTH0_DOMAIN=" + sim.Domain(), "FERRY_AUTH0_BASE_URL=" + sim.URL(),
		"FERRY_AUTH0_MGMT_CLIENT_ID=" + gen.MachineID, "FERRY_AUTH0_MGMT_CLIENT_SECRET=" + gen.MachineSecret,
	}
	full, few := x.path("full.ndjson"), x.path("few.ndjson")
	ferry(t, env, "export", "--out", full).want(t, 0)
	withoutFields(t, full, few)
	run := func(users string, status int, args ...string) string {
		t.Helper()
		results := x.path(filepath.Base(users) + "-results")
		args = slices.Concat([]string{"import", "--dry-run", "--schema", x.path(gen.SchemaFile), "--users", users, "--hashes", x.path(gen.HashesFile), "--results", results}, args)
		return ferry(t, env, args...).want(t, status).stderr
	}
	run(full, 1)
	run(few, 1, "--fetch-missing")
	want, got := readLines[result](t, full+"-results"), readLines[result](t, few+"-results")
	if !slices.Equal(got, want) {
		t.Errorf("%d results are not those of the whole file, %d", len(got), len(want))
	}
	counts := map[string]int{}
	for _, r := range got {
		counts[r.word()]++
	}
	if counts["mfa"] == 0 || counts["stale_hash"] == 0 {
		t.Errorf("the tenant has not everything: %v", counts)
	}
	deleted := x.path("deleted.ndjson")
	text := strings.Join([]string{`{"user_id":"auth0|gone","email":"gone@example.org"}`, firstLineOf(t, few)}, "\n")
	if err := os.WriteFile(deleted, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(deleted, 1, "--fetch-missing")
	if all := readLines[result](t, deleted+"-results"); len(all) != 2 || all[0].UserID != "auth0|gone" || all[0].word() != "not_at_auth0" || all[1].word() == "not_at_auth0" {
		t.Errorf("the results are %+v", all)
	}
	strangers := x.path("strangers.ndjson")
	if err := os.WriteFile(strangers, []byte(`{"user_id":"auth0|gone","email":"gone@example.org"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := run(strangers, 1, "--fetch-missing"); !strings.Contains(said, "none of the 1 users in the users file is at Auth0: nothing was written") {
		t.Errorf("said %s", said)
	}
}

// withoutFields copies a users file without the fields that decide what becomes of users.
func withoutFields(t *testing.T, from, to string) {
	t.Helper()
	var out strings.Builder
	for _, user := range readLines[map[string]json.RawMessage](t, from) {
		for _, key := range []string{"blocked", "multifactor", "last_password_reset", "identities", "auth0_tenant"} {
			delete(user, key)
		}
		text, err := json.Marshal(user)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(text, '\n'))
	}
	if err := os.WriteFile(to, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func firstLineOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
