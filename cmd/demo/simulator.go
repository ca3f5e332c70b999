package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/process"
)

const (
	simStartLimit = 20 * time.Second
	simStopGrace  = 5 * time.Second
	simPoll       = 5 * time.Millisecond
	// simAnnounces precedes the address of the control API in the simulator's output.
	simAnnounces = "control API listens on "
)

// simulator is a running auth0sim with the demo tenant.
type simulator struct {
	process *process.Process
	log     *process.Log
	control auth0sim.Control
	url     string
}

// startSimulator starts the simulator and returns when it answers.
func startSimulator(ctx context.Context, path string, client *http.Client) (*simulator, error) {
	s := &simulator{log: &process.Log{}, control: auth0sim.Control{Client: client}}
	var err error
	s.process, err = process.Command{
		Path:   path,
		Args:   []string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--domain", auth0sim.DefaultDomain},
		Output: s.log,
	}.Start(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, simStartLimit)
	defer cancel()
	if err = s.awaitAnnouncement(ctx); err == nil {
		s.url, _, err = s.control.Health(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the simulator: %w\n%s", err, s.log.Tail(logTail)), s.process.Stop(0))
	}
	return s, nil
}

// awaitAnnouncement waits for the address of the control API.
func (s *simulator) awaitAnnouncement(ctx context.Context) error {
	ticker := time.NewTicker(simPoll)
	defer ticker.Stop()
	for {
		_, rest, _ := strings.Cut(s.log.String(), simAnnounces)
		if address, _, whole := strings.Cut(rest, "\n"); whole {
			s.control.URL = address
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.process.Done():
			return errors.New("it exited immediately")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop stops the simulator. It fails if the simulator had exited before.
func (s *simulator) stop() error {
	if s.process.Exited() {
		return fmt.Errorf("the simulator exited:\n%s", s.log.Tail(logTail))
	}
	return s.process.Stop(simStopGrace)
}
