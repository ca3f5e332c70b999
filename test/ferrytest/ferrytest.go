// Package ferrytest runs the program ferry, as an operator would, for the
// end-to-end tests and the demo.
package ferrytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"ferry/test/process"
)

const (
	startWait = 20 * time.Second
	stopWait  = 30 * time.Second
	poll      = 5 * time.Millisecond
)

// Options say which ferry to run and with which settings.
type Options struct {
	// Binary is the program.
	Binary string
	// Env are its settings, "FERRY_…=value". ferry inherits no other variables.
	Env []string
	// Under is a command with its arguments that runs the program, in the same process; empty:
	// none.
	Under []string
	// LogFile is where that command sends what ferry prints; empty: nowhere else.
	LogFile string
	// Output receives a copy of what ferry prints, in addition to Logs.
	Output io.Writer
}

// Ferry is a running `ferry serve`.
type Ferry struct {
	process *process.Process
	log     *process.Log
	logFile string
	hooks   string
	admin   string
	gateway string // empty: none
	checks  string // empty: none
	tokens  string // empty: none
}

// Start returns when ferry listens. ctx bounds the start only; ferry runs until Stop.
// The error of a failed start ends with ferry's output.
func Start(ctx context.Context, opts Options) (*Ferry, error) {
	f := &Ferry{log: &process.Log{Tee: opts.Output}, logFile: opts.LogFile}
	var err error
	command := append(slices.Clone(opts.Under), opts.Binary, "serve")
	f.process, err = process.Command{Path: command[0], Args: command[1:], Env: opts.Env, Output: f.log}.Start(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for !f.listens() {
		select {
		case <-ticker.C:
		case <-f.process.Done():
			return nil, fmt.Errorf("ferry ended at once (%w):\n%s", f.process.Err(), f.log.Tail(20))
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("ferry does not listen: %w\n%s", ctx.Err(), f.log.Tail(20)), f.process.Stop(0))
		}
	}
	return f, nil
}

// listens looks for the log line with the addresses.
func (f *Ferry) listens() bool {
	for line := range strings.Lines(f.Logs()) {
		var said struct {
			Msg, Hooks, Admin, Gateway string
			ForwardAuth                string `json:"forward_auth"`
			TokenFront                 string `json:"token_front"`
			TLS                        bool
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "listening" {
			scheme := "http://"
			if said.TLS {
				scheme = "https://"
			}
			f.hooks, f.admin = scheme+said.Hooks, scheme+said.Admin
			if said.Gateway != "" {
				f.gateway = scheme + said.Gateway
			}
			if said.ForwardAuth != "" {
				f.checks = scheme + said.ForwardAuth
			}
			if said.TokenFront != "" {
				f.tokens = scheme + said.TokenFront
			}
			return true
		}
	}
	return false
}

// HooksURL is the hooks listener, without a path.
func (f *Ferry) HooksURL() string { return f.hooks }

// AdminURL is the admin listener, without a path.
func (f *Ferry) AdminURL() string { return f.admin }

// GatewayURL is the gateway, without a path; empty if there is none.
func (f *Ferry) GatewayURL() string { return f.gateway }

// ForwardAuthURL is where proxies ask, without a path; empty if there is none.
func (f *Ferry) ForwardAuthURL() string { return f.checks }

// TokenFrontURL is the token front, without a path; empty if there is none.
func (f *Ferry) TokenFrontURL() string { return f.tokens }

// Logs returns everything that ferry has printed so far.
func (f *Ferry) Logs() string {
	text, err := os.ReadFile(f.logFile)
	if err != nil {
		text = nil // there is no file, or none yet
	}
	return f.log.String() + string(text)
}

// Pid is ferry's process id.
func (f *Ferry) Pid() int { return f.process.Pid() }

// Done is closed when ferry has ended.
func (f *Ferry) Done() <-chan struct{} { return f.process.Done() }

// Kill ends ferry with SIGKILL.
func (f *Ferry) Kill() error { return f.process.Stop(0) }

// Stop ends ferry with SIGTERM and returns an error if it did not exit cleanly. It can
// be called again.
func (f *Ferry) Stop() error {
	if err := f.process.Stop(stopWait); err != nil {
		return err
	}
	if err := f.process.Err(); err != nil {
		return fmt.Errorf("ferry ended with %w:\n%s", err, f.log.Tail(20))
	}
	return nil
}
