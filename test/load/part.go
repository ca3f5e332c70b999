package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ferry/test/process"
)

// The parts, each a process of its own that runs this program.
const (
	partName     = "part"
	partUpstream = "upstream"
	partKratos   = "kratos"
	partBare     = "bare"
	partGenerate = "generate"

	startWait = 30 * time.Second
	stopWait  = 30 * time.Second
	poll      = 2 * time.Millisecond
	// keptOutput is how much of the beginning and of the end of a part's output is kept.
	keptOutput = 16 << 10
)

// partCommand runs one part.
func partCommand() *cobra.Command {
	return &cobra.Command{
		Use: partName + " NAME [ARGUMENT...]", Short: "Run one part; the program starts its parts itself.", Hidden: true, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == partGenerate {
				return generate(args[1:], cmd.OutOrStdout())
			}
			srv, err := servePart(args[0], args[1:])
			if err != nil {
				return err
			}
			defer srv.Close()
			fmt.Fprintln(cmd.OutOrStdout(), srv.URL)
			<-cmd.Context().Done()
			return nil
		},
	}
}

var errPart = errors.New("unknown part, or wrong arguments")

// servePart starts the server of a part.
func servePart(name string, args []string) (*httptest.Server, error) {
	switch {
	case name == partBare && len(args) == 3:
		b, err := newBare(args[0], args[1], args[2])
		if err != nil {
			return nil, err
		}
		return b.serve(), nil
	case name == partKratos && len(args) == 1:
		people, err := strconv.Atoi(args[0])
		if err != nil {
			return nil, errPart
		}
		return newKratosAdmin(people).serve(), nil
	case name == partUpstream && len(args) == 2:
		people, err := strconv.Atoi(args[0])
		if err != nil {
			return nil, errPart
		}
		u, err := newUpstream(people)
		if err != nil {
			return nil, err
		}
		return u.serve(args[1])
	}
	return nil, errPart
}

// output keeps the beginning and the end of what a process prints.
type output struct {
	mu    sync.Mutex
	first bytes.Buffer
	last  []byte
}

// Write never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first.Len() < keptOutput {
		o.first.Write(p)
	}
	if o.last = append(o.last, p...); len(o.last) > 2*keptOutput {
		o.last = append(o.last[:0], o.last[len(o.last)-keptOutput:]...)
	}
	return len(p), nil
}

func (o *output) beginning() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first.String()
}

func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.last)
}

// server is a process with an address.
type server struct {
	*process.Process

	name   string
	url    string // without a path
	output *output
}

// startPart starts a part of this program.
func startPart(ctx context.Context, name string, args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	command := process.Command{Path: self, Args: append([]string{partName, name}, args...)}
	return startServer(ctx, name, command, func(printed string) (url string, ok bool) {
		line, _, whole := strings.Cut(printed, "\n")
		return line, whole && strings.HasPrefix(line, "http")
	})
}

// startServer starts a process and waits until it has printed its address.
func startServer(ctx context.Context, name string, command process.Command, address func(printed string) (url string, ok bool)) (*server, error) {
	s := &server{name: name, output: &output{}}
	command.Output = s.output
	var err error
	if s.Process, err = command.Start(ctx); err != nil {
		return nil, err
	}
	err = waitUntil(ctx, startWait, func() (ok bool, err error) {
		if s.url, ok = address(s.output.beginning()); !ok && s.Exited() {
			return false, fmt.Errorf("ended at once: %w", s.Err())
		}
		return ok, nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w\n%s", name, err, s.output.end()), s.Stop(0))
	}
	return s, nil
}

// stop ends the process with SIGTERM and reports an unclean end.
func (s *server) stop() error {
	if err := s.Stop(stopWait); err != nil {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s ended with %w\n%s", s.name, err, s.output.end())
	}
	return nil
}

// waitUntil calls done until it is true, for at most within.
func waitUntil(ctx context.Context, within time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// attackFrom runs an attack in a process of its own.
func attackFrom(ctx context.Context, a attack) (report, error) {
	self, err := os.Executable()
	if err != nil {
		return report{}, fmt.Errorf("find this program: %w", err)
	}
	spec, err := json.Marshal(a)
	if err != nil {
		return report{}, fmt.Errorf("encode attack: %w", err)
	}
	var stdout bytes.Buffer
	command := process.Command{Path: self, Args: []string{partName, partGenerate, string(spec)}, Output: &stdout}
	if err := command.Run(ctx); err != nil {
		return report{}, fmt.Errorf("load generator: %w\n%s", err, stdout.String())
	}
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return report{}, fmt.Errorf("load generator: %w\n%s", err, stdout.String())
	}
	return r, nil
}
