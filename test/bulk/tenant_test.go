package bulk

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/auth0sim/gen"
	"ferry/test/await"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

const hookKey = "canary-hook-key-of-the-bulk-tests-0123456789"

// twoVerified is the kind of users who have the same verified address in two
// databases.
const twoVerified = "twin_verified"

// crossing is a generated tenant at the simulator, Kratos, and a ferry between them.
type crossing struct {
	*tenant

	sim    *auth0sim.Server
	kratos *kratostest.Kratos
	env    []string
}

func newCrossing(t *testing.T, users int, seed uint64) *crossing {
	t.Helper()
	x := newTenant(t, users, seed)
	return crossingOf(t, x, x.path(gen.SeedFile), applications{
		client: gen.ClientID, clientSecret: gen.ClientSecret, machine: gen.MachineID, machineSecret: gen.MachineSecret,
		realms: gen.Database + ",legacy",
	})
}

// applications are ferry's applications at Auth0 and the databases that it asks.
type applications struct{ client, clientSecret, machine, machineSecret, realms string }

// crossingOf starts the simulator, Kratos and ferry for a tenant.
func crossingOf(t *testing.T, generated *tenant, seed string, apps applications) *crossing {
	t.Helper()
	return crossingIn(t, "", generated, seed, apps)
}

// crossingIn is crossingOf with Kratos' database.
func crossingIn(t *testing.T, dsn string, generated *tenant, seed string, apps applications) *crossing {
	t.Helper()
	x := &crossing{tenant: generated}
	file, err := os.Open(seed)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := auth0sim.ReadSeed(file)
	if closeErr := file.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	settings := tenant.Settings.Relaxed()
	x.sim = auth0sim.Run(t, auth0sim.Config{Tenant: &tenant.Tenant, Settings: &settings})

	// Kratos needs ferry's address, and ferry needs Kratos'.
	var target atomic.Pointer[url.URL]
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target.Load()) },
		Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext, DisableKeepAlives: true},
	})
	t.Cleanup(front.Close)
	x.kratos = newKratos(t, kratostest.Options{
		DSN:     dsn,
		HookURL: front.URL + "/hooks/password-migration", AfterLoginURL: front.URL + "/hooks/after-login", HookKey: hookKey,
	})
	x.env = append(adminURL(x.kratos),
		"FERRY_AUTH0_DOMAIN="+x.sim.Domain(), "FERRY_AUTH0_BASE_URL="+x.sim.URL(),
		"FERRY_AUTH0_MGMT_CLIENT_ID="+apps.machine, "FERRY_AUTH0_MGMT_CLIENT_SECRET="+apps.machineSecret,
	)
	serve, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: append([]string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_CLIENT_ID=" + apps.client, "FERRY_AUTH0_CLIENT_SECRET=" + apps.clientSecret,
		"FERRY_AUTH0_REALMS=" + apps.realms,
	}, x.env...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := serve.Stop(); err != nil {
			t.Error(err)
		}
	})
	hooks, err := url.Parse(serve.HooksURL())
	if err != nil {
		t.Fatal(err)
	}
	target.Store(hooks)
	return x
}

