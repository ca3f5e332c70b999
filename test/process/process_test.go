package process_test

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ferry/test/await"
	"ferry/test/process"
)

func shell(script string, out io.Writer) process.Command {
	return process.Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin", "WORD=given"}, Output: out}
}

// awaitOutput waits for a line of a running process.
func awaitOutput(t *testing.T, log *process.Log, text string) {
	t.Helper()
	poll(t, "output "+text, func() bool { return log.Contains(text) })
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !await.True(done) {
		t.Fatalf("timeout waiting for %s", what)
	}
}

func TestStopAsksFirst(t *testing.T) {
	t.Parallel()
	var log process.Log
	p, err := shell("trap 'echo asked; exit 3' TERM; echo up; while :; do sleep 0.01; done", &log).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	awaitOutput(t, &log, "up")
	if err := p.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if !log.Contains("asked") || p.Err() == nil || p.Err().Error() != "exit status 3" {
		t.Errorf("ended with %v after %q", p.Err(), log.String())
	}
	if err := p.Stop(time.Second); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

// TestStopKillsTheGroup: the grandchild keeps the output open, so that Stop would time
// out if it were left alive.
func TestStopKillsTheGroup(t *testing.T) {
	t.Parallel()
	var log process.Log
	p, err := shell("trap '' TERM; sleep 300 & echo up; while :; do sleep 300; done", &log).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	awaitOutput(t, &log, "up")
	if err := p.Stop(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if p.Err() == nil || errors.Is(p.Err(), exec.ErrWaitDelay) || p.Err().Error() != "signal: killed" {
		t.Errorf("ended with %v", p.Err())
	}
}

func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
	defer cancel()
	if err := shell("sleep 300", io.Discard).Run(ctx); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

func TestCommandInheritsNothing(t *testing.T) {
	t.Setenv("FERRY_CANARY", "inherited")
	var log process.Log
	if err := shell("echo $WORD; env", &log).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !log.Contains("given") || log.Contains("inherited") {
		t.Errorf("environment: %s", log.String())
	}
	var none process.Log
	if err := (process.Command{Path: "/usr/bin/env", Output: &none}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if none.String() != "" {
		t.Errorf("without an environment: %s", none.String())
	}
}

func TestStartNamesTheProgram(t *testing.T) {
	t.Parallel()
	_, err := process.Command{Path: "/nowhere/kratos"}.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "start /nowhere/kratos") {
		t.Errorf("got %v", err)
	}
}

func TestLogBufferOutlivesItsTee(t *testing.T) {
	t.Parallel()
	log := process.Log{Tee: brokenWriter{}}
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		if n, err := log.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
	}
	if got := log.Tail(2); got != "two\nthree" {
		t.Errorf("tail: %q", got)
	}
	if !log.Contains("output could not be copied: broken") {
		t.Errorf("kept: %q", log.String())
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }
