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
	"ferry/test/hydratest"
	"ferry/test/kratostest"
	"ferry/wire"
	"ferry/wiring"
)

const (
	callLimit   = 30 * time.Second // for one request
	portTries   = 3
	logTail     = 10 // printed lines of the log of a program that ended
	portIsTaken = "address already in use"
)

var errPortTaken = errors.New("another program took ferry's port")

// stack is the four running programs. Each has its own process group and listens on free
// ports of 127.0.0.1.
type stack struct {
	sim     *simulator
	kratos  *kratostest.Kratos
	hydra   *hydratest.Hydra
	ferry   *ferrytest.Ferry
	mail    *kratostest.Mailbox
	hookKey string
	http    *http.Client
	// ferryLog prints ferry's log once it is open.
	ferryLog *gatedWriter
	// logWatch reads ferry's log.
	logWatch *logWatch
	built    string // folder of programs built for this run, or empty
	data     string // FERRY_DATA_DIR
}

// startStack starts the programs. The stack is never nil, and must be stopped even after
// an error.
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
	hydra, err := hydratest.Binary(ctx, stderr)
	if err != nil {
		return s, err
	}
	if s.data, err = os.MkdirTemp("", "ferry-demo-data-"); err != nil {
		return s, fmt.Errorf("make a folder for ferry: %w", err)
	}
	n.opening()
	started := time.Now()
	if s.sim, err = startSimulator(ctx, auth0, s.http); err != nil {
		return s, err
	}
	if s.mail, err = kratostest.OpenMailbox(ctx); err != nil {
		return s, err
	}
	for try := 1; ; try++ {
		err = s.startAround(ctx, kratos, hydra, ferry)
		if !errors.Is(err, errPortTaken) || try == portTries {
			break
		}
	}
	if err != nil {
		return s, err
	}
	n.printf("The simulator, Kratos, Hydra and ferry are up, after %.1f s.\n", time.Since(started).Seconds())
	return s, n.err
}

// startAround starts Kratos, Hydra and ferry. Each needs ferry's addresses, so ferry's ports are
// chosen first and held until ferry starts. If another program took one, the error is
// errPortTaken, and Kratos and Hydra, which have the wrong ports, are stopped.
func (s *stack) startAround(ctx context.Context, kratos, hydra, ferry string) error {
	held, err := holdPorts(ctx)
	if err != nil {
		return err
	}
	err = s.startOthers(ctx, kratos, hydra, held)
	if err := errors.Join(err, held.close()); err != nil {
		return err
	}
	s.ferry, err = ferrytest.Start(ctx, ferrytest.Options{Binary: ferry, Env: s.settings(held), Output: io.MultiWriter(s.ferryLog, s.logWatch)})
	if err != nil && strings.Contains(err.Error(), portIsTaken) {
		err = errors.Join(errPortTaken, err, s.kratos.Stop(), s.hydra.Stop())
		s.kratos, s.hydra = nil, nil
	}
	return err
}

// startOthers starts Kratos and Hydra.
func (s *stack) startOthers(ctx context.Context, kratos, hydra string, held heldPorts) error {
	if err := s.sim.control.SetTenant(ctx, *gatewayTenant("http://" + held.gateway())); err != nil {
		return err
	}
	var err error
	s.kratos, err = kratostest.Start(ctx, kratostest.Options{
		Binary:         kratos,
		HookURL:        "http://" + held.hooks() + wire.MigrationPath,
		AfterLoginURL:  "http://" + held.hooks() + wire.AfterLoginPath,
		HookKey:        s.hookKey,
		MigrateJsonnet: wiring.MigrateJsonnet(""),
		UsersURL:       "http://" + held.gateway(),
		Mailbox:        s.mail,
		Edit:           s.addBridge,
	})
	if err != nil {
		return err
	}
	if s.hydra, err = hydratest.Start(ctx, hydratest.Options{Binary: hydra, Issuer: "http://" + held.tokens() + "/"}); err != nil {
		return err
	}
	return s.importNotes(ctx)
}

// heldPorts are the listeners that hold ferry's ports.
type heldPorts [3]net.Listener

func holdPorts(ctx context.Context) (heldPorts, error) {
	var held heldPorts
	for i := range held {
		var err error
		if held[i], err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return held, errors.Join(fmt.Errorf("choose a port of ferry: %w", err), held.close())
		}
	}
	return held, nil
}

func (h heldPorts) hooks() string   { return h[0].Addr().String() }
func (h heldPorts) gateway() string { return h[1].Addr().String() }
func (h heldPorts) tokens() string  { return h[2].Addr().String() }

func (h heldPorts) close() error {
	var errs []error
	for _, listener := range h {
		if listener != nil {
			errs = append(errs, listener.Close())
		}
	}
	return errors.Join(errs...)
}

// settings returns ferry's settings, as an operator would set them.
func (s *stack) settings(held heldPorts) []string {
	return []string{
		"FERRY_LISTEN=" + held.hooks(),
		"FERRY_ADMIN_LISTEN=127.0.0.1:0",
		"FERRY_HOOK_KEYS=" + s.hookKey,
		"FERRY_AUTH0_DOMAIN=" + auth0sim.DefaultDomain,
		"FERRY_AUTH0_BASE_URL=" + s.sim.url,
		"FERRY_AUTH0_CLIENT_ID=" + auth0sim.DemoClientID,
		"FERRY_AUTH0_CLIENT_SECRET=" + auth0sim.DemoClientSecret,
		"FERRY_AUTH0_REALMS=" + auth0sim.DemoConnection,
		"FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL(),
		"FERRY_KRATOS_PUBLIC_URL=" + s.kratos.PublicURL(),
		"FERRY_GATEWAY_LISTEN=" + held.gateway(),
		"FERRY_AUTH0_MGMT_CLIENT_ID=" + managementID,
		"FERRY_AUTH0_MGMT_CLIENT_SECRET=" + managementSecret,
		"FERRY_TOKEN_LISTEN=" + held.tokens(),
		"FERRY_HYDRA_PUBLIC_URL=" + s.hydra.PublicURL(),
		"FERRY_HYDRA_ADMIN_URL=" + s.hydra.AdminURL(),
		"FERRY_REMINT_CLIENTS=" + notesID,
		"FERRY_STATE_KEY=" + s.hookKey,
		"FERRY_DATA_DIR=" + s.data,
	}
}

// stop stops the programs, ferry first, because it uses the others until it ends. It fails
// if a program had exited before.
func (s *stack) stop() error {
	var errs []error
	if s.ferry != nil {
		errs = append(errs, s.ferry.Stop())
	}
	if s.kratos != nil {
		errs = append(errs, s.kratos.Stop())
	}
	if s.hydra != nil {
		errs = append(errs, s.hydra.Stop())
	}
	if s.mail != nil {
		errs = append(errs, s.mail.Close())
	}
	if s.sim != nil {
		errs = append(errs, s.sim.stop())
	}
	s.http.CloseIdleConnections()
	if s.data != "" {
		errs = append(errs, os.RemoveAll(s.data))
	}
	if s.built != "" {
		errs = append(errs, os.RemoveAll(s.built))
	}
	return errors.Join(errs...)
}

// awaitEnd returns nil when ctx ends, or an error if a program exits before.
func (s *stack) awaitEnd(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.ferry.Done():
		return errors.New("ferry exited")
	case <-s.kratos.Done():
		return errors.New("kratos exited")
	case <-s.hydra.Done():
		return errors.New("hydra exited")
	case <-s.sim.process.Done():
		return errors.New("the simulator exited")
	}
}

// gatedWriter discards writes until it is open.
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
