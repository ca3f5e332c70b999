package finish

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// TestJourney migrates a tenant from Auth0 to Kratos and switches Auth0 off. No one
// sees an error 500: users who logged in during the migration keep the password, the
// others see wrong credentials and recover by e-mail.
func TestJourney(t *testing.T) {
	s := start(t)
	crossing, never := []string{"ada", "bob"}, []string{"cyd", "dee", "eve"}
	email := func(name string) string { return name + "@example.org" }
	password := func(name string) string { return "Passw0rd of " + name }
	for _, name := range append(crossing, never...) {
		if _, err := s.sim.AddUser(auth0sim.User{ID: "auth0|" + name, Connection: directory, Email: email(name), EmailVerified: true, Password: password(name)}); err != nil {
			t.Fatal(err)
		}
	}
	everyone := func(what, stragglers string) {
		t.Helper()
		for _, name := range crossing {
			s.sees(t, email(name), password(name), kratostest.SeesSession)
			s.sees(t, email(name), "wrong", kratostest.SeesInvalidCredentials)
		}
		for _, name := range never {
			s.sees(t, email(name), password(name), stragglers)
		}
		if t.Failed() {
			t.Fatal(what)
		}
	}

	s.run(t, []string{"export", "--out", "users.ndjson.gz"})
	s.run(t, []string{"import", "--users", "users.ndjson.gz", "--results", "results.ndjson"}, "5 created_pending")
	for _, name := range crossing {
		s.sees(t, email(name), "wrong", kratostest.SeesInvalidCredentials)
		s.sees(t, email(name), password(name), kratostest.SeesSession)
	}
	awaitTrue(t, "ferry has written the profiles", func() bool { return strings.Count(s.ferry.Logs(), `"msg":"migrated"`) == len(crossing) })
	s.run(t, []string{"status", "--stragglers", "mail.csv", "--users", "users.ndjson.gz"}, "3 pending")
	if text, err := os.ReadFile(filepath.Join(s.dir, "mail.csv")); err != nil || strings.Count(string(text), "\n") != 4 || !strings.Contains(string(text), "cyd@example.org,true,") {
		t.Errorf("the stragglers are %q, %v", text, err)
	}

	attempts := s.sim.TokenRequests()
	s.restart(t, closedEnv)
	everyone("closed", kratostest.SeesInvalidCredentials)
	if n := s.sim.TokenRequests() - attempts; n != 0 {
		t.Errorf("Auth0 was asked %d times after the migration was closed", n)
	}
	s.run(t, []string{"finish"}, "dry run", "3 finished", "0 pending afterwards")
	s.run(t, s.finishArgs("--results", "finish.ndjson"), "3 finished", "0 pending afterwards", "next: ferry kratos-config --remove kratos.yml")
	everyone("finished", kratostest.SeesInvalidCredentials)
	s.run(t, []string{"status"}, "3 finished", "0 pending")

	s.removeHook(t)
	if err := s.ferry.Stop(); err != nil {
		t.Error(err)
	}
	everyone("the hook is off", kratostest.SeesInvalidCredentials)
	for _, name := range never {
		if err := s.kratos.RecoverByMail(t.Context(), s.mail, email(name), "A new pass phrase of "+name); err != nil {
			t.Fatal(err)
		}
		s.sees(t, email(name), "A new pass phrase of "+name, kratostest.SeesSession)
		s.sees(t, email(name), password(name), kratostest.SeesInvalidCredentials)
	}
	s.run(t, []string{"status"}, "2 migrated", "3 own_password", "0 finished", "no one is pending")
	if n := s.sim.TokenRequests() - attempts; n != 0 {
		t.Errorf("Auth0 was asked %d times after the migration was closed", n)
	}
}

// removeHook removes ferry's hooks from the kratos.yml of the running Kratos and waits
// until Kratos has reloaded it. From then on Kratos calls no hook for pending
// identities.
func (s *stack) removeHook(t *testing.T) {
	t.Helper()
	late := s.pending(t, "late")[0]
	s.sees(t, late.email, late.password, kratostest.SeesInvalidCredentials)
	s.run(t, []string{"kratos-config", "--remove", "kratos.yml"})
	awaitTrue(t, "Kratos does not call the hook", func() bool {
		login, err := s.kratos.LoginAPI(t.Context(), late.email, late.password)
		if err != nil {
			t.Fatal(err)
		}
		return login.ErrorCode == http.StatusInternalServerError
	})
	if err := s.kratos.Delete(t.Context(), late.identity); err != nil {
		t.Fatal(err)
	}
}
