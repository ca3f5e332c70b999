package attack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest/built"
)

// commandTime bounds a command of ferry.
const commandTime = 30 * time.Second

// command runs ferry with the settings of the stack and returns all that it prints, and whether
// it succeeded.
func (s *stack) command(t *testing.T, settings []string, args ...string) (printed string, done bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, built.Ferry(t), args...)
	cmd.Env = s.env(settings...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("ferry %v does not end", args)
	}
	return string(out), err == nil
}

// TestExportLinks: a link of an export job leads neither to another port of this machine nor to
// another address of the network, and no redirect of the file's host does.
func TestExportLinks(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	if err := s.sim.Configure(func(settings *auth0sim.Settings) { settings.Export.Reads = 0 }); err != nil {
		t.Fatal(err)
	}
	away, visits := elsewhere(t)
	host := strings.TrimPrefix(away, "http://")
	dir := t.TempDir()
	export := func(t *testing.T, name string, want bool, faults ...auth0sim.Fault) {
		t.Helper()
		for _, fault := range faults {
			if _, err := s.sim.SetFault(fault); err != nil {
				t.Fatal(err)
			}
		}
		defer s.sim.ClearFaults()
		out := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if printed, done := s.command(t, nil, "export", "--out", out); done != want {
			t.Errorf("%s: done %v: %s", name, done, printed)
		}
		if text, err := os.ReadFile(out); (err == nil) != want || want && !bytes.Contains(text, []byte(kim)) {
			t.Errorf("%s: wrote %q, %v", name, text, err)
		}
	}
	for _, location := range []string{host + "/x", "http://" + host + "/x", "https://" + host + "/x", "localhost" + host[strings.Index(host, ":"):] + "/x", "https://169.254.169.254/x"} {
		export(t, location, false, auth0sim.Fault{
			Name: auth0sim.FaultAnswer, Path: auth0sim.PathJobs, Status: http.StatusOK, Headers: map[string]string{"Content-Type": "application/json"},
			Body: fmt.Sprintf(`{"id":"job_iSjvljNtsTMmSpRW","type":"users_export","format":"json","status":"completed","location":%q}`, location),
		})
	}
	for _, name := range []auth0sim.FaultName{auth0sim.FaultRedirect302, auth0sim.FaultRedirect307} {
		for _, path := range []string{auth0sim.PathExports, auth0sim.PathJobs, auth0sim.PathUsersExports} {
			export(t, fmt.Sprint(name, path), false, auth0sim.Fault{Name: name, Path: path, Value: away + "/x"})
		}
	}
	if got := visits(); got != "" {
		t.Errorf("ferry was led elsewhere: %q", got)
	}
	export(t, "afterwards", true)
}

