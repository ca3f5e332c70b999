package bulk

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"ferry/test/kratostest"
)

// TestUpdate: reconcile --fix and an import with updates write what changed at Auth0
// since the import, except passwords and pending identities.
func TestUpdate(t *testing.T) {
	for name, update := range map[string][]string{
		"import":    {"import", "--on-conflict", "update"},
		"reconcile": {"reconcile", "--fix"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKratos(t, kratostest.Options{})
			x := newPeople(t)
			ferry(t, adminURL(k), "import", "--users", x.before, "--hashes", x.hashes).want(t, 0)
			before := everybody(t, k)

			a := ferry(t, adminURL(k), append(update, "--users", x.after)...)
			for email, want := range map[string]person{
				"ada@example.org": {name: "Ada", state: "active", plan: "pro", in: true},
				"bob@example.org": {state: "active", plan: "free"}, // pending
				"cyd@example.org": {state: "inactive", plan: "free"},
			} {
				if got := x.person(t, k, email); got != want {
					t.Errorf("%s is %+v, not %+v\n%s", email, got, want, a.stderr)
				}
			}
			if len(everybody(t, k)) != len(before) {
				t.Error("the set of identities changed")
			}
			ferry(t, adminURL(k), "import", "--on-conflict", "update", "--users", x.after).want(t, 0, "nothing was changed in Kratos")
		})
	}
}

type people struct{ before, after, hashes string }

const peoplePassword = "correct horse battery staple"

func newPeople(t *testing.T) people {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, lines ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	user := func(id, more string) string {
		return fmt.Sprintf(`{"user_id":"auth0|%[1]s","email":"%[1]s@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"%[1]s","connection":"main"}],%[2]s}`, id, more)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(peoplePassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	hashed := func(id string) string { return fmt.Sprintf(`{"_id":{"$oid":%q},"passwordHash":%q}`, id, hash) }
	const free, pro = `"app_metadata":{"plan":"free"}`, `"app_metadata":{"plan":"pro"}`
	return people{
		before: write("before", user("ada", free), user("bob", free), user("cyd", free)),
		after:  write("after", user("ada", pro+`,"name":"Ada"`), user("bob", pro), user("cyd", free+`,"blocked":true`)),
		hashes: write("hashes", hashed("ada"), hashed("cyd")),
	}
}

// person is the part of an identity that the tests compare.
type person struct {
	name, state, plan string
	in                bool // the password works
}

func (people) person(t *testing.T, k *kratostest.Kratos, email string) person {
	t.Helper()
	for _, text := range everybody(t, k) {
		var is struct {
			State  string
			Traits struct{ Email, Name string }
			Admin  struct {
				Auth0 struct {
					App struct{ Plan string } `json:"app_metadata"`
				}
			} `json:"metadata_admin"`
		}
		if err := json.Unmarshal([]byte(text), &is); err != nil {
			t.Fatal(err)
		}
		if is.Traits.Email != email {
			continue
		}
		p := person{name: is.Traits.Name, state: is.State, plan: is.Admin.Auth0.App.Plan}
		if !strings.Contains(text, `"use_password_migration_hook":true`) {
			login, err := k.LoginAPI(t.Context(), email, peoplePassword)
			p.in = err == nil && login.Sees() == kratostest.SeesSession
		}
		return p
	}
	t.Fatalf("%s is not there", email)
	return person{}
}
