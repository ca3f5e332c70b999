package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/test/postgrestest"
)

const (
	// numbersCrossings is how many users cross; FERRY_CROSSINGS overrides it.
	numbersCrossings = 150
	numbersOthers    = 6 // users of each other kind
	numbersAtOnce    = 2 // logins
	notFromAuth0     = "not_from_auth0"
)

// numbers are the identities by connection and kind.
type numbers map[[2]string]int

func (n numbers) of(kind string) (all int) {
	for key, count := range n {
		if key[1] == kind {
			all += count
		}
	}
	return all
}

// TestNumbers: after many crossings, and after a restart, ferry's metrics, `ferry plan` and the
// page have the numbers that Kratos itself has.
func TestNumbers(t *testing.T) {
	crossings := numbersCrossings
	if text := os.Getenv("FERRY_CROSSINGS"); text != "" {
		var err error
		if crossings, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	database := postgrestest.Run(t, postgrestest.Options{}).DSN()
	s := startOn(t, func(k *kratostest.Options) { k.DSN = database })
	s.crossAll(t, crossings)
	s.await(t, "the last migration", func() bool { return s.metric(t, "ferry_migrated_total") == float64(crossings) })
	for sample, want := range map[string]int{
		`ferry_hook_outcomes_total{outcome="match",route="password-migration"}`:    crossings,
		`ferry_hook_outcomes_total{outcome="mismatch",route="password-migration"}`: numbersOthers,
		`ferry_profiles_kept_total`: crossings,
		`ferry_profiles_queued`:     0,
	} {
		if got := s.metric(t, sample); got != float64(want) {
			t.Errorf("%s is %v, want %d", sample, got, want)
		}
	}
	if got := s.metric(t, `ferry_after_login_total{result="written"}`) + s.metric(t, `ferry_after_login_total{result="written_later"}`); got != float64(crossings) {
		t.Errorf("%v profiles are written, want %d", got, crossings)
	}
	want := s.ofKratos(t)
	if want.of("migrated") != crossings || want.of("pending") != numbersOthers {
		t.Fatalf("Kratos has %v", want)
	}
	dir := t.TempDir()
	s.compareNumbers(t, dir, want)

	// A restart, and one more user.
	if err := s.ferry.Stop(); err != nil {
		t.Fatal(err)
	}
	s.startFerry()
	p := s.person(t, from(users))
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	s.await(t, "the migration after the restart", func() bool { return s.metric(t, "ferry_migrated_total") == 1 })
	want[[2]string{users, "migrated"}]++
	if got := s.ofKratos(t); !maps.Equal(got, want) {
		t.Errorf("Kratos has %v, want %v", got, want)
	}
	s.compareNumbers(t, dir, want)
}

// crossAll creates the users, and has as many log in as cross; others type a wrong password.
func (s *stack) crossAll(t *testing.T, crossings int) {
	t.Helper()
	var cross, others []*person
	for i := range crossings + numbersOthers {
		connection := users
		if i%3 == 0 {
			connection = legacy
		}
		one := s.person(t, from(connection))
		if i < crossings {
			cross = append(cross, one)
		} else {
			others = append(others, one)
		}
	}
	s.neverPending(t)
	logIns, ctx := errgroup.WithContext(t.Context())
	logIns.SetLimit(numbersAtOnce)
	var once sync.Once
	for i, one := range append(cross, others...) {
		password, want := one.password, kratostest.SeesSession
		if i >= crossings {
			password, want = "wrong", kratostest.SeesInvalidCredentials
		}
		logIns.Go(func() error {
			got, err := s.kratos.LoginAPI(ctx, one.email, password)
			if err == nil && got.Sees() != want {
				err = errors.New(got.Sees())
			}
			if err != nil {
				once.Do(func() { t.Error(one.email, s.ferry.Logs()) })
			}
			return err
		})
	}
	if err := logIns.Wait(); err != nil {
		t.Fatal(err)
	}
}

// neverPending creates identities that no login migrates.
func (s *stack) neverPending(t *testing.T) {
	t.Helper()
	for i := range numbersOthers {
		inactive := kratostest.IdentitySpec{
			Traits: map[string]any{"email": fmt.Sprintf("inactive%d@example.org", i)}, State: "inactive", Pending: true,
			MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": fmt.Sprint("auth0|inactive", i), "connection": users}},
		}
		own := kratostest.IdentitySpec{Traits: map[string]any{"email": fmt.Sprintf("own%d@example.org", i)}, Password: "an-own-Passw0rd"}
		for _, spec := range []kratostest.IdentitySpec{inactive, own} {
			if _, err := s.kratos.CreateIdentity(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// from puts a user into a connection, which the identity records.
func from(connection string) func(*auth0sim.User, *kratostest.IdentitySpec) {
	return func(user *auth0sim.User, spec *kratostest.IdentitySpec) {
		user.Connection = connection
		spec.MetadataAdmin = map[string]any{"auth0": map[string]any{"user_id": user.ID, "connection": connection}}
	}
}

// compareNumbers starts a ferry that counts, and compares its metrics, its page and the plan with
// what Kratos has. The directory is that of the ferry before.
func (s *stack) compareNumbers(t *testing.T, dir string, want numbers) {
	t.Helper()
	env := s.settings([]string{"FERRY_COUNT_EVERY=1h", "FERRY_DATA_DIR=" + dir})
	counting, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	s.await(t, "a count", func() bool { return strings.Contains(counting.Logs(), "identities counted") })
	got := numbers{}
	for _, sample := range regexp.MustCompile(`(?m)^ferry_identities\{connection="(.*)",kind="(.*)"\} (\d+)$`).FindAllStringSubmatch(fetchText(t, counting.AdminURL()+"/metrics/prometheus"), -1) {
		if n, err := strconv.Atoi(sample[3]); err != nil || n > 0 {
			got[[2]string{sample[1], sample[2]}] = n
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the metrics have %v, Kratos has %v", got, want)
	}
	comparePage(t, fetchText(t, counting.AdminURL()+"/"), want)
	if err := counting.Stop(); err != nil {
		t.Error(err)
	}
	comparePlan(t, env, want)
}

// comparePage compares the page's large numbers, and its table of the connections.
func comparePage(t *testing.T, page string, want numbers) {
	t.Helper()
	for tile, number := range map[string]int{"migrated": want.of("migrated"), "waiting": want.of("pending")} {
		found := regexp.MustCompile(`id="tile-` + tile + `"><dt>[^<]*</dt><dd class="value">([^<]*)<`).FindStringSubmatch(page)
		if found == nil || digits(found[1]) != strconv.Itoa(number) {
			t.Errorf("the page has %v for %s, want %d", found, tile, number)
		}
	}
	for _, connection := range []string{users, legacy} {
		found := regexp.MustCompile(`(?s)<span class="name">` + connection + `</span>.*?<td class="number">([^<]*)</td><td class="number">([^<]*)</td>`).FindStringSubmatch(page)
		migrated, pending := want[[2]string{connection, "migrated"}], want[[2]string{connection, "pending"}]
		if found == nil || digits(found[1]) != strconv.Itoa(migrated) || digits(found[2]) != strconv.Itoa(pending) {
			t.Errorf("the page has %v for %s, want %d migrated and %d waiting", found, connection, migrated, pending)
		}
	}
}

// digits leaves out what separates thousands.
func digits(text string) string { return regexp.MustCompile(`\D`).ReplaceAllString(text, "") }

// comparePlan compares what `ferry plan` says.
func comparePlan(t *testing.T, env []string, want numbers) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built.Ferry(t), "plan", "--json")
	cmd.Env, cmd.Dir = env, t.TempDir()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ferry plan: %v\n%s", err, stderr.String())
	}
	var plan struct {
		Progress struct{ Identities, Migrated, Pending int }
		Blockers []struct {
			Kind        string
			Connections map[string]int
		}
	}
	if err := json.Unmarshal(out, &plan); err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, n := range want {
		all += n
	}
	if p := plan.Progress; p.Identities != all || p.Migrated != want.of("migrated") || p.Pending != want.of("pending") {
		t.Errorf("the plan has %+v, Kratos has %v", p, want)
	}
	for _, b := range plan.Blockers {
		for _, connection := range []string{users, legacy} {
			if n := b.Connections[connection]; b.Kind == "pending" && n != want[[2]string{connection, "pending"}] {
				t.Errorf("the plan has %d pending in %s, Kratos has %v", n, connection, want)
			}
		}
	}
}

// ofKratos counts the identities in what Kratos' admin API lists, without ferry's code.
func (s *stack) ofKratos(t *testing.T) numbers {
	t.Helper()
	all := numbers{}
	next := "/admin/identities?page_size=250&include_credential=password"
	for pages := 0; next != "" && pages < 100; pages++ {
		resp := fetch(t, s.kratos.AdminURL()+next)
		var list []struct {
			State         string
			MetadataAdmin struct {
				Auth0 struct {
					Connection string
					MigratedAt string `json:"migrated_at"`
				}
			} `json:"metadata_admin"`
			Credentials map[string]struct {
				Config struct {
					HashedPassword string `json:"hashed_password"`
					Hook           bool   `json:"use_password_migration_hook"`
				}
			}
		}
		err := json.NewDecoder(resp.Body).Decode(&list)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			connection, kind := one.MetadataAdmin.Auth0.Connection, "own_password"
			password := one.Credentials["password"].Config
			switch {
			case one.State != "active":
				kind = "inactive"
			case password.Hook:
				kind = "pending"
			case password.HashedPassword != "" && one.MetadataAdmin.Auth0.MigratedAt != "":
				kind = "migrated"
			}
			if connection == "" {
				connection = notFromAuth0
			}
			all[[2]string{connection, kind}]++
		}
		next = ""
		for _, link := range strings.Split(strings.Join(resp.Header.Values("Link"), ","), ",") {
			if target, found := strings.CutSuffix(strings.TrimSpace(link), `>; rel="next"`); found {
				next = target[strings.Index(target, "/admin/"):]
			}
		}
	}
	return all
}

// fetchText returns the body at an address.
func fetchText(t *testing.T, at string) string {
	t.Helper()
	resp := fetch(t, at)
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(at, resp.Status, err)
	}
	return string(body)
}

// fetch requests an address.
func fetch(t *testing.T, at string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