// TestSchemaRedirects: for an identity schema ferry follows Kratos' admin API to one other
// host, which does not lead it further. The token of the admin API goes to that API only.
func TestSchemaRedirects(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	internal, visits := elsewhere(t)
	base := tapped(t, http.RedirectHandler(internal+"/schemas", http.StatusFound))
	const token = "canary-admin-token-5e0a"
	hostile := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/schemas"):
			http.Redirect(w, r, base.URL+r.URL.Path, http.StatusTemporaryRedirect)
		default:
			s.answer(w, r)
		}
	})
	s.hostile.Store(&hostile)
	users := filepath.Join(t.TempDir(), "users.ndjson")
	if err := os.WriteFile(users, []byte(`{"user_id":"auth0|9","email":"nine@example.org","email_verified":true}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, public := range []string{"", base.URL} {
		if printed, done := s.command(t, []string{"FERRY_GATEWAY_LISTEN=", "FERRY_FORWARD_AUTH_LISTEN=", "FERRY_KRATOS_PUBLIC_URL=" + public, "FERRY_KRATOS_ADMIN_TOKEN=" + token}, "import", "--accept-missing", "blocked,multifactor,last_password_reset,identities,connection", "--dry-run", "--users", users); done || !strings.Contains(printed, "schema") {
			t.Errorf("public URL %q: %s", public, printed)
		}
		if got := base.received(); !strings.HasPrefix(got, "GET /schemas") || strings.Contains(got, token) {
			t.Errorf("the base URL got %q", got)
		}
	}
	if got := visits(); got != "" {
		t.Errorf("ferry was led further: %q", got)
	}
	if got := s.admin.received(); !strings.Contains(got, token) {
		t.Errorf("the admin API got %q", got)
	}
}

// TestDoctorIsNotLed: what doctor reads in kratos.yml, in Auth0's discovery document and in an
// identity schema makes it request nothing but the addresses of the hooks and mappers, and the
// key is not sent where a redirect leads.
func TestDoctorIsNotLed(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	internal, visits := elsewhere(t)
	leads := tapped(t, http.RedirectHandler(internal+"/x", http.StatusTemporaryRedirect))
	hostile := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/schemas" || strings.HasPrefix(r.URL.Path, "/schemas/") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `[{"id":"person","schema":{"$schema":%[1]q,"$ref":%[1]q,"properties":{"traits":{"$ref":"file:///etc/hostname"}}}}]`, internal+"/schema")
			return
		}
		s.answer(w, r)
	})
	s.hostile.Store(&hostile)
	for _, fault := range []auth0sim.Fault{
		{Name: auth0sim.FaultAnswer, Path: auth0sim.PathDiscovery, Status: http.StatusOK, Headers: map[string]string{"Content-Type": "application/json"}, Body: fmt.Sprintf(`{"issuer":%[1]q,"jwks_uri":%[1]q,"token_endpoint":%[1]q}`, internal+"/")},
		{Name: auth0sim.FaultAnswer, Path: auth0sim.PathConnections, Status: http.StatusOK, Headers: map[string]string{"Content-Type": "application/json", "Link": "<" + internal + `/>; rel="next"`}, Body: fmt.Sprintf(`{"connections":[],"next":%[1]q}`, internal)},
	} {
		if _, err := s.sim.SetFault(fault); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(t.TempDir(), "kratos.yml")
	for name, body := range map[string]string{
		"an import of a URL":  "base64://" + base64.StdEncoding.EncodeToString([]byte(`local x = import "`+internal+`/x"; x`)),
		"an import of a file": "base64://" + base64.StdEncoding.EncodeToString([]byte(`function(ctx) {x: importstr "/etc/passwd"}`)),
		"a URL":               internal + "/template",
		"a device":            "file:///dev/zero",
	} {
		text := fmt.Sprintf(`{"selfservice":{"methods":{"password":{"config":{"migrate_hook":{"enabled":true,"config":{"url":"%[1]s/hooks/password-migration","method":"POST","body":%[2]q,`+
			`"auth":{"type":"api_key","config":{"name":"Authorization","in":"header","value":"Bearer %[3]s"}}}}}},`+
			`"oidc":{"enabled":true,"config":{"providers":[{"id":"google","provider":"google","mapper_url":"%[1]s/mapper.jsonnet","issuer_url":%[4]q}]}}}}}`, leads.URL, body, hookKey, internal)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		printed, done := s.command(t, []string{"FERRY_SIGN_UP=true", "FERRY_PROVIDERS=google-oauth2=google"}, "doctor", "--kratos-config", config)
		if done || !strings.Contains(printed, "kratos_config.template") || strings.Contains(printed, "root:") {
			t.Errorf("%s: %s", name, printed)
		}
		// Kratos would call the hook, and fetch the mapper.
		got := leads.received()
		if keys := authorizations(t, got); strings.Contains(got, "root:") || len(keys) != 2 ||
			!slices.Equal(keys["POST /hooks/password-migration"], []string{"Bearer " + hookKey}) || !slices.Equal(keys["GET /mapper.jsonnet"], []string{""}) {
			t.Errorf("%s: the addresses of the hook and the mapper got %q", name, got)
		}
	}
	if got := visits(); got != "" {
		t.Errorf("doctor was led elsewhere: %q", got)
	}
}

// authorizations returns the Authorization headers of the requests in a text, by method and path.
func authorizations(t *testing.T, text string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for br := bufio.NewReader(strings.NewReader(text)); ; {
		req, err := http.ReadRequest(br)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		request := req.Method + " " + req.URL.Path
		all[request] = append(all[request], req.Header.Get("Authorization"))
	}
}
