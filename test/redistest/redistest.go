// Package redistest runs a real redis-server for the tests and the demo, on 127.0.0.1,
// without persistence, optionally with TLS and an ACL user. The program comes from the
// distribution's package redis-server.
package redistest

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferry/test/process"
)

const (
	startWait = 20 * time.Second
	stopWait  = 10 * time.Second
	poll      = 5 * time.Millisecond
	ports     = 5 // how many ports to try, as another program may take one first
)

// Options say how Redis runs. The zero value is a Redis without TLS and passwords.
type Options struct {
	// TLS makes Redis accept only TLS, with a certificate made for this run.
	TLS bool
	// User and Password define the only ACL user. Without them, every client may run every
	// command. A User needs a Password.
	User, Password string
	// Rules are the permissions of User in the syntax of ACL SETUSER; empty means all.
	Rules string
	// Clock makes it possible to set a wrong clock. Linux only.
	Clock bool
	// Output receives what Redis prints.
	Output io.Writer
}

// Server is a Redis that was started.
type Server struct {
	opts    Options
	dir     string
	port    int
	ca      *x509.CertPool
	process *process.Process
}

// Run starts a Redis that lasts as long as the test.
func Run(tb testing.TB, opts Options) *Server {
	tb.Helper()
	s, err := Start(tb.Context(), tb.TempDir(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Start returns when Redis accepts connections. ctx bounds the start only. The caller
// removes dir, which gets the settings, including the password, and the certificate.
func Start(ctx context.Context, dir string, opts Options) (*Server, error) {
	if (opts.User == "") != (opts.Password == "") || strings.ContainsAny(opts.User+opts.Password, " \t\n\"") {
		return nil, errors.New("redistest: user and password go together, and hold no blanks or quotes")
	}
	s := &Server{opts: opts, dir: dir}
	if opts.TLS {
		var err error
		if s.ca, err = writeCertificate(s.CAFile(), s.keyFile()); err != nil {
			return nil, fmt.Errorf("redistest: make certificate: %w", err)
		}
	}
	if opts.Clock {
		if err := s.prepareClock(ctx); err != nil {
			return nil, err
		}
	}
	var faults error
	for range ports {
		free, err := process.FreePorts(ctx, 1)
		if err != nil {
			return nil, fmt.Errorf("redistest: %w", err)
		}
		s.port = free[0]
		if err = s.Restart(ctx); err == nil {
			return s, nil
		}
		faults = errors.Join(faults, err)
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	return nil, faults
}

var errPortTaken = errors.New("the port is taken")

// Restart starts a stopped Redis on the same address, empty.
func (s *Server) Restart(ctx context.Context) error {
	if s.process != nil && !s.process.Exited() {
		return errors.New("redistest: still running")
	}
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redistest: %w (the distribution's package redis-server has it)", err)
	}
	file := filepath.Join(s.dir, "redis.conf")
	if err := os.WriteFile(file, []byte(s.settings()), 0o600); err != nil {
		return fmt.Errorf("redistest: write settings: %w", err)
	}
	log := &process.Log{Tee: s.opts.Output}
	p, err := process.Command{Path: binary, Args: []string{file}, Env: s.clockEnv(), Dir: s.dir, Output: log}.Start(ctx)
	if err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	s.process = p
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for !log.Contains("Ready to accept connections") {
		select {
		case <-ticker.C:
		case <-p.Done():
			if log.Contains("Address already in use") {
				return fmt.Errorf("redistest: %w:\n%s", errPortTaken, log.Tail(5))
			}
			return fmt.Errorf("redistest: redis-server ended at once:\n%s", log.Tail(20))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("redistest: redis-server is not ready: %w\n%s", ctx.Err(), log.Tail(20)), p.Stop(0))
		}
	}
	return nil
}

// settings is redis.conf. Protected mode is off because there is a default user
// without a password; Redis listens on loopback only.
func (s *Server) settings() string {
	plain, secure := s.port, 0
	if s.opts.TLS {
		plain, secure = 0, s.port
	}
	lines := []string{
		"bind 127.0.0.1", "port " + strconv.Itoa(plain), "protected-mode no", "daemonize no",
		`save ""`, "appendonly no", "dir " + strconv.Quote(s.dir),
	}
	if s.opts.TLS {
		lines = append(lines, "tls-port "+strconv.Itoa(secure), "tls-auth-clients no",
			"tls-cert-file "+strconv.Quote(s.CAFile()), "tls-key-file "+strconv.Quote(s.keyFile()))
	}
	if s.opts.User != "" {
		rules := s.opts.Rules
		if rules == "" {
			rules = "~* &* +@all"
		}
		lines = append(lines, "user default off", "user "+s.opts.User+" on >"+s.opts.Password+" "+rules)
	}
	return strings.Join(lines, "\n") + "\n"
}

// URL returns its address, redis:// or rediss://, with user and password.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr()}
	if s.opts.TLS {
		u.Scheme = "rediss"
	}
	if s.opts.User != "" {
		u.User = url.UserPassword(s.opts.User, s.opts.Password)
	}
	return u.String()
}

// Addr is host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// RootCAs trusts the certificate of a Redis with TLS; it is nil without TLS.
func (s *Server) RootCAs() *x509.CertPool { return s.ca }

// CAFile is that certificate as PEM, for a program's SSL_CERT_FILE.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "redis.crt") }

func (s *Server) keyFile() string { return filepath.Join(s.dir, "redis.key") }

// Pid is the process id of redis-server.
func (s *Server) Pid() int { return s.process.Pid() }

// Stop ends Redis and deletes its data. It can be called again. A Redis that does not
// end on SIGTERM is killed.
func (s *Server) Stop() error {
	if err := s.process.Stop(stopWait); err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	return nil
}
