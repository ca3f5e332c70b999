package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/kratostest"
	"ferry/wiring"
)

const (
	hookPath    = "/hooks/password-migration"
	callLimit   = 30 * time.Second // one request to any of the three
	portTries   = 3
	logTail     = 10 // lines that are shown of a program that ended
	portIsTaken = "address already in use"
)

var errPortTaken = errors.New("somebody else took ferry's port")

// stack is the three running programs. Each listens on free ports of 127.0.0.1,
// in a process group of its own.
type stack struct {
	sim     *simulator
	kratos  *kratostest.Kratos
	ferry   *ferrytest.Ferry
	hookKey string
	http    *http.Client
	// ferryLog passes ferry's log on, once it is open.
	ferryLog *gatedWriter
	// logWatch reads ferry's log.
	logWatch *logWatch
	built    string // folder of programs made for this run; empty: none
}

// startStack starts the three. The stack is never nil and must be stopped, error or not.
func startStack(ctx context.Context, stderr io.Writer, n *narrator) (*stack, error) {
	s := &stack{
		hookKey:  rand.Text() + rand.Text(), // 52 characters
		http:     &http.Client{Timeout: callLimit, Transport: &http.Transport{}},
		ferryLog: &gatedWriter{to: stderr},
		logWatch: newLogWatch(),
	}
	ferry, auth0, err := s.findPrograms(ctx, stderr)
	if err != nil {
		return s, err
	}
	kratos, err := kratostest.Binary(ctx, stderr)
	if err != nil {
		return s, err
	}
	n.opening()
	started := time.Now()
	if s.sim, err = startSimulator(ctx, auth0, s.http); err != nil {
		return s, err
	}
	for try := 1; ; try++ {
		err = s.startPair(ctx, kratos, ferry)
		if !errors.Is(err, errPortTaken) || try == portTries {
			break
		}
	}
	if err != nil {
		return s, err
	}
	n.printf("The simulator, Kratos and ferry are up, after %.1f s.\n", time.Since(started).Seconds())
	return s, n.err
}

// startPair starts Kratos and ferry. Each must be told where the other is, so ferry's
// port is chosen first and held until ferry is about to take it. Where somebody was
// faster the error is errPortTaken, and Kratos, which knows a wrong port, is gone.
func (s *stack) startPair(ctx context.Context, kratos, ferry string) error {
	held, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("choose ferry's port: %w", err)
	}
	address := held.Addr().String()
	s.kratos, err = kratostest.Start(ctx, kratostest.Options{
		Binary:         kratos,
		HookURL:        "http://" + address + hookPath,
		AfterLoginURL:  "http://" + address + "/hooks/after-login",
		HookKey:        s.hookKey,
		MigrateJsonnet: wiring.MigrateJsonnet(""),
	})
	if err := errors.Join(err, held.Close()); err != nil {
		return err
	}
	s.ferry, err = ferrytest.Start(ctx, ferrytest.Options{Binary: ferry, Env: s.settings(address), Output: io.MultiWriter(s.ferryLog, s.logWatch)})
	if err != nil && strings.Contains(err.Error(), portIsTaken) {
		err = errors.Join(errPortTaken, err, s.kratos.Stop())
		s.kratos = nil
	}
	return err
}

// settings are ferry's, as an operator would set them.
func (s *stack) settings(address string) []string {
	return []string{
		"FERRY_LISTEN=" + address,
		"FERRY_ADMIN_LISTEN=127.0.0.1:0",
		"FERRY_HOOK_KEYS=" + s.hookKey,
		"FERRY_AUTH0_DOMAIN=" + auth0sim.DefaultDomain,
		"FERRY_AUTH0_BASE_URL=" + s.sim.url,
		"FERRY_AUTH0_CLIENT_ID=" + auth0sim.DemoClientID,
		"FERRY_AUTH0_CLIENT_SECRET=" + auth0sim.DemoClientSecret,
		"FERRY_AUTH0_REALMS=" + auth0sim.DemoConnection,
		"FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL(),
	}
}

// stop stops the running programs, ferry first, so that it can reach Auth0 and Kratos to
// the end. It fails if a program had ended by itself.
func (s *stack) stop() error {
	var errs []error
	if s.ferry != nil {
		errs = append(errs, s.ferry.Stop())
	}
	if s.kratos != nil {
		errs = append(errs, s.kratos.Stop())
	}
	if s.sim != nil {
		errs = append(errs, s.sim.stop())
	}
	s.http.CloseIdleConnections()
	if s.built != "" {
		errs = append(errs, os.RemoveAll(s.built))
	}
	return errors.Join(errs...)
}

// awaitEnd returns nil when ctx ends, and names the program that ended before.
func (s *stack) awaitEnd(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.ferry.Done():
		return errors.New("ferry ended by itself")
	case <-s.kratos.Done():
		return errors.New("kratos ended by itself")
	case <-s.sim.process.Done():
		return errors.New("the simulator ended by itself")
	}
}

// gatedWriter discards what is written to it until it is open.
type gatedWriter struct {
	open atomic.Bool
	to   io.Writer
}

func (c *gatedWriter) Write(p []byte) (int, error) {
	if !c.open.Load() {
		return len(p), nil
	}
	return c.to.Write(p)
}

func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-logTail):], "\n")
}
