package bulk

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"ferry/test/kratostest"
)

// merged is an identity of several accounts, as Kratos shows it.
type merged struct {
	Credentials struct {
		OIDC struct {
			Identifiers []string `json:"identifiers"`
		} `json:"oidc"`
	} `json:"credentials"`
	MetadataAdmin struct {
		Auth0 struct {
			UserIDs []string `json:"user_ids"`
		} `json:"auth0"`
	} `json:"metadata_admin"`
}

// TestMergeVerified: a person with several accounts at Auth0 gets one identity, logs in with
// the password of the database account, and at each provider.
func TestMergeVerified(t *testing.T) {
	x := crossingOf(t, nil, "testdata/several-accounts.json", applications{
		client: "ferry-demo-client", clientSecret: "ferry-demo-client-secret-that-opens-nothing",
		machine: "mgmt", machineSecret: "mgmt-secret-that-opens-nothing-at-all", realms: "Username-Password-Authentication",
	})
	const ada, bea, eve = "auth0|5f7c8ec7c33c6c004bb00001", "google-oauth2|1181", "google-oauth2|1191"
	env := append(slices.Clone(x.env), "FERRY_VERIFIED_CONNECTIONS=Username-Password-Authentication,google-oauth2,github", "FERRY_AUTH0_TENANT_DOMAIN="+x.sim.Domain())
	dir := t.TempDir()
	users, results := filepath.Join(dir, "users.ndjson.gz"), filepath.Join(dir, "results.ndjson")
	ferry(t, env, "export", "--out", users).want(t, 0)
	args := []string{"--users", users, "--provider", "google-oauth2=google", "--provider", "github=github"}
	for _, command := range []string{"import", "reconcile"} {
		foreign := append(slices.Clone(x.env), "FERRY_AUTH0_TENANT_DOMAIN=other.eu.auth0.com")
		ferry(t, foreign, append([]string{command}, args...)...).want(t, 1, `the users file is of the tenant "`+x.sim.Domain()+`", not of "other.eu.auth0.com"`)
	}
	ferry(t, env, append([]string{"import", "--dry-run"}, args...)...).want(t, 1, "warning: 2 people have several accounts at Auth0 with one verified address", "2 get an identity for one of the accounts, 0 get none")
	ferry(t, env, append([]string{"import", "--merge-verified", "--results", results}, args...)...).want(t, 1, "2 people have several accounts with one verified address: 2 are merged")
	rows := map[string]result{}
	for _, r := range readLines[result](t, results) {
		rows[r.UserID] = r
	}
	all := everybody(t, x.kratos)
	if len(all) != 3 || rows[eve].Outcome != "created_social" || rows["auth0|5f7c8ec7c33c6c004bb00002"].word() != "identifier_twice" {
		t.Errorf("%d identities, %+v", len(all), rows)
	}
	if rows[bea].Outcome == "merged" { // both are as old: the first in the file is the primary one
		isMerged(t, all, rows, "created_social", "github|4242", bea, "github:4242", "google:1181")
	} else {
		isMerged(t, all, rows, "created_social", bea, "github|4242", "github:4242", "google:1181")
	}
	isMerged(t, all, rows, "created_pending", ada, "google-oauth2|1171", "google:1171")
	ferry(t, env, append([]string{"reconcile"}, args...)...).want(t, 1, "2 of these users are an account of another user's identity", "verdict: 5 of Auth0's 6 users")
	for _, attempt := range []struct{ password, sees string }{
		{"eve-pass-12345", kratostest.SeesInvalidCredentials}, {"ada-pass-12345", kratostest.SeesSession}, {"ada-pass-12345", kratostest.SeesSession}, // the second one without Auth0
	} {
		got, err := x.kratos.LoginAPI(t.Context(), "Ada@example.org", attempt.password)
		if err != nil || got.Sees() != attempt.sees {
			t.Errorf("%s sees %q, %v", attempt.password, got.Sees(), err)
		}
		if got.Sees() == kratostest.SeesSession && got.IdentityID != rows[ada].IdentityID {
			t.Errorf("ada is logged in as %s", got.IdentityID)
		}
	}
	before := everybody(t, x.kratos)
	ferry(t, env, append([]string{"reconcile", "--fix"}, args...)...).want(t, 1, "verdict: 5 of Auth0's 6 users")
	if after := everybody(t, x.kratos); !maps.Equal(before, after) {
		t.Errorf("reconcile changed the identities: %v, before %v", after, before)
	}
	ferry(t, env, append([]string{"import", "--merge-verified", "--on-conflict", "update"}, args...)...).want(t, 1, "nothing was changed in Kratos", "5 skipped")
}

// isMerged fails the test unless the two accounts are one identity with these logins.
func isMerged(t *testing.T, all map[string]string, rows map[string]result, outcome, primary, other string, logins ...string) {
	t.Helper()
	id := rows[primary].IdentityID
	if rows[primary].Outcome != outcome || rows[other].Outcome != "merged" || rows[other].IdentityID != id {
		t.Errorf("the rows are %+v and %+v", rows[primary], rows[other])
	}
	var is merged
	if err := json.Unmarshal([]byte(all[id]), &is); err != nil {
		t.Fatal(err)
	}
	slices.Sort(is.Credentials.OIDC.Identifiers)
	if !slices.Equal(is.MetadataAdmin.Auth0.UserIDs, []string{primary, other}) || !slices.Equal(is.Credentials.OIDC.Identifiers, logins) {
		t.Errorf("the identity is %s", all[id])
	}
}
