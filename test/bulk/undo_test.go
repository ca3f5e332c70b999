package bulk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/kratostest"
	"ferry/test/postgrestest"
)

const (
	undoClient = "ferry-client"
	undoSecret = "a-secret-that-opens-nothing"
	// wrongMapper gives everyone the same name.
	wrongMapper = `local claims = std.extVar('claims'); {identity: {traits: {email: claims.email, name: 'undefined'}}}`
)

// TestUndo: a wrong import is taken back while some of its users have logged in. They stay,
// and everything else is as before, byte for byte.
//
// The many are in PostgreSQL: with SQLite, Kratos takes seconds to find one identifier among
// thousands.
func TestUndo(t *testing.T) {
	t.Parallel()
	const in = 50 // log in
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		many := 1600
		if allUsers() {
			many = 5000
		}
		x := newMistake(t, postgrestest.Run(t, postgrestest.Options{}).DSN(), many, in/2)
		x.undone(t, in)
		ferry(t, x.env, "reconcile", "--users", x.users).want(t, 1, fmt.Sprintf("verdict: %d of Auth0's %d users", in, x.all), fmt.Sprintf("%d missing", x.all-in))
		x.logIn(t, in)
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		x := newMistake(t, "", 400, in/2)
		run := x.undone(t, in)
		ferry(t, x.env, "undo", "--run", run, "--yes", "--results", x.file("undo.ndjson")).
			want(t, 0, fmt.Sprintf("%d deleted earlier", x.all-in), fmt.Sprintf("%d skipped", in))
		x.resultsOf(t, "undo.ndjson", run)
		ferry(t, x.env, "import", "--users", x.users, "--hashes", x.hashes, "--results", x.file("right.ndjson")).
			want(t, 0, fmt.Sprintf("%d exists", in))
		ferry(t, x.env, "reconcile", "--users", x.users).want(t, 1, fmt.Sprintf("verdict: %d of Auth0's %d users (100.0 %%) can log in", x.all, x.all))
		x.logIn(t, in)
	})
}

// undone imports, logs users in and undoes the run, which it returns.
func (x *mistake) undone(t *testing.T, in int) (run string) {
	t.Helper()
	x.others(t)
	before := everybody(t, x.kratos)
	run = x.importWrongly(t)
	x.logIn(t, in)
	used := x.settled(t, run, in/2)
	said := []string{fmt.Sprintf("%d deleted", x.all-in), fmt.Sprintf("%d skipped", in), fmt.Sprintf("%d session", in/2), fmt.Sprintf("%d migrated", in/2)}

	ferry(t, x.env, "undo", "--run", run, "--results", x.file("dry.ndjson")).want(t, 0, append(said, "dry run", "next: ferry undo --run "+run+" --yes")...)
	if !maps.Equal(everybody(t, x.kratos), used) {
		t.Error("a dry run has changed Kratos")
	}
	ferry(t, x.env, "undo", "--run", run, "--yes", "--results", x.file("undo.ndjson")).want(t, 0, append(said, fmt.Sprintf("%d of the run afterwards", in))...)
	after := everybody(t, x.kratos)
	for id, text := range after {
		if text != used[id] {
			t.Errorf("%s was %s\nand is %s", id, used[id], text)
		}
		if before[id] != text && !x.loggedIn[id] {
			t.Errorf("%s is left: %s", id, text)
		}
	}
	if len(x.loggedIn) != in || len(after) != len(before)+in {
		t.Errorf("%d identities were there, %d users logged in, %d identities are left", len(before), len(x.loggedIn), len(after))
	}
	if !slices.Equal(x.resultsOf(t, "dry.ndjson", run), x.resultsOf(t, "undo.ndjson", run)) {
		t.Error("the dry run has other results than the undo")
	}
	return run
}

// mistake is an import with the wrong mapper.
type mistake struct {
	*crossing

	users, hashes string
	all           int
	// loggedIn are the identities of users who logged in.
	loggedIn map[string]bool
}

