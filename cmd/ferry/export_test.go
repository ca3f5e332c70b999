package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	exportJobID = "job_iSjvljNtsTMmSpRW"
	exportLine  = `{"user_id":"auth0|1","email":"kim@example.org"}` + "\n"
	exportFile  = `{"user_id":"auth0|1","email":"kim@example.org","blocked":null,"multifactor":null,"last_password_reset":null,"identities":null}` + "\n"
)

// exportingTenant is an Auth0 whose export is ready at once.
func exportingTenant(t *testing.T) string {
	t.Helper()
	var file bytes.Buffer
	w := gzip.NewWriter(&file)
	_, _ = io.WriteString(w, exportLine)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var url string
	job := `{"id":"` + exportJobID + `","type":"users_export","format":"json","status":`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.Method + " " + r.URL.Path {
		case "POST /oauth/token":
			_, _ = io.WriteString(w, `{"access_token":"canary","token_type":"Bearer","expires_in":86400}`)
		case "POST /api/v2/jobs/users-exports":
			_, _ = io.WriteString(w, job+`"pending"}`)
		case "GET /api/v2/jobs/" + exportJobID:
			_, _ = fmt.Fprintf(w, `%s"completed","location":"%s/file"}`, job, strings.TrimPrefix(url, "http://"))
		case "GET /api/v2/users/auth0|1/authentication-methods":
			_, _ = io.WriteString(w, `{"total":1,"authenticators":[{"id":"totp|dev_1","type":"totp"}]}`)
		case "GET /file":
			_, _ = w.Write(file.Bytes())
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	url = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return url
}

// TestExportCommand: 0 written, 1 not, 2 wrong usage; nothing on standard output but
// what was asked for. It needs the settings of the Management API and no others.
func TestExportCommand(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for name, value := range map[string]string{
		"FERRY_AUTH0_DOMAIN": "tenant.example", "FERRY_AUTH0_BASE_URL": exportingTenant(t),
		"FERRY_AUTH0_MGMT_CLIENT_ID": "machine", "FERRY_AUTH0_MGMT_CLIENT_SECRET": "canary",
	} {
		t.Setenv(name, value)
	}
	for _, c := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"export --out new.ndjson", exitOK, "", "exported 1 users, 127 bytes, to new.ndjson\n"},
		{"export --out again.ndjson --job " + exportJobID + " --json", exitOK, `{"job_id":"` + exportJobID + `","users":1,"bytes":127,"path":"again.ndjson"}` + "\n", ""},
		{"export --out - --job " + exportJobID, exitOK, exportFile, "exported 1 users, 127 bytes, to -\n"},
		{"export --out there --force", exitOK, "", "ferry export --job " + exportJobID + " --out there --force\n"},
		{"export --out other.ndjson --connection nobody", exitFailed, "", `ferry: export: find the connection "nobody": `},
		{"export", exitUsage, "", "--out FILE"},
		{"export --out there", exitUsage, "", "there exists"},
		{"export --out - --json", exitUsage, "", "leave one out"},
		{"export --out x --job 7", exitUsage, "", "--job must be the id"},
		{"export --out x --connection y --job " + exportJobID, exitUsage, "", "leave --connection out"},
		{"export --out x --connection=", exitUsage, "", "--connection is empty"},
		{"export --factors f.ndjson --users new.ndjson", exitOK, "", "exported the methods of 1 users to f.ndjson: 1 have a second factor or a passkey\n"},
		{"export --factors g.ndjson --users new.ndjson --per-second 16 --json", exitOK, `{"users":1,"enrolled":1,"no_secret":1,"no_user_handle":0,"recovery_code":0,"gone":0,"path":"g.ndjson"}` + "\n", "ask Auth0's support"},
		{"export --factors h.ndjson --users new.ndjson --only-mfa", exitOK, "", "exported the methods of 0 users"},
		{"export --factors f.ndjson --users new.ndjson", exitUsage, "", "f.ndjson exists"},
		{"export --factors x --users missing", exitFailed, "", "missing: no such file"},
		{"export --factors x", exitUsage, "", "--factors needs a users file"},
		{"export --factors x --users -", exitUsage, "", "--factors needs a users file"},
		{"export --factors - --users new.ndjson", exitUsage, "", "--factors needs a file"},
		{"export --factors x --users x", exitUsage, "", "would overwrite"},
		{"export --factors x --users new.ndjson --per-second 0", exitUsage, "", "--per-second must be more than 0"},
		{"export --factors x --users new.ndjson --out y", exitUsage, "", "--out exports users"},
		{"export --out x --only-mfa", exitUsage, "", "--only-mfa needs --factors FILE"},
		{"export x", exitUsage, "", "unknown command"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), strings.Fields(c.args), &stdout, &stderr)
			if status != c.status || stdout.String() != c.stdout || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("status %d\nstdout: %s\nstderr: %s", status, stdout.String(), stderr.String())
			}
			if strings.Contains(stderr.String(), "canary") || strings.Contains(stderr.String(), "kim") {
				t.Errorf("said too much: %s", stderr.String())
			}
		})
	}
	if text, err := os.ReadFile("there"); err != nil || string(text) != exportFile {
		t.Errorf("%s, %v", text, err)
	}
	t.Setenv("FERRY_AUTH0_MGMT_CLIENT_SECRET", "")
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"export", "--out", "x"}, &bytes.Buffer{}, &stderr); status != exitUsage ||
		!strings.Contains(stderr.String(), "1 of the settings cannot be used:\n  FERRY_AUTH0_MGMT_CLIENT_SECRET: is not set") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}
