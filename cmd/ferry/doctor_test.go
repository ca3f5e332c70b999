package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/config"
	"ferry/doctor"
	"ferry/hook"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

const (
	doctorSecret   = "canary-client-secret"
	doctorKey      = "canary-hook-key-0123456789abcdef01234567"
	doctorPassword = "canary password ö"
)

// runDoctor runs the subcommand by itself, with the exit statuses of run.
func runDoctor(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	input, err := os.Create(filepath.Join(t.TempDir(), "stdin"))
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if _, err := io.WriteString(input, stdin); err != nil {
		t.Fatal(err)
	}
	if _, err := input.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	var out, words bytes.Buffer
	cmd := doctorCommand(input, &out, &words)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	if err != nil {
		words.WriteString(err.Error())
		status = exitUsage
		var failed failedError
		if errors.As(err, &failed) {
			status = exitFailed
		}
	}
	for _, text := range []string{out.String(), words.String()} {
		if strings.Contains(text, "canary") || strings.Contains(text, "eyJ") {
			t.Errorf("a secret was printed: %s", text)
		}
	}
	return status, out.String(), words.String()
}

// withoutSettings takes the settings of this environment away for the length of the test.
func withoutSettings(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, config.Prefix) {
			t.Setenv(name, "") // restored afterwards
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// doctorChecks runs doctor with the settings, and returns its checks by name.
func doctorChecks(t *testing.T) map[string]doctor.Check {
	t.Helper()
	_, stdout, _ := runDoctor(t, "", "--json", "--no-grant")
	var report doctor.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	found := map[string]doctor.Check{}
	for _, check := range report.Checks {
		found[check.Name] = check
	}
	return found
}

// TestDoctorMode: a mode in which no user migrates is a warning, and one that is not valid a fault
// of the settings.
func TestDoctorMode(t *testing.T) {
	withoutSettings(t)
	for mode, want := range map[string]doctor.Status{"": doctor.OK, "on": doctor.OK, "observe": doctor.Warn, "off": doctor.Warn, "sleep": doctor.Skip} {
		t.Setenv("FERRY_MODE", mode)
		if mode == "" {
			_ = os.Unsetenv("FERRY_MODE")
		}
		found := doctorChecks(t)
		if got := found["settings.mode"]; got.Status != want || want == doctor.Warn && (got.Fix == "" || !strings.Contains(got.Detail, mode)) {
			t.Errorf("%q: %+v", mode, got)
		}
		if named := strings.Contains(found["settings"].Detail, "FERRY_MODE"); named != (want == doctor.Skip) {
			t.Errorf("%q: %+v", mode, found["settings"])
		}
	}
}

// TestDoctorHydraToken: every request to Hydra's admin API has the token of the settings.
func TestDoctorHydraToken(t *testing.T) {
	withoutSettings(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const one = `{"client_id":"app","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"scope":"offline_access","redirect_uris":["https://app.example.org/"]}`
		switch {
		case r.Header.Get("Authorization") != "Bearer canary-hydra-admin-token":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/admin/clients/app":
			_, _ = io.WriteString(w, one)
		case r.URL.Path == "/version":
			_, _ = io.WriteString(w, `{"version":"v26.2.0"}`)
		case r.URL.Query().Get("page_token") == "":
			w.Header().Set("Link", `</admin/clients?page_token=2>; rel="next"`)
			_, _ = io.WriteString(w, "["+one+"]")
		default:
			_, _ = io.WriteString(w, "[]")
		}
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{"HYDRA_ADMIN_URL": server.URL, "REMINT_CLIENTS": "app", "HYDRA_ADMIN_TOKEN": ""} {
		t.Setenv(config.Prefix+name, value)
	}
	if found := doctorChecks(t)["hydra.admin"]; found.Status != doctor.Fail || !strings.Contains(found.Fix, "FERRY_HYDRA_ADMIN_TOKEN") {
		t.Errorf("without the token: %+v", found)
	}
	t.Setenv("FERRY_HYDRA_ADMIN_TOKEN", "canary-hydra-admin-token")
	found := doctorChecks(t)
	if found["hydra.admin"].Status != doctor.OK || !strings.Contains(found["hydra.admin"].Detail, "v26.2.0") || found["hydra.clients"].Status != doctor.OK {
		t.Errorf("%+v, %+v", found["hydra.admin"], found["hydra.clients"])
	}
}

// TestDoctorUsage: wrong usage is 2. So are settings that serve would not start with,
// and then everything is reported all the same.
func TestDoctorUsage(t *testing.T) {
	withoutSettings(t)
	for args, want := range map[string]string{
		"now":                            "unknown command",
		"--egress here":                  "--egress needs IP addresses",
		"--kratos-config /nowhere/there": "no such file",
		"--grant":                        "unknown flag",
		"--probe-user=":                  "--probe-user needs an identifier",
		"why":                            "accepts 1 arg",
		"why kim@example.org":            "FERRY_KRATOS_ADMIN_URL: is not set",
	} {
		status, stdout, stderr := runDoctor(t, "", strings.Fields(args)...)
		if status != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, %s%s", args, status, stdout, stderr)
		}
	}
	status, stdout, stderr := runDoctor(t, "", "--json")
	var report struct {
		Checks []struct{ Name, Status, Detail, Fix string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	if status != exitUsage || len(report.Checks) < 30 || report.Checks[0].Status != "fail" || !strings.Contains(report.Checks[0].Fix, "FERRY_HOOK_KEYS") ||
		!strings.Contains(stderr, "FERRY_HOOK_KEYS: is not set") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
}

// doctorStage is Auth0 and the real Kratos with one user, and matching settings.
func doctorStage(t *testing.T) (sim *auth0sim.Server, kratos *kratostest.Kratos, identity string) {
	t.Helper()
	withoutSettings(t)
	sim = auth0sim.Run(t, auth0sim.Config{Tenant: &auth0sim.Tenant{
		Connections: []auth0sim.Connection{{Name: "db"}},
		Apps:        []auth0sim.App{{ClientID: "ferry", ClientSecret: doctorSecret}},
		Users:       []auth0sim.User{{ID: "auth0|kim", Connection: "db", Email: "kim@example.org", Password: doctorPassword}},
	}})
	kratos = kratostest.Run(t, kratostest.Options{})
	identity, err := kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
		Traits: map[string]any{"email": "kim@example.org"}, Pending: true,
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|kim"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"HOOK_KEYS": doctorKey, "AUTH0_DOMAIN": sim.Domain(), "AUTH0_BASE_URL": sim.URL(), "AUTH0_CLIENT_ID": "ferry",
		"AUTH0_CLIENT_SECRET": doctorSecret, "AUTH0_REALMS": "db", "KRATOS_ADMIN_URL": kratos.AdminURL(), "LISTEN": "127.0.0.1:1",
	} {
		t.Setenv(config.Prefix+name, value)
	}
	return sim, kratos, identity
}

// TestDoctorCommand: 0 nothing is wrong, 1 something is; one real login on demand,
// which leaves no trace in Kratos.
func TestDoctorCommand(t *testing.T) {
	sim, kratos, identity := doctorStage(t)
	status, stdout, stderr := runDoctor(t, "")
	if status != exitOK || !strings.Contains(stdout, "0 failed") || !strings.Contains(stdout, "auth0.grant") || !strings.Contains(stderr, "one failed login") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if n := sim.TokenRequests(); n != 1 {
		t.Errorf("%d grants", n)
	}
	status, stdout, stderr = runDoctor(t, doctorPassword+"\r\n", "--no-grant", "--probe-user", " KIM@example.org")
	if status != exitOK || !strings.Contains(stdout, "the login ends in match; find the identity") || !strings.Contains(stdout, "fetch Auth0's keys") ||
		!strings.Contains(stderr, "this is a real login") || strings.Contains(stderr, "one failed login") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if got, err := kratos.Get(t.Context(), identity); err != nil || !got.Pending || got.HashedPassword != "" || sim.Attempts("auth0|kim") != 1 {
		t.Errorf("%v, pending %v, %d attempts", err, got.Pending, sim.Attempts("auth0|kim"))
	}
	status, stdout, _ = runDoctor(t, "canary wrong", "--no-grant", "--probe-user", "kim@example.org")
	if status != exitFailed || !strings.Contains(stdout, "mismatch (wrong_credentials, Auth0 said 403 invalid_grant)") || !strings.Contains(stdout, "doctor why") {
		t.Errorf("status %d, %s", status, stdout)
	}
	status, stdout, _ = runDoctor(t, "", "--no-grant", "--probe-user", "kim@example.org")
	if status != exitFailed || !strings.Contains(stdout, "read password: no password was given") || !strings.Contains(stdout, "kratos.pending") {
		t.Errorf("no password, and the other checks all the same: status %d, %s", status, stdout)
	}
	t.Setenv("FERRY_AUTH0_CLIENT_SECRET", "canary-wrong")
	if status, stdout, _ := runDoctor(t, ""); status != exitFailed || !strings.Contains(stdout, "FERRY_AUTH0_CLIENT_SECRET") {
		t.Errorf("a wrong secret: status %d, %s", status, stdout)
	}
	t.Setenv("FERRY_MODE_FILE", filepath.Join(t.TempDir(), "mode"))
	if status, stdout, _ := runDoctor(t, "", "--no-grant"); status != exitFailed || !strings.Contains(stdout, "serve does not start: FERRY_MODE_FILE cannot be used: no such file") {
		t.Errorf("without the file of the mode: status %d, %s", status, stdout)
	}
}

// whySaid is what doctor why prints for programs.
type whySaid struct {
	Verdict     string
	Hash        string `json:"identifier_hash"`
	Findings    []struct{ Name, Fix string }
	Looked      []struct{ Name string } `json:"looked_at"`
	NotLookedAt []struct{ Name string } `json:"not_looked_at"`
}

func why(t *testing.T, args ...string) (int, whySaid) {
	t.Helper()
	status, stdout, _ := runDoctor(t, "", append([]string{"why", "--json", "kim@example.org"}, args...)...)
	var said whySaid
	if err := json.Unmarshal([]byte(stdout), &said); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return status, said
}

// TestDoctorWhyCommand: 0 only where everything was looked at and nothing is in the way;
// the hash is that of the log.
func TestDoctorWhyCommand(t *testing.T) {
	sim, kratos, identity := doctorStage(t)
	status, stdout, stderr := runDoctor(t, "", "why", "Kim@example.org")
	if status != exitFailed || !strings.HasPrefix(stdout, "something may be in the way:\n\n1. hook_call (perhaps)\n") ||
		!strings.Contains(stdout, "identifier_hash  unknown") || !strings.Contains(stdout, "not looked at:\n  kratos_config ") || !strings.Contains(stderr, "the login may fail") {
		t.Errorf("ferry is not running: status %d, %s%s", status, stdout, stderr)
	}
	t.Setenv("FERRY_LISTEN", "127.0.0.1:0") // does not say where Kratos reaches it
	status, stdout, stderr = runDoctor(t, "", "why", "Kim@example.org")
	if status != exitFailed || !strings.HasPrefix(stdout, "nothing found in what was looked at") || !strings.Contains(stderr, "not everything was checked") {
		t.Errorf("not everything was looked at: status %d, %s%s", status, stdout, stderr)
	}
	key := strings.Repeat("log-hash-key", 3)
	t.Setenv("FERRY_LOG_HASH_KEY", key)
	if _, said := why(t, "--no-grant"); said.Hash != hook.Hash(secret.New(key), "kim@example.org") || len(said.NotLookedAt) < 3 {
		t.Errorf("%+v", said)
	}
	if n := sim.TokenRequests(); n != 2 { // one for each that found nothing else in the way
		t.Errorf("%d grants", n)
	}
	for name, value := range map[string]string{"FERRY_MODE": "observe", "FERRY_COHORT": "@example.com,traits.plan=beta"} {
		t.Setenv(name, value)
		if status, said := why(t); status != exitFailed || said.Verdict != "in_the_way" || said.Findings[0].Name != "mode" {
			t.Errorf("%s=%s: status %d, %+v", name, value, status, said)
		}
		t.Setenv(name, map[string]string{"FERRY_MODE": "on", "FERRY_COHORT": "@example.org"}[name])
	}
	if _, said := why(t, "--no-grant"); said.Verdict != "nothing_found" {
		t.Errorf("in the cohort: %+v", said)
	}
	if err := kratos.SetState(t.Context(), identity, "inactive"); err != nil {
		t.Fatal(err)
	}
	status, said := why(t)
	if status != exitFailed || said.Verdict != "in_the_way" || len(said.Findings) != 1 || said.Findings[0].Name != "inactive" || len(said.Looked) == 0 || sim.TokenRequests() != 2 {
		t.Errorf("status %d, %+v", status, said)
	}
	if err := kratos.Delete(t.Context(), identity); err != nil {
		t.Fatal(err)
	}
	if _, err := kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
		Traits: map[string]any{"email": "kim@example.org"}, Password: doctorPassword, VerifiableAddresses: []kratostest.Address{{Value: "kim@example.org", Via: "email", Verified: true}},
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|kim", "migrated_at": "2026-11-01T12:00:00Z"}},
	}); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = runDoctor(t, "", "why", "kim@example.org")
	if status != exitOK || !strings.HasPrefix(stdout, "nothing is in the way: Kratos has the password") || !strings.Contains(stdout, "migrated on 2026-11-01 12:00 UTC by the hook") {
		t.Errorf("crossed: status %d, %s%s", status, stdout, stderr)
	}
}

// TestReadTemplate: a template is found where Kratos would, or beside kratos.yml.
func TestReadTemplate(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{filepath.Join(dir, "a.jsonnet"): "beside", filepath.Join(elsewhere, "a.jsonnet"): "named"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"./a.jsonnet": "beside", "/etc/ferry-is-not-here/a.jsonnet": "beside", "kratos/a.jsonnet": "beside",
		filepath.Join(elsewhere, "a.jsonnet"): "named", "b.jsonnet": "",
	} {
		text, err := readTemplate(filepath.Join(dir, "kratos.yml"), name)
		if string(text) != want || (err == nil) == (want == "") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}
