package finish

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/migration"
	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/verification"
)

// operator is somebody who does what `ferry plan --json` says, and nothing else.
type operator struct {
	*stack

	settings []string // besides those of ferry
	did      []string // what the plans said
	states   []migration.State
	daily    []string // users who log in, until all of them have
	seen     []string // those who have
}

// TestPlanDrivesAMigration takes a tenant from Auth0 to Kratos with the steps that the plan
// names. Users log in while the plan waits; one signs up at Auth0 after the import. No one is
// lost: who logged in keeps the password, the others recover their accounts.
func TestPlanDrivesAMigration(t *testing.T) {
	s := start(t)
	o := &operator{stack: s, daily: []string{"ada", "bob", "cyd"}, settings: []string{
		"FERRY_LISTEN=" + strings.TrimPrefix(s.front.url, "http://"), "FERRY_DATA_DIR=" + filepath.Join(s.dir, "data"), "FERRY_PLAN_QUIET=3s",
	}}
	never := []string{"dee", "eve"}
	for _, name := range slices.Concat(o.daily, never) {
		o.signUp(t, name)
	}
	s.run(t, []string{"kratos-config", "--remove", "kratos.yml"}) // as before the migration

	const most = 40
	for len(o.states) < most && (len(o.states) == 0 || o.states[len(o.states)-1] != migration.SwitchedOff) {
		o.step(t)
	}
	if got := slices.Compact(slices.Clone(o.states)); !slices.Equal(got, migration.States()) {
		t.Fatalf("the states are %v; it did\n%s", got, strings.Join(o.did, "\n"))
	}
	t.Log(strings.Join(o.did, "\n"))

	if err := s.ferry.Stop(); err != nil {
		t.Error(err)
	}
	asked := s.sim.TokenRequests()
	for _, name := range o.seen {
		s.sees(t, email(name), password(name), kratostest.SeesSession)
		s.sees(t, email(name), "wrong", kratostest.SeesInvalidCredentials)
	}
	for _, name := range never {
		s.sees(t, email(name), password(name), kratostest.SeesInvalidCredentials)
		if err := s.kratos.RecoverByMail(t.Context(), s.mail, email(name), "A new pass phrase of "+name); err != nil {
			t.Fatal(err)
		}
		s.sees(t, email(name), "A new pass phrase of "+name, kratostest.SeesSession)
	}
	if n := s.sim.TokenRequests() - asked; n != 0 {
		t.Errorf("Auth0 was asked %d times", n)
	}
	p := o.plan(t)
	if p.State != migration.SwitchedOff || p.IfOff.LoseAccess != 0 || p.Progress.Migrated != 4 || p.Progress.Identities != 6 {
		t.Errorf("at the end: %+v", p)
	}
	o.showsTheSame(t, p)
}

// body returns what is at an address.
func body(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, resp.Status, err)
	}
	return string(text)
}

