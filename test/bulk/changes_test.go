package bulk

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"ferry/test/await"
	"ferry/test/kratostest"
)

// loginsAtOnce is how many users log in at once.
const loginsAtOnce = 8

// TestChangesAtAuth0 imports 2,000 users, or those who matter (see world), lets some of them log in, makes 500 changes at
// Auth0, brings Kratos up to date, and logs everyone in on both sides: who can log in at
// Auth0 can log in to Kratos with the same name and password, no one else can, and the
// verdict says how many that is.
func TestChangesAtAuth0(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before.ndjson"), filepath.Join(dir, "after.ndjson")
	ferry(t, w.env(), "export", "--out", before).want(t, 0)
	ferry(t, w.env(), "import", "--users", before, "--hashes", w.hashes(t, dir, "old-hashes"), "--results", filepath.Join(dir, "results")).want(t, 0)
	w.firstLogins(t)
	if n := w.change(t); n != 500 {
		t.Fatalf("%d changes", n)
	}
	ferry(t, w.env(), "export", "--out", after).want(t, 0)
	a := ferry(t, w.env(), "import", "--users", after, "--hashes", w.hashes(t, dir, "new-hashes"), "--on-conflict", "update", "--results", filepath.Join(dir, "updates")).want(t, 0)
	kept := 0
	for _, r := range readLines[result](t, filepath.Join(dir, "updates")) {
		if r.word() == "password_kept" {
			kept++
		}
	}
	if want := w.count(func(a *account) bool { return a.own != "" && a.reset }); kept != want {
		t.Errorf("%d passwords were kept, not %d\n%s", kept, want, a.stderr)
	}
	fixed := w.reconcile(t, after, dir, "--fix", "--rearm", "--fix-extra", "deactivate", "--provider", "google-oauth2=google")
	for finding, want := range w.expectedFixes() {
		if fixed.Fixed[finding] != want {
			t.Errorf("%d findings %s were fixed, not %d: %+v", fixed.Fixed[finding], finding, want, fixed)
		}
	}
	able := w.logEveryoneIn(t)
	if fixed.Able != able {
		t.Errorf("the verdict is %d, and %d logged in: %+v", fixed.Able, able, fixed)
	}
	w.noOneElse(t)
	if again := w.reconcile(t, after, dir); again.Able != able {
		t.Errorf("afterwards the verdict is %d, not %d: %+v", again.Able, able, again)
	}
}

// verdict is what `ferry reconcile --json` prints.
type verdict struct {
	Able            int
	Kinds           map[string]int
	Findings, Fixed map[string]int
}

// reconcile runs ferry reconcile, which leaves the findings open that no one can fix.
func (w *world) reconcile(t *testing.T, users, dir string, more ...string) verdict {
	t.Helper()
	a := ferry(t, w.env(), append([]string{"reconcile", "--json", "--users", users, "--findings", filepath.Join(dir, "findings")}, more...)...).want(t, 1)
	var v verdict
	if err := json.Unmarshal([]byte(a.stdout), &v); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(a.stderr, fmt.Sprintf("verdict: %d of Auth0's ", v.Able)) {
		t.Errorf("the line for the ticket has another number than %d:\n%s", v.Able, a.stderr)
	}
	return v
}

// each calls do for every account, several at once.
func (w *world) each(t *testing.T, do func(*account) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(loginsAtOnce)
	for a := range w.users() {
		group.Go(func() error { return do(a) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// in reports whether a login to Kratos succeeds.
func (w *world) in(t *testing.T, email, password string) (bool, error) {
	t.Helper()
	login, err := w.kratos.LoginAPI(t.Context(), email, password)
	return err == nil && login.Sees() == kratostest.SeesSession, err
}

// firstLogins logs some users in to Kratos, of whom some change their password there. It
// waits until the after-login hook has noted those who migrated.
func (w *world) firstLogins(t *testing.T) {
	t.Helper()
	w.each(t, func(a *account) error {
		if !a.early {
			return nil
		}
		login, err := w.kratos.LoginAPI(t.Context(), a.email, a.password)
		if err != nil || login.Sees() != kratostest.SeesSession {
			return fmt.Errorf("the first login of %s: %s, %w", a.id, login.Sees(), err)
		}
		if a.own == "" {
			return nil
		}
		return w.kratos.ChangePassword(t.Context(), login, a.own)
	})
	want := w.count(func(a *account) bool { return a.early && !a.hashed })
	noted := func() (n int) {
		for _, text := range everybody(t, w.kratos) {
			n += strings.Count(text, `"migrated_at"`)
		}
		return n
	}
	if !await.True(func() bool { return noted() == want }) {
		t.Fatalf("%d migrations are noted, not %d", noted(), want)
	}
}

// logEveryoneIn logs every user of Auth0 in on both sides, and returns how many of them got
// in to Kratos.
func (w *world) logEveryoneIn(t *testing.T) int {
	t.Helper()
	var able atomic.Int64
	w.each(t, func(a *account) error {
		password := a.password
		if a.own != "" {
			password = a.own
		}
		got, err := w.in(t, a.email, password)
		if err != nil {
			return err
		}
		auth0, err := w.atAuth0(t, a.email, a.password)
		if err != nil {
			return err
		}
		if want := a.expected(auth0); got != want {
			t.Errorf("%s (%s) can log in to Kratos: %v, want %v; Auth0 says %s", a.id, a.what, got, want, auth0)
		}
		if got {
			able.Add(1)
		}
		return nil
	})
	return int(able.Load())
}

// noOneElse tries the names and passwords that were replaced at Auth0.
func (w *world) noOneElse(t *testing.T) {
	t.Helper()
	w.each(t, func(a *account) error {
		for _, try := range []struct{ email, password string }{{a.email, a.oldPassword}, {a.oldEmail, a.password}} {
			if try.email == "" || try.password == "" || a.out != "" {
				continue
			}
			if got, err := w.in(t, try.email, try.password); err != nil || got {
				t.Errorf("%s (%s) can log in with what was replaced: %v", a.id, a.what, err)
			}
		}
		return nil
	})
}

func (w *world) count(is func(*account) bool) (n int) {
	for a := range w.users() {
		if is(a) {
			n++
		}
	}
	return n
}

// hashes writes the hash export as it would be now.
func (w *world) hashes(t *testing.T, dir, name string) string {
	t.Helper()
	var text strings.Builder
	for a := range w.users() {
		if a.hash == "" || a.gone {
			continue
		}
		fmt.Fprintf(&text, `{"_id":{"$oid":%q},"passwordHash":%q,"password_set_date":{"$date":%q}}`+"\n", strings.TrimPrefix(a.id, "auth0|"), a.hash, a.hashSetAt)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