// newMistake starts everything for so many users. Every second one is in the hash file; the
// first of the others are at the simulator.
func newMistake(t *testing.T, dsn string, users, atAuth0 int) *mistake {
	t.Helper()
	dir := t.TempDir()
	x := &mistake{all: users, loggedIn: map[string]bool{}}
	hash, err := bcrypt.GenerateFromPassword([]byte(peoplePassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	seed := auth0sim.Tenant{
		DefaultDirectory: "main", Connections: []auth0sim.Connection{{Name: "main"}},
		Apps: []auth0sim.App{{ClientID: undoClient, ClientSecret: undoSecret}},
	}
	var hashes strings.Builder
	for i := range users {
		switch {
		case i%2 == 0:
			fmt.Fprintf(&hashes, `{"_id":{"$oid":"%06d"},"passwordHash":%q}`+"\n", i, hash)
		case len(seed.Users) < atAuth0:
			seed.Users = append(seed.Users, auth0sim.User{ID: fmt.Sprintf("auth0|%06d", i), Connection: "main", Email: userEmail(i), EmailVerified: true, Password: peoplePassword})
		}
	}
	text, err := json.Marshal(seed)
	if err != nil {
		t.Fatal(err)
	}
	x.users, x.hashes = plainUsers(t, users), filepath.Join(dir, "hashes.ndjson")
	for name, text := range map[string]string{"seed.json": string(text), "hashes.ndjson": hashes.String(), "wrong.jsonnet": wrongMapper} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x.crossing = crossingIn(t, dsn, &tenant{dir: dir}, filepath.Join(dir, "seed.json"), applications{client: undoClient, clientSecret: undoSecret, machine: undoClient + "-machine", machineSecret: undoSecret, realms: "main"})
	return x
}

func userEmail(i int) string { return fmt.Sprintf("user%06d@example.org", i) }

func (x *mistake) file(name string) string { return filepath.Join(x.dir, name) }

// others creates identities that are not of the wrong import: some that did not come from
// Auth0, and those of an earlier import.
func (x *mistake) others(t *testing.T) {
	t.Helper()
	for i, spec := range []kratostest.IdentitySpec{
		{Password: peoplePassword}, {Social: []string{"google:7"}}, {Pending: true}, {Password: peoplePassword, State: "inactive"},
	} {
		spec.Traits = map[string]any{"email": fmt.Sprintf("native%d@example.org", i)}
		if _, err := x.kratos.CreateIdentity(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	var rows strings.Builder
	for i := range 40 {
		fmt.Fprintf(&rows, `{"user_id":"auth0|earlier%d","email":"earlier%d@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"earlier%d","connection":"main"}]}`+"\n", i, i, i)
	}
	if err := os.WriteFile(x.file("earlier.ndjson"), []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ferry(t, x.env, "import", "--users", x.file("earlier.ndjson")).want(t, 0, "40 created_pending")
}

// importWrongly imports with the wrong mapper and returns the run.
func (x *mistake) importWrongly(t *testing.T) string {
	t.Helper()
	ferry(t, x.env, "import", "--users", x.users, "--hashes", x.hashes, "--mapper", x.file("wrong.jsonnet"), "--results", x.file("wrong.ndjson")).
		want(t, 0, fmt.Sprintf("%d created_hash", x.all/2), fmt.Sprintf("%d created_pending", x.all/2))
	runs := listRuns(t, x.env)
	run := largest(runs)
	if len(runs) != 2 || run.Identities != x.all || run.Created["created_hash"] != x.all/2 || run.Kinds["pending"] != x.all/2 {
		t.Fatalf("the runs are %+v", runs)
	}
	return run.Run
}

// largest returns the run with the most identities.
func largest(runs []listedRun) listedRun {
	return slices.MaxFunc(runs, func(a, b listedRun) int { return a.Identities - b.Identities })
}

// listedRun is a run in the output of `ferry runs --json`.
type listedRun struct {
	Run            string
	Identities     int
	Created, Kinds map[string]int
}

func listRuns(t *testing.T, env []string) []listedRun {
	t.Helper()
	var list struct{ Runs []listedRun }
	if err := json.Unmarshal([]byte(ferry(t, env, "runs", "--json").want(t, 0).stdout), &list); err != nil || len(list.Runs) == 0 {
		t.Fatalf("there are no runs: %v", err)
	}
	return list.Runs
}

// logIn logs in the first users, half of them with the imported hash, the others by the
// hook, four at a time.
func (x *mistake) logIn(t *testing.T, users int) {
	t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	next := make(chan int)
	for range 4 {
		group.Go(func() {
			for i := range next {
				login, err := x.kratos.LoginAPI(t.Context(), userEmail(i), peoplePassword)
				if err != nil || login.Sees() != kratostest.SeesSession {
					t.Errorf("%s sees %s, %v", userEmail(i), login.Sees(), err)
				}
				mu.Lock()
				x.loggedIn[login.IdentityID] = true
				mu.Unlock()
			}
		})
	}
	for i := range users {
		next <- i
	}
	close(next)
	group.Wait()
}

// settled waits until ferry has written the records of those who migrated by the hook, and
// returns all identities.
func (x *mistake) settled(t *testing.T, run string, migrated int) map[string]string {
	t.Helper()
	if !await.True(func() bool {
		runs := listRuns(t, x.env)
		at := slices.IndexFunc(runs, func(r listedRun) bool { return r.Run == run })
		return runs[at].Kinds["migrated"] == migrated
	}) {
		t.Fatal("ferry has not written the records of the logins")
	}
	return everybody(t, x.kratos)
}

// resultsOf returns the lines of a results file, sorted. They must be one for each identity
// of the run.
func (x *mistake) resultsOf(t *testing.T, name, run string) []string {
	t.Helper()
	text := x.read(t, name)
	if n := strings.Count(text, `"run":"`+run+`"`); n != x.all {
		t.Errorf("%s has %d lines of the run", name, n)
	}
	return slices.Sorted(strings.Lines(strings.ReplaceAll(text, `"dry_run":true,`, "")))
}

// TestUndoInterrupted: an import that was killed, and an undo that was killed, leave whole
// identities, which the same undo takes back. finish covers what an undo has left.
func TestUndoInterrupted(t *testing.T) {
	k := newKratos(t, kratostest.Options{})
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	earlier := file("earlier.ndjson")
	if err := os.WriteFile(earlier, []byte(`{"user_id":"auth0|e","email":"e@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"e","connection":"main"}]}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ferry(t, adminURL(k), "import", "--users", earlier).want(t, 0)
	killedAt(t, k, http.MethodPatch, 3, "import", "--users", plainUsers(t, 2000), "--results", file("results"), "--in-flight", "2")
	runs := listRuns(t, adminURL(k))
	run := largest(runs)
	if len(runs) != 2 || run.Identities == 0 || run.Identities == 2000 || run.Kinds["pending"] != run.Identities {
		t.Fatalf("the runs are %+v", runs)
	}
	undo := []string{"undo", "--run", run.Run, "--yes", "--results", file("undo")}
	killedAt(t, k, http.MethodDelete, int64(run.Identities/2), undo...)
	left := len(everybody(t, k)) - 1
	if left == 0 || left == run.Identities {
		t.Fatalf("%d of %d are left", left, run.Identities)
	}

	finish := []string{"finish", "--yes", "--hook-off", "--wait", "0s", "--results", file("finish")}
	killedAt(t, k, http.MethodPut, 3, finish...)
	ferry(t, adminURL(k), finish...).want(t, 0, "0 pending afterwards")
	ferry(t, adminURL(k), "status").want(t, 0)
	ferry(t, adminURL(k), undo...).want(t, 0, fmt.Sprintf("%d finished", left), fmt.Sprintf("%d of the run afterwards", left))
	ferry(t, adminURL(k), finish...).want(t, 0, "0 pending afterwards")
	kinds := map[string]int{}
	for _, one := range listRuns(t, adminURL(k)) {
		kinds[one.Run] = one.Kinds["finished"]
	}
	if len(kinds) != 2 || kinds[run.Run] != left {
		t.Errorf("of the runs, so many are finished: %v", kinds)
	}
}

// killedAt runs ferry and kills it at its nth request of a method, which Kratos still gets.
func killedAt(t *testing.T, k *kratostest.Kratos, method string, nth int64, args ...string) {
	t.Helper()
	target, err := url.Parse(k.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	var pid, seen atomic.Int64
	started := make(chan struct{})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: &http.Transport{DisableKeepAlives: true}, ErrorLog: log.New(io.Discard, "", 0)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-started
		if r.Method == method && seen.Add(1) == nth {
			if err := syscall.Kill(int(pid.Load()), syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
		// Kratos gets the whole request, also if ferry is gone: Close waits for its answer.
		// A context that cannot end would make the proxy watch ferry's connection instead.
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		proxy.ServeHTTP(w, r.WithContext(ctx))
	}))
	defer srv.Close()
	p, printed := start(t, []string{"FERRY_KRATOS_ADMIN_URL=" + srv.URL}, args...)
	pid.Store(int64(p.Pid()))
	close(started)
	<-p.Done()
	if p.Err() == nil || seen.Load() < nth {
		t.Fatalf("ferry %s was not killed but ended with %v\n%s", strings.Join(args, " "), p.Err(), printed.String())
	}
}
