package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/recording"
	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/wire"
	"ferry/wiring"
)

// TestRecording records what the real Kratos calls. Logins work as without it, and
// only the owner of the private key can read user data in the recording.
func TestRecording(t *testing.T) {
	public, private, err := recording.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "recordings")
	settings := []string{
		"FERRY_RECORD_DIR=" + dir, "FERRY_RECORD_KEY=" + recording.FormatKey(public), "FERRY_LOG_HASH_KEY=" + strings.Repeat("canary-hash-key-", 3),
	}
	s := start(t, settings...)
	mfa := s.person(t, func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.MFA = true })
	other := s.person(t, func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
		i.MetadataAdmin = map[string]any{"auth0": map[string]any{"user_id": "auth0|somebody-else"}}
	})
	p := s.person(t, nil)
	typed := "  " + strings.ToUpper(p.email) + " "
	p.check(t, s.kratos.LoginAPI, typed, p.password+"x", expect{kratostest.SeesInvalidCredentials, 1, 1, false})
	p.check(t, s.kratos.LoginBrowser, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	mfa.check(t, s.kratos.LoginAPI, mfa.email, mfa.password, expect{kratostest.SeesInvalidCredentials, 1, 1, false})
	other.check(t, s.kratos.LoginSPA, other.email, other.password, expect{kratostest.SeesInvalidCredentials, 1, 1, false})
	s.callHook(t, p.email, p.password, "Authorization", "Bearer canary-wrong-key-0123456789-0123456789")
	s.checkSilence(t)
	p.arrived(t, marked) // Kratos does not wait for the after-login hook
	if err := s.ferry.Stop(); err != nil {
		t.Fatal(err)
	}
	lines := recorded(t, dir)
	for _, want := range []struct {
		outcome, identifier, password string
		status, calls                 int
	}{
		{"mismatch", typed, p.password + "x", 403, 1},
		{"match", "", "", 200, 1},
		{"mfa_required", mfa.email, "", 403, 1},
		{"subject_mismatch", other.email, "", 403, 1},
		{recording.OutcomeCaller, "", "", 401, 1},
	} {
		of := slices.DeleteFunc(slices.Clone(lines), func(l recording.Record) bool { return l.Outcome != want.outcome })
		if len(of) != want.calls || of[0].Status != want.status || of[0].Route != wire.RouteMigration {
			t.Errorf("%s: %+v", want.outcome, of)
			continue
		}
		var identifier, password string
		if of[0].Sealed != "" {
			if identifier, password, err = recording.Open(of[0].Sealed, private); err != nil {
				t.Errorf("%s: %v", want.outcome, err)
			}
		}
		if identifier != want.identifier || password != want.password {
			t.Errorf("%s: sealed are %q and %q", want.outcome, identifier, password)
		}
	}
	if !slices.ContainsFunc(lines, func(l recording.Record) bool {
		return l.Route == wire.RouteAfterLogin && l.IdentityID == p.identity && l.Sealed == "" && l.Body != nil
	}) {
		t.Error("the hook after the login is not recorded")
	}
	s.startFerry(settings...)
	t.Run("the disk is lost", func(t *testing.T) { testDiskLost(t, s, dir) })
}

// recorded returns all lines of a directory and checks that no user data is in clear
// text.
func recorded(t *testing.T, dir string) (lines []recording.Record) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "ferry-*.ndjson"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		scanner := bufio.NewScanner(bytes.NewReader(text))
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			var line recording.Record
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
			open := strings.ToLower(strings.Replace(scanner.Text(), line.Sealed, "", 1))
			for _, word := range []string{"canary", "eyj", "bearer", "auth0|", "example.org", "127.0.0.1"} {
				if strings.Contains(open, word) {
					t.Errorf("%q is in the recording: %s", word, scanner.Text())
				}
			}
		}
	}
	return lines
}