// showsTheSame starts a ferry that counts, with the records of the migration, and compares its
// page and its metrics with the plan; once more after a kill -9.
func (o *operator) showsTheSame(t *testing.T, p migration.Plan) {
	t.Helper()
	for range 2 {
		ferry, err := ferrytest.Start(t.Context(), ferrytest.Options{
			Binary: built.Ferry(t), Env: o.env(append(slices.Clone(o.settings), "FERRY_LISTEN=127.0.0.1:0", "FERRY_COUNT_EVERY=1m")...),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ferry.Kill() })
		read := func(path string) string { return body(t, ferry.AdminURL()+path) }
		wanted := []string{
			fmt.Sprintf(`<dt>Migrated</dt><dd class="value">%d</dd>`, p.Progress.Migrated),
			fmt.Sprintf(`<dt>Waiting</dt><dd class="value">%d</dd>`, p.Progress.Pending),
			"The migration is complete.", fmt.Sprintf("No one of %d people", p.IfOff.Total),
		}
		awaitTrue(t, "the count on the page", func() bool { return strings.Contains(read("/"), wanted[2]) })
		page, metrics := read("/"), read("/metrics/prometheus")
		for _, want := range wanted {
			if !strings.Contains(page, want) {
				t.Errorf("%q is not on the page:\n%s", want, page)
			}
		}
		if want := fmt.Sprintf("kind=\"migrated\"} %d\n", p.Progress.Migrated); !strings.Contains(metrics, want) {
			t.Errorf("%q is not in the metrics", want)
		}
		if err := ferry.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}

func email(name string) string    { return name + "@example.org" }
func password(name string) string { return "Passw0rd of " + name }

// signUp creates a user at Auth0.
func (o *operator) signUp(t *testing.T, name string) {
	t.Helper()
	if _, err := o.sim.AddUser(auth0sim.User{ID: "auth0|" + name, Connection: directory, Email: email(name), EmailVerified: true, Password: password(name)}); err != nil {
		t.Fatal(err)
	}
}

// step does what the plan says.
func (o *operator) step(t *testing.T) {
	t.Helper()
	p := o.plan(t)
	o.states = append(o.states, p.State)
	o.compare(t, p)
	if len(p.Next) == 0 {
		return
	}
	next := p.Next[0]
	o.did = append(o.did, strings.Join(slices.Concat([]string{string(p.State) + ":"}, next.Command, next.Settings, []string{"(" + next.Why + ")"}), " "))
	switch {
	case next.Wait && len(o.daily) > 0:
		o.logIn(t)
	case next.Wait:
		awaitTrue(t, "no one migrates any more", func() bool { return o.plan(t).State != p.State })
		// Weeks have gone by, and somebody has signed up at Auth0 meanwhile.
		o.signUp(t, "late")
		o.daily = append(o.daily, "late")
		o.age(t, 21*24*time.Hour)
	case len(next.Settings) > 0:
		for len(o.daily) > 0 {
			o.logIn(t)
		}
		o.settings = append(o.settings, next.Settings...)
		o.restart(t, next.Settings...)
	default:
		o.do(t, next.Command)
	}
}

// logIn logs the next user in. Kratos may still be reading its kratos.yml.
func (o *operator) logIn(t *testing.T) {
	t.Helper()
	name := o.daily[0]
	o.daily, o.seen = o.daily[1:], append(o.seen, name)
	awaitTrue(t, "the login of "+name, func() bool {
		login, err := o.kratos.LoginAPI(t.Context(), email(name), password(name))
		if err != nil {
			t.Fatal(err)
		}
		return login.Sees() == kratostest.SeesSession
	})
	awaitTrue(t, "ferry notes the migration", func() bool { return strings.Count(o.ferry.Logs(), `"msg":"migrated"`) == len(o.seen) })
}

// command runs one of ferry's commands.
func (o *operator) command(t *testing.T, args ...string) answer {
	t.Helper()
	cmd, ended := o.stack.command(t.Context(), t, args...)
	cmd.Env = append(cmd.Env, o.settings...)
	return ended(cmd.Run())
}

// do runs a command of the plan. A reconciliation ends with 1 if it found something.
func (o *operator) do(t *testing.T, command []string) {
	t.Helper()
	args := command[1:]
	if args[0] == "finish" { // nothing is in flight here
		args = append(args, "--wait", "0s")
	}
	if a := o.command(t, args...); a.code != 0 && (args[0] != "reconcile" || a.code != 1) {
		t.Fatalf("%v ends with %d: %s%s", command, a.code, a.stdout, a.stderr)
	}
}

// plan returns the plan.
func (o *operator) plan(t *testing.T) migration.Plan {
	t.Helper()
	a := o.command(t, "plan", "--json")
	var p migration.Plan
	if err := json.Unmarshal([]byte(a.stdout), &p); err != nil || a.code != 0 {
		t.Fatalf("ferry plan ends with %d: %v\n%s%s", a.code, err, a.stdout, a.stderr)
	}
	return p
}

// age makes the export and all records older.
func (o *operator) age(t *testing.T, by time.Duration) {
	t.Helper()
	store := verification.Directory(filepath.Join(o.dir, "data"))
	records, err := verification.Read(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		record.Started, record.Ended = record.Started.Add(-by), record.Ended.Add(-by)
		if record.InputAt != nil {
			at := record.InputAt.Add(-by)
			record.InputAt = &at
		}
		if err := verification.Put(t.Context(), store, record); err != nil {
			t.Fatal(err)
		}
	}
	export := filepath.Join(o.dir, "users.ndjson.gz")
	info, err := os.Stat(export)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(export, time.Time{}, info.ModTime().Add(-by)); err != nil {
		t.Fatal(err)
	}
}

// compare compares the plan with what Kratos' own admin API says.
func (o *operator) compare(t *testing.T, p migration.Plan) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.kratos.AdminURL()+"/admin/identities?per_page=250&include_credential=password", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []struct {
		Admin struct {
			Auth0 struct {
				MigratedAt string `json:"migrated_at"`
			} `json:"auth0"`
		} `json:"metadata_admin"`
		Credentials struct {
			Password struct {
				Config struct {
					Hook bool `json:"use_password_migration_hook"`
				} `json:"config"`
			} `json:"password"`
		} `json:"credentials"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	pending, migrated := 0, 0
	for _, one := range all {
		if one.Credentials.Password.Config.Hook {
			pending++
		} else if one.Admin.Auth0.MigratedAt != "" {
			migrated++
		}
	}
	q, blockers := p.Progress, map[migration.BlockerKind]int{}
	for _, b := range p.Blockers {
		blockers[b.Kind] = b.Count
		if b.Kind == migration.Pending && b.Count > 0 && b.Connections[directory] != b.Count {
			t.Errorf("%+v", b)
		}
	}
	if q.Identities != len(all) || q.Pending != pending || q.Migrated != migrated || blockers[migration.Pending] != pending || p.IfOff.LoseAccess < pending {
		t.Errorf("Kratos has %d identities, %d pending, %d migrated; the plan says %+v", len(all), pending, migrated, p)
	}
}
