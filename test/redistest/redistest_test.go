package redistest_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/test/process"
	"ferry/test/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// say sends inline commands and returns the first line of each answer.
func say(t *testing.T, s *redistest.Server, words ...string) []string {
	t.Helper()
	var conn net.Conn
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		return []string{err.Error()}
	}
	defer conn.Close()
	if s.RootCAs() != nil {
		conn = tls.Client(conn, &tls.Config{RootCAs: s.RootCAs(), ServerName: "127.0.0.1"})
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var answers []string
	lines := bufio.NewScanner(conn)
	for _, line := range words {
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil || !lines.Scan() {
			t.Fatalf("%s: %v, %v", line, err, lines.Err())
		}
		answers = append(answers, lines.Text())
	}
	return answers
}

func TestPlain(t *testing.T) {
	t.Parallel()
	var log process.Log
	s := redistest.Run(t, redistest.Options{Output: &log})
	if got := say(t, s, "PING", "SET a b"); got[0] != "+PONG" || got[1] != "+OK" || s.RootCAs() != nil {
		t.Errorf("got %v", got)
	}
	if s.URL() != "redis://"+s.Addr() || !log.Contains("Ready to accept") || s.Pid() == 0 {
		t.Errorf("url %s", s.URL())
	}
	if err := s.Restart(t.Context()); err == nil {
		t.Error("started twice")
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if got := say(t, s, "PING"); !strings.Contains(got[0], "refused") {
		t.Errorf("got %v", got)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := say(t, s, "EXISTS a"); got[0] != ":0" {
		t.Errorf("data was kept: %v", got)
	}
}

// TestClock: the clock of Redis can be wrong, and change at once.
func TestClock(t *testing.T) {
	t.Parallel()
	s := redistest.Run(t, redistest.Options{Clock: true})
	for _, wrongBy := range []time.Duration{0, 400 * 24 * time.Hour, -time.Hour} {
		if err := s.SetClock(wrongBy); err != nil {
			t.Fatal(err)
		}
		var seconds int64
		if _, err := fmt.Sscanf(say(t, s, `EVAL "return tonumber(redis.call('TIME')[1])" 0`)[0], ":%d", &seconds); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(time.Unix(seconds, 0).Add(-wrongBy)); off.Abs() > time.Minute {
			t.Errorf("the clock that is to be wrong by %v is off by %v more", wrongBy, off)
		}
	}
	if err := s.SetClock(0); err != nil {
		t.Fatal(err)
	}
	say(t, s, "SET a b PX 60000")
	if err := s.SetClock(-time.Hour); err != nil {
		t.Fatal(err)
	}
	var left int64
	if _, err := fmt.Sscanf(say(t, s, "TTL a")[0], ":%d", &left); err != nil || left < 3600 {
		t.Errorf("after the clock was put back, a key lives for %d s, %v", left, err)
	}
}

func TestTLSAndUser(t *testing.T) {
	t.Parallel()
	s := redistest.Run(t, redistest.Options{TLS: true, User: "ferry", Password: "se:cret", Rules: "~a +get"})
	got := say(t, s, "GET a", "AUTH ferry wrong", "AUTH ferry se:cret", "GET a", "SET a b")
	for i, want := range []string{"-NOAUTH", "-WRONGPASS", "+OK", "$-1", "-NOPERM"} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("answer %d: %q, want %s", i, got[i], want)
		}
	}
	if want := "rediss://ferry:se%3Acret@" + s.Addr(); s.URL() != want {
		t.Errorf("url %s, want %s", s.URL(), want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]redistest.Options{
		"a user without a password": {User: "ferry"},
		"a password without a user": {Password: "secret"},
		"a blank":                   {User: "ferry", Password: "two words"},
		"invalid rules":             {User: "ferry", Password: "secret", Rules: "+nonsense"},
	} {
		if _, err := redistest.Start(t.Context(), t.TempDir(), opts); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}
