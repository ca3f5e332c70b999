package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/kratostest"
)

// await waits until done reports true, for a limited time.
func (s *stack) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !await.True(done) {
		t.Fatalf("timeout waiting for %s; ferry: %s", what, s.ferry.Logs())
	}
}

// metric returns the value of one sample, 0 if it does not exist.
func (s *stack) metric(t *testing.T, sample string) float64 {
	t.Helper()
	for line := range strings.Lines(s.get(t, "/metrics/prometheus")) {
		if text, found := strings.CutPrefix(line, sample+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	return 0
}

// namesDeliveries reports whether this Kratos sends a delivery id (25.4 and later).
func (s *stack) namesDeliveries(t *testing.T) bool {
	t.Helper()
	version, err := s.kratos.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return !strings.HasPrefix(version, "v1.")
}

// TestDrain: SIGHUP does not stop ferry, and SIGTERM stops it once the login in progress is
// answered.
func TestDrain(t *testing.T) {
	s := start(t)
	p := s.person(t, nil)
	id, err := s.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Minute, Times: 1})
	if err != nil {
		t.Fatal(err)
	}
	before := s.attempts()
	sees := make(chan string, 1)
	go func() {
		got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
		if err != nil {
			t.Error(err)
		}
		sees <- got.Sees()
	}()
	s.await(t, "the login", func() bool { return s.attempts() == before+1 })
	if err := syscall.Kill(s.ferry.Pid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.await(t, "the signal", func() bool { return strings.Contains(s.ferry.Logs(), "there is no mode file to read") })
	if strings.Contains(s.ferry.Logs(), `"msg":"draining"`) {
		t.Error("SIGHUP stops ferry")
	}
	if err := syscall.Kill(s.ferry.Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await(t, "the drain", func() bool { return strings.Contains(s.ferry.Logs(), `"msg":"draining"`) })
	if err := errors.Join(s.sim.ClearFault(id)); err != nil {
		t.Fatal(err)
	}
	if got := <-sees; got != kratostest.SeesSession {
		t.Errorf("the login in progress sees %q", got)
	}
	<-s.ferry.Done()
	if err := s.ferry.Stop(); err != nil || !strings.Contains(s.ferry.Logs(), `"msg":"stopped"`) {
		t.Errorf("ferry ended with %v", err)
	}
}

// TestRedisThatWasNeverThere: without Redis, ferry starts, is ready and answers
// logins. It logs the failure once and counts every check.
func TestRedisThatWasNeverThere(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := taken.Addr().String()
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	s := start(t, "FERRY_STATE_URL=redis://"+address, "FERRY_STATE_KEY="+stateKey)
	s.get(t, "/health/ready")
	p := s.person(t, nil)
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	s.await(t, "two looks", func() bool { return s.metric(t, `ferry_state_looks_total{result="failed"}`) >= 2 })
	if n := strings.Count(s.ferry.Logs(), `"msg":"redis does not answer`); n != 1 {
		t.Errorf("logged %d times: %s", n, s.ferry.Logs())
	}
	if up := s.metric(t, "ferry_state_up"); up != 0 || !strings.Contains(s.get(t, "/metrics/prometheus"), "ferry_state_up 0") {
		t.Errorf("up: %v", up)
	}
}

// TestManyUnauthenticatedCalls: calls with a wrong key are all counted but do not fill
// the log.
func TestManyUnauthenticatedCalls(t *testing.T) {
	s := start(t)
	const calls = 200
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for i := range calls {
		path := []string{"/hooks/password-migration", "/hooks/after-login"}[i%2]
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.ferry.HooksURL()+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer no-key-of-ferrys")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("answered %s", resp.Status)
		}
	}
	counted := 0.0
	for _, route := range []string{"password-migration", "after-login"} {
		counted += s.metric(t, fmt.Sprintf(`ferry_hook_caller_faults_total{route=%q,status="401"}`, route))
	}
	lines := strings.Count(s.ferry.Logs(), `"outcome":"caller"`)
	if counted != calls || lines == 0 || lines > calls/2 {
		t.Errorf("%v counted, %d logged", counted, lines)
	}
}
