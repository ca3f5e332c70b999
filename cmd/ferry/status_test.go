package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/status"
)

// oneIdentity is one that Kratos lists.
func oneIdentity(n int, config, auth0 string) string {
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
	return `{"id":"` + id + `","schema_id":"person","state":"active","traits":{"email":"p@x.test"},"metadata_admin":{"auth0":` + auth0 + `},
		"credentials":{"password":{"identifiers":["p@x.test"],"config":` + config + `}}}`
}

// listing is a Kratos that has these identities; none: it is out of order.
func listing(t *testing.T, identities ...string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if len(identities) == 0 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		for _, identity := range identities {
			if strings.HasPrefix(identity, `{"id":"`+path.Base(r.URL.Path)+`"`) {
				_, _ = io.WriteString(w, identity)
				return
			}
		}
		w.Header().Set("Link", `</admin/identities?page_size=500>; rel="first"`)
		_, _ = io.WriteString(w, "["+strings.Join(identities, ",")+"]")
	}))
	t.Cleanup(srv.Close)
	t.Setenv("FERRY_KRATOS_ADMIN_URL", srv.URL)
}

const pendingConfig = `{"use_password_migration_hook":true}`

// TestStatusStragglers: the list of before stays until there is another whole one, which
// is for its owner's eyes only.
func TestStatusStragglers(t *testing.T) {
	dir := t.TempDir()
	list, link := filepath.Join(dir, "mail.csv"), filepath.Join(dir, "link.csv")
	if err := os.WriteFile(list, []byte("old\n"), 0o644); err != nil {
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
	if !strings.Contains(stderr.String(), "FERRY_KRATOS_ADMIN_TOKEN") {
		t.Error(stderr.String())
	}
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

// TestStatusNoKratos: it says where to look.
func TestStatusNoKratos(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	t.Setenv("FERRY_KRATOS_ADMIN_URL", srv.URL) // the public API, say
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"status"}, &stdout, &stderr); status != exitFailed || !strings.Contains(stderr.String(), "is FERRY_KRATOS_ADMIN_URL its admin API") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

// TestStatusForecast: what is told of the last one who will cross.
func TestStatusForecast(t *testing.T) {
	kinds, done := map[kind.Kind]int{kind.Pending: 6000}, time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	for want, s := range map[string]status.Status{
		"no one is pending but 2 inactive":                           {InactivePending: 2},
		"no one is pending: the hook is no longer needed":            {},
		"at 2.0 a day the last would migrate on 2030-01-02":          {Kinds: kinds, LastWeek: 14, PerDay: 2, Done: &done},
		"the first migrated less than a day ago: too early":          {Kinds: kinds, LastWeek: 5, LastDay: 5},
		"no one migrated in the last seven days":                     {Kinds: kinds},
		"at 0.1 a day the last would not migrate in a hundred years": {Kinds: kinds, LastWeek: 1, PerDay: 1.0 / 7},
	} {
		var out bytes.Buffer
		var flags statusFlags
		if err := flags.print(&out, s); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v, want %s in\n%s", err, want, out.String())
		}
	}
}

// TestStatusWatch: a reading that fails is reported, and the next one follows.
func TestStatusWatch(t *testing.T) {
	var readings atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch readings.Add(1) {
		case 2:
			w.WriteHeader(http.StatusForbidden)
			return
		case 4:
			cancel()
		}
		w.Header().Set("Link", `</admin/identities?page_size=500>; rel="first"`)
		_, _ = io.WriteString(w, "[]")
	}))
	defer srv.Close()
	t.Setenv("FERRY_KRATOS_ADMIN_URL", srv.URL)
	var stdout, stderr bytes.Buffer
	if status := run(ctx, []string{"status", "--watch", "--every", "1s", "--json"}, &stdout, &stderr); status != exitOK {
		t.Errorf("status %d: %s", status, stderr.String())
	}
	if lines := strings.Count(stdout.String(), "\n"); lines != 2 || !strings.Contains(stderr.String(), "this reading failed, the next is in 1s: read the identities") {
		t.Errorf("%d readings: %s", lines, stderr.String())
	}
	srv.Close()
	if status := run(t.Context(), []string{"status", "--watch"}, &stdout, &stderr); status != exitFailed {
		t.Errorf("a first reading that fails ends with status %d", status)
	}
}

// TestStatusUsage: flags that do not go together.
func TestStatusUsage(t *testing.T) {
	for _, args := range []string{"--users a", "--users - --stragglers b", "--users a --stragglers ./a"} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), append([]string{"status"}, strings.Fields(args)...), &stdout, &stderr); status != exitUsage {
			t.Errorf("%s: status %d: %s", args, status, stderr.String())
		}
	}
}
