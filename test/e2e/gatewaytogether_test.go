package e2e

import (
	"encoding/json"
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
	"testing"

	"ferry/test/await"
	"ferry/test/kratostest"
	"ferry/test/postgrestest"
	"ferry/test/redistest"
)

// together is how many logins are in flight at the same time.
const together = 16

// gateways is one or two ferry processes with a gateway each, in front of one Kratos on
// PostgreSQL: with SQLite, Kratos is slow where many users log in at the same time.
type gateways struct {
	*stack

	hosts []string
}

// startGateways starts one ferry with everything in memory, or two that share Redis. Of two,
// each gets every other call of the migration hook.
func startGateways(t *testing.T, two bool, settings ...string) *gateways {
	t.Helper()
	settings = append(settings, "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_GATEWAY_PER_MINUTE=100000")
	if two {
		settings = append(settings, "FERRY_STATE_URL="+redistest.Run(t, redistest.Options{}).URL(), "FERRY_STATE_KEY="+stateKey)
	}
	database := postgrestest.Run(t, postgrestest.Options{}).DSN()
	s := startOn(t, func(k *kratostest.Options) { k.DSN = database }, settings...)
	g := &gateways{s, []string{strings.TrimPrefix(s.ferry.GatewayURL(), "http://")}}
	if two {
		second := s.anotherFerry(t, settings...)
		s.front.forwardTo(t, s.ferry.GatewayURL())
		s.tap.spread(t, second.HooksURL())
		g.hosts = append(g.hosts, strings.TrimPrefix(second.GatewayURL(), "http://"))
	}
	s.gatewayReady(t)
	return g
}

// login logs in through one of the gateways.
func (g *gateways) login(t *testing.T, u *unknown, turn int) (sees string) {
	t.Helper()
	got, err := g.kratos.LoginAPI(t.Context(), u.email, u.password, func(r *http.Request) {
		r.URL.Host = g.hosts[turn%len(g.hosts)]
	})
	if err != nil {
		t.Errorf("%s: %v", u.subject, err)
	}
	return got.Sees()
}

// unknowns makes users whom Kratos does not have.
func (s *stack) unknowns(t *testing.T, n int) (all []*unknown) {
	t.Helper()
	for range n {
		all = append(all, s.unknown(t, nil))
	}
	return all
}

// each calls do for every user, some at the same time.
func each(users []*unknown, do func(i int, u *unknown)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range together {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(users)); i = next.Add(1) - 1 {
				do(int(i), users[i])
			}
		})
	}
	workers.Wait()
}

// checkOnce fails unless each user has one identity, logs in, and cost one attempt for each of
// so many logins at most.
func (g *gateways) checkOnce(t *testing.T, users []*unknown, logins func(i int) int) {
	t.Helper()
	each(users, func(i int, u *unknown) {
		if sees := g.login(t, u, i); sees != kratostest.SeesSession {
			t.Errorf("%s sees %q afterwards", u.subject, sees)
		}
		if n := g.sim.Attempts(u.subject); n < 1 || n > logins(i) {
			t.Errorf("%s: %d attempts for %d logins", u.subject, n, logins(i))
		}
	})
	bound := g.bound(t)
	for _, u := range users {
		if !slices.Equal(bound[u.subject], []string{u.email}) {
			t.Errorf("%s has the identities of %q", u.subject, bound[u.subject])
		}
	}
	if len(bound) != len(users) {
		t.Errorf("the identities of %d users, want %d", len(bound), len(users))
	}
}

// bound returns the addresses of the identities that are bound to each Auth0 user.
func (s *stack) bound(t *testing.T) map[string][]string {
	t.Helper()
	var all []struct {
		Traits   struct{ Email string }
		Metadata struct {
			Auth0 struct {
				UserID string `json:"user_id"`
			} `json:"auth0"`
		} `json:"metadata_admin"`
	}
	s.readAdmin(t, "/admin/identities?page_size=1000", &all)
	found := map[string][]string{}
	for _, one := range all {
		found[one.Metadata.Auth0.UserID] = append(found[one.Metadata.Auth0.UserID], one.Traits.Email)
	}
	return found
}

