package bulk

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/test/kratostest"
)

const (
	victim = `{"user_id":"auth0|victim","email":"vera@example.org","email_verified":true,"name":"Vera Victim","identities":[{"provider":"auth0","user_id":"victim","connection":"main"}]}`
	// The attacker signed up with the victim's address in another connection without
	// verifying it, or uses her address with a Kelvin sign, or as a username.
	attacker = `{"user_id":"auth0|attacker","email":"%s","email_verified":false,"name":"Mallory","app_metadata":{"role":"admin"},"identities":[{"provider":"auth0","user_id":"attacker","connection":"other"},{"provider":"google-oauth2","user_id":"666","connection":"google-oauth2"}]}`
	pretends = `{"user_id":"auth0|pretends","username":"vera@example.org","email":"mallory@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"pretends","connection":"other"}]}`
	social   = `{"user_id":"google-oauth2|667","email":"VERA@example.org","email_verified":true,"identities":[{"provider":"google-oauth2","user_id":"667","connection":"google-oauth2"}]}`
	hashOf   = `{"_id":{"$oid":"%s"},"passwordHash":"$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy","email":"vera@example.org"}`
)

// TestTwin: a user with another user's identifier gains nothing: not before, with or
// after the import of the victim, and not under any flags.
func TestTwin(t *testing.T) {
	k := newKratos(t, kratostest.Options{})
	dir := t.TempDir()
	write := func(name string, lines ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rows := []string{fmt.Sprintf(attacker, "vera@example.org"), pretends, social}
	hashes := write("hashes", fmt.Sprintf(hashOf, "attacker"), fmt.Sprintf(hashOf, "pretends"), fmt.Sprintf(hashOf, "victim"))
	both := write("both", append(slices.Clone(rows), victim, strings.Replace(rows[0], "attacker", "attacker2", 2))...)

	a := ferry(t, adminURL(k), append([]string{"import", "--users", both, "--hashes", hashes, "--on-conflict", "update"}, google...)...).want(t, 1)
	for _, r := range parseLines[result](t, []byte(a.stdout)) {
		if (r.Outcome == "created_hash") != (r.UserID == "auth0|victim") || r.UserID != "auth0|victim" && r.word() != "identifier_twice" {
			t.Errorf("%+v", r)
		}
	}
	before := everybody(t, k)
	if len(before) != 1 {
		t.Fatalf("there are %d identities", len(before))
	}

	x := &twins{k: k, before: before, hashes: hashes}
	alone := write("alone", rows...)
	for _, flags := range combinations(
		[]string{"--mode auto", "--mode hook", "--mode hash"}, []string{"--on-conflict skip", "--on-conflict update", "--on-conflict fail"},
		[]string{"", "--hook-off"}, []string{"--mfa skip", "--mfa drop --bridge old"},
	) {
		x.fail(t, alone, flags)
	}
	for _, twin := range rows {
		a := ferry(t, adminURL(k), append([]string{"import", "--users", write("one", twin), "--on-conflict", "update", "--hook-off", "--bridge", "old"}, google...)...).want(t, 1)
		if r := parseLines[result](t, []byte(a.stdout))[0]; r.Outcome != "failed" || r.Reason != "identifier_taken" {
			t.Errorf("%+v", r)
		}
		ferry(t, adminURL(k), append([]string{"reconcile", "--users", write("one", twin), "--fix", "--hook-off", "--bridge", "old"}, google...)...).want(t, 1)
	}
	if after := everybody(t, k); !maps.Equal(before, after) {
		t.Errorf("the identities are %v", after)
	}
}

// twins are imported against existing identities.
type twins struct {
	k      *kratostest.Kratos
	before map[string]string
	hashes string
}

// fail imports them with these flags and fails the test if any of them gains
// something.
func (x *twins) fail(t *testing.T, users string, flags []string) {
	t.Helper()
	args := append(append([]string{"import", "--users", users, "--hashes", x.hashes, "--external-id"}, google...), flags...)
	for _, r := range parseLines[result](t, []byte(ferry(t, adminURL(x.k), args...).stdout)) {
		// Each claims the victim's identifier; two of them also conflict with each other.
		if r.Outcome != "failed" || r.Reason != "identifier_taken" && r.word() != "identifier_twice" {
			t.Errorf("%v: %+v", flags, r)
		}
	}
	if after := everybody(t, x.k); !maps.Equal(x.before, after) {
		t.Fatalf("%v: the identities are %v", flags, after)
	}
}

// combinations returns every combination with one element of each list.
func combinations(all ...[]string) [][]string {
	if len(all) == 0 {
		return [][]string{nil}
	}
	var out [][]string
	for _, first := range all[0] {
		for _, rest := range combinations(all[1:]...) {
			out = append(out, append(strings.Fields(first), rest...))
		}
	}
	return out
}