// TestTenant migrates a whole tenant: export, import, logins of all kinds of users,
// reconcile.
func TestTenant(t *testing.T) {
	t.Parallel()
	x := newCrossing(t, 700, 3)
	file := filepath.Join(x.dir, "exported.ndjson.gz")
	ferry(t, x.env, "export", "--out", file).want(t, 0, "job_")

	ferry(t, x.env, append([]string{"import", "--users", file, "--hashes", x.path(gen.HashesFile), "--results", x.path("results")}, google...)...).want(t, 1)
	byUser := map[string]result{}
	for _, r := range readLines[result](t, x.path("results")) {
		byUser[r.UserID] = r
	}
	seen := map[string]bool{}
	for line := range maxLine(x.expected) {
		e, ok := x.expected[line+1]
		if !ok || e.UserID == "" || seen[e.UserID] {
			continue // the simulator has no unreadable rows and no duplicates
		}
		seen[e.UserID] = true
		if e.Kind == twoVerified {
			continue // the first row wins, and Auth0 exports in another order
		}
		if r := byUser[e.UserID]; r.Outcome != string(e.Outcome) || r.word() != string(e.Reason) {
			t.Errorf("%s (%s) is %+v, not %s %s", e.UserID, e.Kind, r, e.Outcome, e.Reason)
		}
	}
	if len(byUser) != len(seen) {
		t.Errorf("%d users have a result, not %d", len(byUser), len(seen))
	}
	before := x.verdict(t, file)
	plain, few := x.path("plain.ndjson"), x.path("few.ndjson")
	ferry(t, x.env, "export", "--out", plain).want(t, 0)
	withoutFields(t, plain, few)
	if fetched := x.verdict(t, few, "--fetch-missing"); !maps.Equal(fetched, before) {
		t.Errorf("with fetched fields %v, with all in the file %v", fetched, before)
	}
	x.logins(t, byUser)
	after := x.verdict(t, file)
	if before["migrated"] != 0 || after["migrated"] == 0 || after["migrated"]+after["pending"] != before["pending"] {
		t.Errorf("before the logins %v, after them %v", before, after)
	}
	x.status(t, after)
}

// verdict runs reconcile and returns how many users can log in, and how.
func (x *crossing) verdict(t *testing.T, users string, args ...string) map[string]int {
	t.Helper()
	a := ferry(t, x.env, slices.Concat([]string{"reconcile", "--users", users, "--json"}, google, args)...)
	var table struct {
		Users           int
		Findings, Kinds map[string]int
	}
	if err := json.Unmarshal([]byte(a.stdout), &table); err != nil {
		t.Fatalf("%v\n%s", err, a.stderr)
	}
	if table.Findings["missing"]+table.Findings["extra"]+table.Findings["duplicate"]+table.Findings["stale"] > 0 {
		t.Errorf("found %v", table.Findings)
	}
	if line := regexp.MustCompile(`(?m)^verdict: \d+ of Auth0's \d+ users \([0-9.]+ %\) can log in to Kratos today: .+$`); !line.MatchString(a.stderr) {
		t.Errorf("there is no verdict in\n%s", a.stderr)
	}
	return table.Kinds
}

// logins tries some users of each kind with their password at Auth0.
func (x *crossing) logins(t *testing.T, results map[string]result) {
	t.Helper()
	tried := map[string]int{}
	for line := range maxLine(x.expected) {
		e, ok := x.expected[line+1]
		created := ok && e.Kind != twoVerified && (e.Outcome == gen.CreatedHash || e.Outcome == gen.CreatedPending)
		if !created || e.Password == "" || e.Identifier == "" {
			continue
		}
		sort := e.Kind + " " + string(e.Outcome)
		if tried[sort]++; tried[sort] > 2 {
			continue
		}
		x.login(t, e, results[e.UserID])
	}
	if len(tried) < 12 {
		t.Errorf("only these kinds of users were tried: %v", tried)
	}
}

func (x *crossing) login(t *testing.T, e gen.Expected, r result) {
	t.Helper()
	wrong, err := x.kratos.LoginAPI(t.Context(), e.Identifier, e.Password+"x")
	if err != nil || wrong.Sees() == kratostest.SeesSession {
		t.Errorf("%s (%s) with a wrong password: %s %v", e.UserID, e.Kind, wrong.Sees(), err)
	}
	got, err := x.kratos.LoginAPI(t.Context(), e.Identifier, e.Password)
	if err != nil {
		t.Errorf("%s (%s): %v", e.UserID, e.Kind, err)
		return
	}
	in := got.Sees() == kratostest.SeesSession
	if in == e.Blocked {
		t.Errorf("%s (%s, blocked %v, %s %s): %s", e.UserID, e.Kind, e.Blocked, r.Outcome, r.Reason, got.Sees())
	}
	if in && got.IdentityID != r.IdentityID {
		t.Errorf("%s (%s) is logged in as %s, not as %s", e.UserID, e.Kind, got.IdentityID, r.IdentityID)
	}
}

