package gen_test

import (
	"bufio"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"ferry/test/auth0sim"
	"ferry/test/auth0sim/gen"
)

// Expected passwords are those of the tenant, and the hashes expected to be good are of
// them; those that are stale are not.
func TestPasswords(t *testing.T) {
	t.Parallel()
	dir, _ := generate(t, gen.Options{Users: 500, Seed: 11})
	file, err := os.Open(filepath.Join(dir, gen.SeedFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seed, err := auth0sim.ReadSeed(bufio.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	settings := auth0sim.RelaxedSettings()
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: &seed.Tenant, Settings: &settings})
	logins := 0
	seen := map[string]int{}
	for _, e := range decoded[gen.Expected](t, dir, gen.ExpectedFile) {
		if _, ok := sim.User(e.UserID); ok != (e.Reason != gen.Unreadable) {
			t.Errorf("%s is in the tenant: %t", e.UserID, ok)
		}
		if e.Password == "" || seen[e.Kind] >= 2 {
			continue
		}
		seen[e.Kind]++
		logins++
		want := http.StatusOK
		switch {
		case e.Reason == gen.MFA:
			want = http.StatusForbidden
		case e.Blocked:
			want = http.StatusUnauthorized
		case e.Reason == gen.NoIdentifier:
			continue // with a number, which is not expected here
		}
		if got := login(t, sim, e); got != want {
			t.Errorf("%+v: got %d, want %d", e, got, want)
		}
	}
	if logins < 30 {
		t.Errorf("only %d logins", logins)
	}
}

// login logs a user in with what is expected to be right.
func login(t *testing.T, sim *auth0sim.Server, e gen.Expected) int {
	t.Helper()
	realm := e.Connection
	if realm == "" {
		realm = gen.Database
	}
	form := url.Values{
		"grant_type": {auth0sim.GrantPasswordRealm}, "realm": {realm}, "username": {e.Identifier}, "password": {e.Password},
		"client_id": {gen.ClientID}, "client_secret": {gen.ClientSecret},
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sim.URL()+auth0sim.PathToken, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestHashesAreBcrypt(t *testing.T) {
	t.Parallel()
	dir, _ := generate(t, gen.Options{Users: 500, Seed: 11, Cost: 5})
	hashes := map[string][]string{}
	for _, h := range readHashes(t, dir) {
		hashes[h.subject] = append(hashes[h.subject], h.hash)
	}
	right := comparer()
	users := lines(t, dir, gen.UsersFile)
	checked := map[gen.Reason]int{}
	for _, e := range decoded[gen.Expected](t, dir, gen.ExpectedFile) {
		var found []string
		for _, subject := range databaseSubjects(users[e.Line-1]) {
			found = append(found, hashes[subject]...)
		}
		ok := true
		switch {
		case e.Outcome == gen.CreatedHash:
			ok = slices.ContainsFunc(found, func(hash string) bool { return right(hash, e.Password) }) && strings.HasPrefix(found[0], "$2b$05$")
		case e.Reason == gen.NoHash:
			ok = len(found) == 0
		case e.Reason == gen.StaleHash:
			ok = len(found) == 1 && !right(found[0], e.Password)
		}
		if !ok {
			t.Errorf("%+v: got %v", e, found)
		}
		checked[e.Reason]++
	}
	if checked[""] < 50 || checked[gen.NoHash] < 50 || checked[gen.StaleHash] < 4 {
		t.Errorf("checked %v", checked)
	}
}

// comparer is bcrypt, each pair once: there are few passwords.
func comparer() func(hash, password string) bool {
	compared := map[[2]string]bool{}
	return func(hash, password string) bool {
		pair := [2]string{hash, password}
		if _, known := compared[pair]; !known {
			compared[pair] = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
		}
		return compared[pair]
	}
}
