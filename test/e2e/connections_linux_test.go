package e2e

import (
	"fmt"
	"os"
	"testing"

	"ferry/test/kratostest"
)

// TestConnections: logins do not leak connections in Kratos, in either mode of the
// after-login hook. Kratos 25.4 to 26.2 never close a response body that they do not
// read.
func TestConnections(t *testing.T) {
	for name, edit := range map[string]func(map[string]any){"ignore": nil, "parse": parse} {
		t.Run(name, func(t *testing.T) { testConnections(t, startWith(t, edit)) })
	}
}

func testConnections(t *testing.T, s *stack) {
	t.Helper()
	cross := func() *person { // writes the profile; in parse mode the answer shows it
		p := s.profiled(t, nil)
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
		p.arrived(t, marked)
		return p
	}
	p := cross()
	for range 4 { // warm up: Kratos opens its database connections
		cross()
	}
	connections, files := s.tap.connections.Load(), descriptors(t, s.kratos.Pid())
	for range 10 {
		cross()
	}
	for range 30 {
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
	}
	if n := s.tap.connections.Load() - connections; n > 4 {
		t.Errorf("40 logins made %d connections", n)
	}
	if n := descriptors(t, s.kratos.Pid()) - files; n > 12 {
		t.Errorf("40 logins left %d descriptors open in Kratos", n)
	}
}

// TestConnectionsOfABadKey: calls with a refused key do not leak connections either.
func TestConnectionsOfABadKey(t *testing.T) {
	s := startWith(t, func(config map[string]any) {
		afterLoginHook(config)["auth"].(map[string]any)["config"].(map[string]any)["value"] = "Bearer no-key-of-ferrys-0123456789-0123456789"
	})
	p := s.person(t, nil)
	refused := func() float64 {
		return s.metric(t, `ferry_hook_caller_faults_total{route="after-login",status="401"}`)
	}
	connections := int64(0)
	const logins = 20
	for i := range logins {
		if got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password); err != nil || got.Sees() != kratostest.SeesSession {
			t.Fatalf("%s, %v", got.Sees(), err)
		}
		s.await(t, "the hook", func() bool { return refused() == float64(i+1) })
		if i == 0 {
			connections = s.tap.connections.Load()
		}
	}
	if n := s.tap.connections.Load() - connections; n > 4 {
		t.Errorf("%d logins made %d connections", logins, n)
	}
}

// descriptors counts the open file descriptors of a process.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
