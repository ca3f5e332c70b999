package bulk

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/test/kratostest"
	"ferry/test/process"
)

// blindWalk is a proxy for Kratos' admin API that answers the first listing with no
// identities and counts the other requests.
type blindWalk struct {
	url      string
	walked   atomic.Bool
	requests atomic.Int64
}

func newBlindWalk(tb testing.TB, k *kratostest.Kratos) *blindWalk {
	tb.Helper()
	target, err := url.Parse(k.AdminURL())
	if err != nil {
		tb.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	b := &blindWalk{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.Method == http.MethodGet && r.URL.Path == "/admin/identities" && query.Has("page_size") && !query.Has("ids") && !b.walked.Swap(true) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("[]"))
			return
		}
		b.requests.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// plainUsers returns users of the default connection, each with a verified address.
func plainUsers(tb testing.TB, count int) string {
	tb.Helper()
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, `{"user_id":"auth0|%06d","email":"user%06d@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"%06d","connection":"main"}]}`+"\n", i, i, i)
	}
	path := filepath.Join(tb.TempDir(), "users.ndjson")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// TestUnknownConflicts: conflicts with identities that the listing did not show take a
// bounded number of requests, not one each.
func TestUnknownConflicts(t *testing.T) {
	const there, all = 300, 600
	k := newKratos(t, kratostest.Options{})
	users := plainUsers(t, all)
	ferry(t, adminURL(k), "import", "--users", plainUsers(t, there)).want(t, 0)
	blind := newBlindWalk(t, k)
	a := ferry(t, []string{"FERRY_KRATOS_ADMIN_URL=" + blind.url}, "import", "--users", users).want(t, 0)
	outcomes := map[string]int{}
	for _, r := range parseLines[result](t, []byte(a.stdout)) {
		outcomes[r.Outcome+" "+r.Reason]++
	}
	if outcomes["skipped exists"] != there || outcomes["created_pending no_hash"] != all-there || len(outcomes) != 2 {
		t.Errorf("the rows are %v", outcomes)
	}
	if n := blind.requests.Load(); n > all/10 {
		t.Errorf("it took %d requests", n)
	}
	if n := len(everybody(t, k)); n != all {
		t.Errorf("there are %d identities", n)
	}
}

// TestTwoImportsAtOnce: two concurrent imports of the same file create each identity
// once, and both end.
func TestTwoImportsAtOnce(t *testing.T) {
	const all = 400
	k := newKratos(t, kratostest.Options{})
	users := plainUsers(t, all)
	dir := t.TempDir()
	run := func(name string) (*process.Process, string) {
		results := filepath.Join(dir, name)
		p, _ := start(t, adminURL(k), "import", "--users", users, "--results", results, "--in-flight", "2")
		return p, results
	}
	first, firstResults := run("first")
	second, secondResults := run("second")
	created := map[string]int{}
	for p, results := range map[*process.Process]string{first: firstResults, second: secondResults} {
		<-p.Done()
		if p.Err() != nil {
			t.Errorf("it ends with %v", p.Err())
		}
		rows := readLines[result](t, results)
		if len(rows) != all {
			t.Errorf("there are %d results", len(rows))
		}
		for _, r := range rows {
			switch {
			case r.Outcome == "created_pending":
				created[r.UserID]++
			case r.Outcome != "skipped" || r.Reason != "exists":
				t.Errorf("%+v", r)
			}
		}
	}
	for user, n := range created {
		if n != 1 {
			t.Errorf("%s was created %d times", user, n)
		}
	}
	if n := len(everybody(t, k)); len(created) != all || n != all {
		t.Errorf("%d were created, and there are %d identities", len(created), n)
	}
}
