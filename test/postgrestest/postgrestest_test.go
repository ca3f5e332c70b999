package postgrestest_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"ferry/test/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStop: a PostgreSQL accepts connections until Stop, which leaves no process behind.
func TestStop(t *testing.T) {
	s := postgrestest.Run(t, postgrestest.Options{})
	_, address, _ := strings.Cut(s.DSN(), "@")
	address, _, _ = strings.Cut(address, "/")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	if err := syscall.Kill(s.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is there: %v", err)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
		t.Error(fmt.Errorf("it still listens: %w", conn.Close()))
	}
}