// testDiskLost: logins still work when the recording cannot be written.
func testDiskLost(t *testing.T, s *stack, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p := s.person(t, nil)
		p.check(t, s.kratos.LoginAPI, p.email, p.password+"x", expect{kratostest.SeesInvalidCredentials, 1, 1, false})
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	}
	const stopped = "recording stopped"
	s.await(t, "the metric of the stopped recording", func() bool { return s.metric(t, "ferry_recording_stopped") == 1 })
	if n := strings.Count(s.ferry.Logs(), stopped); n != 1 {
		t.Errorf("%q is %d times in the log: %s", stopped, n, s.ferry.Logs())
	}
}

// BenchmarkRecording measures what recording adds to a login: the same failed login,
// the most expensive to record, through the real Kratos and the simulator, alternating
// between a ferry that records and one that does not. One round is 500 logins each;
// -benchtime=20x makes a recording of 10,000. It reports the medians and the
// difference.
func BenchmarkRecording(b *testing.B) {
	public, _, err := recording.GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	front := &turns{}
	srv := httptest.NewServer(front)
	b.Cleanup(srv.Close)
	limits := auth0sim.RelaxedSettings()
	sim := auth0sim.Run(b, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		DefaultDirectory: users, Connections: []auth0sim.Connection{{Name: users}}, Apps: []auth0sim.App{{ClientID: clientID, ClientSecret: clientSecret}},
	}})
	kratos := kratostest.Run(b, kratostest.Options{
		HookURL: srv.URL + wire.MigrationPath, AfterLoginURL: srv.URL + wire.AfterLoginPath, HookKey: hookKey,
		MigrateJsonnet: wiring.MigrateJsonnet("X-Forwarded-For"),
	})
	if _, err := kratos.CreateIdentity(b.Context(), kratostest.IdentitySpec{
		Traits: map[string]any{"email": "canary@example.org"}, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|1"}}, Pending: true,
	}); err != nil {
		b.Fatal(err)
	}
	for i, settings := range [][]string{nil, {"FERRY_RECORD_DIR=" + filepath.Join(b.TempDir(), "r"), "FERRY_RECORD_KEY=" + recording.FormatKey(public)}} {
		front.to[i] = benchFerry(b, sim, kratos, settings...)
	}
	var took [2][]time.Duration
	for b.Loop() {
		for i := range 1000 {
			which := (i + i/2) % 2 // 0 1 1 0: alternate which is first
			front.turn.Store(int32(which))
			began := time.Now()
			got, err := kratos.LoginAPI(b.Context(), "canary@example.org", "wrong")
			took[which] = append(took[which], time.Since(began))
			if err != nil || got.Sees() != kratostest.SeesInvalidCredentials {
				b.Fatalf("%s, %v", got.Sees(), err)
			}
		}
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	without, with := took[0][len(took[0])/2], took[1][len(took[1])/2]
	b.ReportMetric(float64(without.Microseconds()), "p50-µs")
	b.ReportMetric(float64(with.Microseconds()), "recorded-p50-µs")
	b.ReportMetric(100*(float64(with)/float64(without)-1), "%more")
}

// benchFerry starts a ferry and returns a proxy to it.
func benchFerry(b *testing.B, sim *auth0sim.Server, kratos *kratostest.Kratos, settings ...string) *httputil.ReverseProxy {
	b.Helper()
	target, err := url.Parse(startBenchFerry(b, sim, kratos, settings...).HooksURL())
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = transport
	return proxy
}

// startBenchFerry starts a ferry.
func startBenchFerry(b *testing.B, sim *auth0sim.Server, kratos *kratostest.Kratos, settings ...string) *ferrytest.Ferry {
	b.Helper()
	ferry, err := ferrytest.Start(b.Context(), ferrytest.Options{Binary: built.Ferry(b), Env: append([]string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey, "FERRY_AUTH0_DOMAIN=" + sim.Domain(),
		"FERRY_AUTH0_BASE_URL=" + sim.URL(), "FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientSecret,
		"FERRY_KRATOS_ADMIN_URL=" + kratos.AdminURL(),
	}, settings...)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := ferry.Stop(); err != nil {
			b.Error(err)
		}
	})
	return ferry
}

// turns forwards calls to one of two ferry processes.
type turns struct {
	to   [2]*httputil.ReverseProxy
	turn atomic.Int32
}

func (t *turns) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.to[t.turn.Load()].ServeHTTP(w, r)
}
