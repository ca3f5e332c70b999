package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

// TestSchemaBehindPublicURL: ferry cannot reach the identity schemas, because the
// admin API redirects to serve.public.base_url, the address for browsers.
func TestSchemaBehindPublicURL(t *testing.T) {
	for name, base := range map[string]string{
		"split DNS": "https://auth.corp.invalid/", "another container": "http://127.0.0.1:1/", "a path": "http://kratos-public.invalid/auth/",
	} {
		t.Run(name, func(t *testing.T) {
			s := startOn(t, func(k *kratostest.Options) { k.PublicBaseURL = base })
			t.Run("import", func(t *testing.T) { testImportBehind(t, s, base) })
			t.Run("reconcile", func(t *testing.T) { testReconcileBehind(t, s) })
			t.Run("doctor", func(t *testing.T) { testDoctorBehind(t, s, base) })
			t.Run("login", func(t *testing.T) { testLoginBehind(t, s) })
			t.Run("login, with the public URL", func(t *testing.T) { testLoginWithPublicURL(t, s) })
		})
	}
}

// run runs ferry with the settings of the stack and additional ones.
func (s *stack) run(t *testing.T, settings []string, args ...string) (output string, failed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built.Ferry(t), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL()}, settings...)
	text, err := cmd.CombinedOutput()
	return string(text), err != nil
}

func (s *stack) publicURL() string { return "FERRY_KRATOS_PUBLIC_URL=" + s.kratos.PublicURL() }

// oneUser writes a users file with one user.
func oneUser(t *testing.T, id, email string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "one.ndjson")
	text := `{"user_id":"auth0|` + id + `","email":"` + email + `","email_verified":true,"blocked":false,"multifactor":[],"last_password_reset":null,"identities":[{"provider":"auth0","user_id":"` + id + `","connection":"` + users + `"}]}`
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func testImportBehind(t *testing.T, s *stack, base string) {
	t.Helper()
	file := oneUser(t, "behind", "behind@example.org")
	got, failed := s.run(t, nil, "import", "--users", file)
	for _, want := range []string{"serve.public.base_url", strings.TrimRight(base, "/"), "FERRY_KRATOS_PUBLIC_URL", "--schema FILE"} {
		if !failed || !strings.Contains(got, want) {
			t.Errorf("failed %v, %q is not in %s", failed, want, got)
		}
	}
	if got, failed := s.run(t, []string{s.publicURL()}, "import", "--users", file); failed || !strings.Contains(got, `"outcome":"created_pending"`) {
		t.Errorf("with the public URL: %s", got)
	}
}

func testReconcileBehind(t *testing.T, s *stack) {
	t.Helper()
	file := oneUser(t, "behind", "behind@example.org")
	if got, failed := s.run(t, nil, "reconcile", "--users", file); !failed || !strings.Contains(got, "FERRY_KRATOS_PUBLIC_URL") {
		t.Errorf("reconcile: %s", got)
	}
	if got, failed := s.run(t, []string{s.publicURL()}, "reconcile", "--users", file); failed || !strings.Contains(got, "1 of Auth0's 1 users") {
		t.Errorf("reconcile with the public URL: %s", got)
	}
}

func testDoctorBehind(t *testing.T, s *stack, base string) {
	t.Helper()
	got, _ := s.run(t, nil, "doctor")
	at := strings.Index(got, "FAIL  kratos.schema")
	if at < 0 || !strings.Contains(got, "ok    kratos.admin") {
		t.Fatalf("doctor: %s", got)
	}
	finding, _, _ := strings.Cut(got[at:], "kratos.mapper")
	for _, want := range []string{"serve.public.base_url", strings.TrimRight(base, "/"), "set FERRY_KRATOS_PUBLIC_URL"} {
		if !strings.Contains(finding, want) {
			t.Errorf("%q is not in %s", want, finding)
		}
	}
	if got, _ := s.run(t, []string{s.publicURL()}, "doctor"); !strings.Contains(got, "ok    kratos.schema") {
		t.Errorf("doctor with the public URL: %s", got)
	}
}

// testLoginBehind: everything except the traits is written, and the migration is
// counted.
func testLoginBehind(t *testing.T, s *stack) {
	t.Helper()
	for range 2 {
		p := s.profiled(t, nil)
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
		got := p.arrived(t, marked)
		if !verified(got, p.email) || got.Traits["given_name"] != nil {
			t.Errorf("traits %v, addresses %v", got.Traits, got.VerifiableAddresses)
		}
		if err := s.logged(t.Context(), `"msg":"migrated","identity_id":"`+p.identity); err != nil {
			t.Fatal(err)
		}
	}
	if logs := s.ferry.Logs(); strings.Count(logs, "identity schema cannot be read") != 1 || strings.Contains(logs, "profile not written") {
		t.Errorf("logged: %s", logs)
	}
	if metrics := s.get(t, "/metrics/prometheus"); !strings.Contains(metrics, "ferry_migrated_total 2") {
		t.Errorf("metrics: %s", metrics)
	}
}

func testLoginWithPublicURL(t *testing.T, s *stack) {
	t.Helper()
	s.restartFerry(t, s.publicURL())
	p := s.profiled(t, nil)
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	if got := p.arrived(t, marked); !verified(got, p.email) || got.Traits["given_name"] != "Canary-Given" {
		t.Errorf("traits %v, addresses %v", got.Traits, got.VerifiableAddresses)
	}
}
