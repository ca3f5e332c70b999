package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oneIdentity is one that Kratos lists: pending, or brought across by the hook.
func oneIdentity(n int, config, auth0 string) string {
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
	return `{"id":"` + id + `","schema_id":"person","state":"active","traits":{"email":"p@x.test"},"metadata_admin":{"auth0":` + auth0 + `},
		"credentials":{"password":{"identifiers":["p@x.test"],"config":` + config + `}}}`
}

// listing is a Kratos that has these identities; none: it is out of order.
func listing(t *testing.T, identities ...string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if len(identities) == 0 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Link", `</admin/identities?page_size=500>; rel="first"`)
		_, _ = io.WriteString(w, "["+strings.Join(identities, ",")+"]")
	}))
	t.Cleanup(srv.Close)
	t.Setenv("FERRY_KRATOS_ADMIN_URL", srv.URL)
}

const (
	pendingConfig = `{"use_password_migration_hook":true}`
	hashConfig    = `{"hashed_password":"$2a$04$x"}`
)

// TestStatusStragglers: the list of before stays until there is another whole one, which
// is for its owner's eyes only.
func TestStatusStragglers(t *testing.T) {
	dir := t.TempDir()
	list, link := filepath.Join(dir, "mail.csv"), filepath.Join(dir, "link.csv")
	if err := os.WriteFile(list, []byte("old\n"), 0o644); err != nil { //nolint:gosec // that is what is to change
		t.Fatal(err)
	}
	if err := os.Symlink(list, link); err != nil {
		t.Fatal(err)
	}
	holds := func(want string) {
		t.Helper()
		text, err := os.ReadFile(list)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("the list is %q, %v, want %s", text, err, want)
		}
	}
	var stdout, stderr bytes.Buffer
	listing(t)
	if status := run(t.Context(), []string{"status", "--stragglers", list}, &stdout, &stderr); status != exitFailed {
		t.Errorf("status %d: %s", status, stderr.String())
	}
	holds("old\n")
	listing(t, oneIdentity(1, pendingConfig, `{"user_id":"auth0|1"}`))
	if status := run(t.Context(), []string{"status", "--stragglers", link}, &stdout, &stderr); status != exitOK {
		t.Errorf("status %d: %s", status, stderr.String())
	}
	holds(",auth0|1,")
	if info, err := os.Stat(list); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	if status := run(t.Context(), []string{"status", "--stragglers", "-"}, &stdout, &stderr); status != exitUsage {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

// TestStatusForecast: what is told of the last one who will cross.
func TestStatusForecast(t *testing.T) {
	crossed := oneIdentity(1, hashConfig, `{"user_id":"auth0|1","migrated_at":"`+time.Now().Add(-time.Hour).Format(time.RFC3339)+`"}`)
	older := oneIdentity(2, hashConfig, `{"user_id":"auth0|2","migrated_at":"2020-01-01T00:00:00Z"}`)
	pending := oneIdentity(3, pendingConfig, `{"user_id":"auth0|3"}`)
	many := []string{crossed, older}
	for n := range 5300 {
		many = append(many, oneIdentity(n+3, pendingConfig, `{"user_id":"auth0|3"}`))
	}
	for want, identities := range map[string][]string{
		"nobody is pending":                   {crossed},
		"at 0.1 a day the last would cross":   {crossed, older, pending},
		"nobody crossed in the last seven":    {older, pending},
		"the last would not cross in a hundr": many,
	} {
		listing(t, identities...)
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), []string{"status"}, &stdout, &stderr); status != exitOK || !strings.Contains(stdout.String(), want) {
			t.Errorf("status %d, want %s\n%s%s", status, want, stdout.String(), stderr.String())
		}
	}
}
