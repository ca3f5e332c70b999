package bulk

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"ferry/test/kratostest"
)

// hashedPassword is the password of a row. It has what could be mistaken for a part of
// Kratos' format.
func hashedPassword(row int) string { return fmt.Sprintf("Pä$$wort {SALT}{PASSWORD} %d", row) }

func hashedEmail(row int) string { return fmt.Sprintf("hashed%d@example.org", row) }

// hashedUsers writes a users file with the rows: every second one as in an export, and the
// others as in Auth0's users_import format, where the user_id has no provider.
func hashedUsers(t *testing.T, rows []hashedRow) string {
	t.Helper()
	users := make([]object, len(rows))
	for i, row := range rows {
		id := fmt.Sprintf("h%d", i)
		users[i] = object{
			"user_id": id, "email": hashedEmail(i), "email_verified": true,
			"blocked": false, "multifactor": []string{}, "last_password_reset": nil,
		}
		if i%2 == 0 {
			users[i]["user_id"] = "auth0|" + id
			users[i]["identities"] = []object{{"provider": "auth0", "user_id": id, "connection": "Username-Password-Authentication"}}
		}
		fields, err := row.fields(hashedPassword(i))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(users[i], fields)
	}
	text, err := json.Marshal(users)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHashes: a user with a hash in any form that ferry converts logs in at Kratos with the
// password, and with no other. A user with a hash in another form stays pending, with the
// reason.
func TestHashes(t *testing.T) {
	t.Parallel()
	k := newKratos(t, kratostest.Options{})
	usable, unusable := hashedRows(), unusableRows()
	path := hashedUsers(t, append(usable[:len(usable):len(usable)], unusable...))
	results := filepath.Join(t.TempDir(), "results.ndjson")
	a := ferry(t, adminURL(k), "import", "--users", path, "--results", results).want(t, 0)
	if said := a.stdout + a.stderr; strings.Contains(said, "$") {
		t.Errorf("ferry prints a hash:\n%s", said)
	}
	done := readLines[result](t, results)
	if len(done) != len(usable)+len(unusable) {
		t.Fatalf("%d results of %d rows", len(done), len(usable)+len(unusable))
	}
	for _, r := range done {
		i := r.Line - 1
		switch {
		case r.UserID != fmt.Sprintf("auth0|h%d", i):
			t.Errorf("the user of line %d is %s", r.Line, r.UserID)
		case i < len(usable) && r.Outcome != "created_hash":
			t.Errorf("%s is %+v", usable[i].name, r)
		case i >= len(usable) && (r.Outcome != "created_pending" || r.word() != "unusable_hash" || r.Detail == ""):
			t.Errorf("%s is %+v", unusable[i-len(usable)].name, r)
		}
	}
	if t.Failed() {
		return
	}
	var group errgroup.Group
	group.SetLimit(4)
	for i, row := range usable {
		group.Go(func() error { return logsIn(t, k, row.name, i) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// logsIn logs in with another row's password and with the right one, twice: at the first
// login, Kratos replaces the hash by its own.
func logsIn(t *testing.T, k *kratostest.Kratos, name string, row int) error {
	t.Helper()
	for _, try := range []struct{ password, sees string }{
		{hashedPassword(row + 1), kratostest.SeesInvalidCredentials},
		{hashedPassword(row), kratostest.SeesSession},
		{hashedPassword(row), kratostest.SeesSession},
	} {
		login, err := k.LoginAPI(t.Context(), hashedEmail(row), try.password)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if login.Sees() != try.sees {
			t.Errorf("%s: %q sees %s, not %s", name, try.password, login.Sees(), try.sees)
		}
	}
	return nil
}
