package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestSchemaID: whose identity schema a file is must be known where identities that are
// there may be written to.
func TestSchemaID(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"schema": `{"type":"object","properties":{"traits":{"type":"object","properties":{"email":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}}}}}`,
		"users":  `{"user_id":"auth0|1","email":"p@x.test","blocked":false,"multifactor":[],"last_password_reset":null,"identities":[{"provider":"auth0","user_id":"1","connection":"c"}]}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := oneIdentity(1, pendingConfig, `{"user_id":"auth0|1"}`)
	for _, c := range []struct {
		args, schemas string
		refused       bool
	}{
		{"reconcile --users users --schema schema", `[{"id":"person"},{"id":"staff"}]`, true},
		{"reconcile --users users --schema schema", `[{"id":"person"}]`, false},
		{"reconcile --users users --schema schema --schema-id person", `[{"id":"person"},{"id":"staff"}]`, false},
		{"import --users users --schema schema --on-conflict update --dry-run", `[{"id":"person"},{"id":"staff"}]`, true},
		{"import --users users --schema schema --dry-run", `[{"id":"person"},{"id":"staff"}]`, false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := "[" + other + "]"
			if strings.HasSuffix(r.URL.Path, "/schemas") {
				answer = c.schemas
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Link", `<`+r.URL.Path+`?page_size=500>; rel="first"`)
			_, _ = w.Write([]byte(answer))
		}))
		t.Setenv("FERRY_KRATOS_ADMIN_URL", srv.URL)
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), strings.Fields(c.args), &stdout, &stderr)
		srv.Close()
		refused := status == exitFailed && strings.Contains(stderr.String(), "person, staff: name one with --schema-id")
		if refused != c.refused || !refused && status != exitOK {
			t.Errorf("%s, of %s: it ends with %d\n%s", c.args, c.schemas, status, stderr.String())
		}
	}
}