// TestGatewayTogether: 200 unknown users log in, every other one twice at the same time, while
// an import creates them and others, and a reconciliation follows. Each gets one identity. No
// login costs more than one attempt, or hears of wrong credentials, and the import fails no
// row. The two logins of a user reach one gateway each.
func TestGatewayTogether(t *testing.T) {
	t.Run("one gateway, in memory", func(t *testing.T) { testTogether(t, startGateways(t, false), 40) })
	t.Run("two gateways with Redis", func(t *testing.T) { testTogether(t, startGateways(t, true), 200) })
}

func testTogether(t *testing.T, g *gateways, people int) {
	t.Helper()
	users := g.unknowns(t, people+40) // the import alone creates the others
	logins := func(i int) int { return 1 + i%2 }
	pace := &pace{stack: g.stack, begun: make(chan struct{}), logins: int64(people * 3 / 2)}
	var bulk sync.WaitGroup
	bulk.Go(func() { pace.importAll(t, users) })
	<-pace.begun
	each(users[:people], func(i int, u *unknown) {
		var at sync.WaitGroup
		for turn := range logins(i) {
			at.Go(func() {
				defer pace.ended.Add(1)
				sees := g.login(t, u, i/2+turn)
				switch {
				case sees == kratostest.SeesSession:
				case logins(i) == 2 && (sees == kratostest.SeesUnavailable || strings.HasPrefix(sees, "other: error 409")):
					// as an imported user may see, too: TestDoubleClicks
				default:
					t.Errorf("%s sees %q", u.subject, sees)
				}
			})
		}
		at.Wait()
	})
	bulk.Wait()
	g.checkOnce(t, users, logins)
	g.checkSilence(t)
}

// pace is a proxy for Kratos' admin API by which an import goes on only with the logins.
type pace struct {
	*stack

	begun   chan struct{} // closed when the import has read Kratos, or has failed
	once    sync.Once
	logins  int64 // to come
	ended   atomic.Int64
	batches atomic.Int64
}

// loginsPerBatch is how many logins must have ended for each batch of the import. All of them
// are of users of the first batch, whom the import finds created.
const loginsPerBatch = 20

// importAll imports the users, batch by batch with the logins, and compares them with Kratos.
func (p *pace) importAll(t *testing.T, all []*unknown) {
	t.Helper()
	defer p.once.Do(func() { close(p.begun) })
	target, err := url.Parse(p.kratos.AdminURL())
	if err != nil {
		t.Error(err)
		return
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.Transport = &http.Transport{DisableKeepAlives: true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch && r.URL.Path == "/admin/identities" {
			p.once.Do(func() { close(p.begun) })
			n := p.batches.Add(1)
			await.True(func() bool { return p.ended.Load() >= min(loginsPerBatch*n, p.logins) })
		}
		forward.ServeHTTP(w, r)
	}))
	defer server.Close()
	file, env := usersFile(t, all), []string{"FERRY_KRATOS_ADMIN_URL=" + server.URL, p.publicURL()}
	counts, out, failed := p.runImport(t, env, file)
	created, skipped := counts["created_pending"], counts["skipped"]
	if failed || created == 0 || skipped == 0 || created+skipped != len(all) {
		t.Errorf("import: failed %v, %v\n%s", failed, counts, out)
	}
	if out, failed := p.run(t, env, "reconcile", "--users", file, "--fix"); failed {
		t.Errorf("reconcile: %s", out)
	}
}

// runImport imports a users file and returns how many rows had which outcome.
func (s *stack) runImport(t *testing.T, env []string, file string) (counts map[string]int, out string, failed bool) {
	t.Helper()
	results := filepath.Join(t.TempDir(), "results.ndjson")
	out, failed = s.run(t, env, "import", "--users", file, "--results", results)
	text, err := os.ReadFile(results)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	counts = map[string]int{}
	for line := range strings.Lines(string(text)) {
		var row struct{ Outcome string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Error(err)
		}
		counts[row.Outcome]++
	}
	return counts, out, failed
}