// status: the counts equal those of reconcile, and all stragglers are listed.
func (x *crossing) status(t *testing.T, kinds map[string]int) {
	t.Helper()
	s := x.readStatus(t)
	// ferry may still be writing the record of the last login.
	if !await.True(func() bool { s = x.readStatus(t); return s.LastDay == s.Kinds["migrated"] }) {
		t.Fatalf("status is %+v", s)
	}
	for kind, n := range kinds {
		if s.Kinds[kind] != n {
			t.Errorf("status counts %d %s, reconcile %d", s.Kinds[kind], kind, n)
		}
	}
	if all := len(everybody(t, x.kratos)); s.Total != all {
		t.Errorf("status counts %d identities of %d", s.Total, all)
	}
	text, err := os.ReadFile(x.path("stragglers.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if rows := strings.Count(string(text), "\n") - 1; rows != s.Kinds["pending"] {
		t.Errorf("%d stragglers are listed, not %d", rows, s.Kinds["pending"])
	}
}

// migration is the output of `ferry status --json`.
type migration struct {
	Total   int            `json:"total"`
	Kinds   map[string]int `json:"kinds"`
	LastDay int            `json:"migrated_last_day"`
}

func (x *crossing) readStatus(t *testing.T) migration {
	t.Helper()
	a := ferry(t, x.env, "status", "--json", "--stragglers", x.path("stragglers.csv")).want(t, 0)
	var s migration
	if err := json.Unmarshal([]byte(a.stdout), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func maxLine(expected map[int]gen.Expected) int {
	most := 0
	for line := range expected {
		most = max(most, line)
	}
	return most
}

// TestRebind: an operator binds an identity to another user, and ferry prints the
// previous binding.
func TestRebind(t *testing.T) {
	k := newKratos(t, kratostest.Options{})
	create := func(ctx context.Context, email, subject string) string {
		id, err := k.CreateIdentity(ctx, kratostest.IdentitySpec{
			Traits:        map[string]any{"email": email},
			MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": subject, "user_ids": []string{subject}, "connection": "main"}, "crm": 7},
			Pending:       true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	kim, ada := create(t.Context(), "kim@example.org", "auth0|kim"), create(t.Context(), "ada@example.org", "auth0|ada")
	rebind := func(args ...string) answer { return ferry(t, adminURL(k), append([]string{"rebind"}, args...)...) }

	rebind(kim, "--to", "auth0|kim2").want(t, 2, "give a reason")
	rebind("kim", "--to", "auth0|kim2", "--reason", "x").want(t, 2, "a UUID")
	rebind(kim, "--to", "kim2", "--reason", "x").want(t, 2, "Auth0 user id")
	rebind(kim, "--to", "auth0|ada", "--reason", "x").want(t, 1, ada)

	a := rebind(kim, "--to", "auth0|kim2", "--reason", "ticket 17", "--by", "ops").want(t, 0)
	if !strings.Contains(a.stdout, `"from":["auth0|kim"]`) {
		t.Errorf("it prints %s", a.stdout)
	}
	rebind(kim, "--to", "auth0|kim2", "--reason", "again").want(t, 0, "nothing to change")
	var identity struct {
		MetadataAdmin struct {
			CRM   int `json:"crm"`
			Auth0 struct {
				UserID     string           `json:"user_id"`
				UserIDs    []string         `json:"user_ids"`
				Connection string           `json:"connection"`
				Rebinds    []map[string]any `json:"rebinds"`
			} `json:"auth0"`
		} `json:"metadata_admin"`
	}
	if err := json.Unmarshal([]byte(everybody(t, k)[kim]), &identity); err != nil {
		t.Fatal(err)
	}
	is := identity.MetadataAdmin
	if is.CRM != 7 || is.Auth0.UserID != "auth0|kim2" || len(is.Auth0.UserIDs) != 1 || is.Auth0.UserIDs[0] != "auth0|kim2" ||
		is.Auth0.Connection != "main" || len(is.Auth0.Rebinds) != 1 || is.Auth0.Rebinds[0]["reason"] != "ticket 17" || is.Auth0.Rebinds[0]["by"] != "ops" {
		t.Errorf("the identity is %+v", is)
	}
}
