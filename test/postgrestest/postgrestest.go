// Package postgrestest runs a real PostgreSQL for the tests, on 127.0.0.1, with its data in
// a temporary directory and without durability. The programs come from the distribution's
// package postgresql. Root runs them as the user postgres, which that package creates,
// because PostgreSQL refuses to run as root.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"ferry/test/process"
)

const (
	account   = "postgres" // of the system, and of the database
	startWait = 30 * time.Second
	stopWait  = 10 * time.Second
	poll      = 5 * time.Millisecond
	ports     = 5 // how many ports to try, as another program may take one first
)

// Options say how PostgreSQL runs.
type Options struct {
	// Output receives what its programs print.
	Output io.Writer
}

// Server is a PostgreSQL that was started.
type Server struct {
	dir     string
	port    int
	process *process.Process
}

// Run starts a PostgreSQL that lasts as long as the test.
func Run(tb testing.TB, opts Options) *Server {
	tb.Helper()
	s, err := Start(tb.Context(), opts)
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

// Start returns when PostgreSQL accepts connections. ctx bounds the start only.
func Start(ctx context.Context, opts Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	// Not the directory of a test: the user postgres has no access to that of root.
	dir, err := os.MkdirTemp("", "postgrestest-")
	if err != nil {
		return nil, fmt.Errorf("postgrestest: %w", err)
	}
	s := &Server{dir: dir}
	if err := s.start(ctx, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("postgrestest: %w", err), os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, opts Options) error {
	programs, err := findPrograms()
	if err != nil {
		return err
	}
	owner, err := ownerOf(s.dir)
	if err != nil {
		return err
	}
	log := &process.Log{Tee: opts.Output}
	command := func(name string, args ...string) process.Command {
		return process.Command{Path: filepath.Join(programs, name), Args: args, Env: []string{"LC_ALL=C", "TZ=UTC"}, Dir: s.dir, Output: log, User: owner}
	}
	if err := command("initdb", "-D", s.data(), "-U", account, "-A", "trust", "-E", "UTF8", "--no-sync").Run(ctx); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, log.Tail(20))
	}
	var faults error
	for range ports {
		free, err := process.FreePorts(ctx, 1)
		if err != nil {
			return err
		}
		s.port = free[0]
		log = &process.Log{Tee: opts.Output}
		err = s.serve(ctx, command("postgres", s.settings()...), log)
		if err == nil || !errors.Is(err, errPortTaken) {
			return err
		}
		faults = errors.Join(faults, err)
	}
	return faults
}

var errPortTaken = errors.New("the port is taken")

// serve starts the server and waits until it accepts connections.
func (s *Server) serve(ctx context.Context, command process.Command, log *process.Log) error {
	p, err := command.Start(ctx)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for !log.Contains("database system is ready to accept connections") {
		select {
		case <-ticker.C:
		case <-p.Done():
			if log.Contains("Address already in use") {
				return fmt.Errorf("%w:\n%s", errPortTaken, log.Tail(5))
			}
			return fmt.Errorf("postgres ended at once:\n%s", log.Tail(20))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("postgres is not ready: %w\n%s", ctx.Err(), log.Tail(20)), p.Stop(0))
		}
	}
	s.process = p
	return nil
}

// settings are the arguments of the server. Its data need not survive a crash of the machine.
func (s *Server) settings() []string {
	args := []string{"-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port)}
	for _, setting := range []string{
		"unix_socket_directories=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=50", "shared_buffers=64MB",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// DSN is the address of its database in the form of Kratos' setting dsn.
func (s *Server) DSN() string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable&max_conns=20&max_idle_conns=8", account, s.port)
}

// Pid is the process id of the server.
func (s *Server) Pid() int { return s.process.Pid() }

// Stop ends PostgreSQL and removes its data. It can be called again. It waits for clients
// to disconnect, then kills the server.
func (s *Server) Stop() error {
	if err := errors.Join(s.process.Stop(stopWait), os.RemoveAll(s.dir)); err != nil {
		return fmt.Errorf("postgrestest: %w", err)
	}
	return nil
}

// findPrograms returns the directory of initdb and postgres. Debian has them for each
// version in a directory that is not on the PATH.
func findPrograms() (string, error) {
	places, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if found, err := exec.LookPath("postgres"); err == nil {
		places = append(places, found)
	}
	for i := range places {
		path, err := filepath.EvalSymlinks(places[len(places)-1-i]) // the latest version first
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "initdb")); err == nil {
			return filepath.Dir(path), nil
		}
	}
	return "", errors.New("there are no initdb and postgres (the distribution's package postgresql has them)")
}

// ownerOf returns the user that owns the directory and runs the programs: postgres, to whom
// it gives the directory, for root; nil, the caller, for everyone else.
func ownerOf(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // the caller
	}
	found, err := user.Lookup(account)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w (the distribution's package postgresql creates it)", err)
	}
	uid, errUID := strconv.ParseUint(found.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(found.Gid, 10, 32)
	if err := errors.Join(errUID, errGID, os.Chown(dir, int(uid), int(gid))); err != nil {
		return nil, fmt.Errorf("give the data to the user %s: %w", account, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
