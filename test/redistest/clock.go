package redistest

import (
	"context"
	_ "embed" // of the library
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"ferry/test/process"
)

//go:embed testdata/clock.c
var clockSource []byte

// prepareClock makes what a Redis with a wrong clock loads: a library for Linux, built by the
// C compiler that building ferry's tests needs anyway. (libfaketime does not work with the
// allocator of Debian's redis-server.)
func (s *Server) prepareClock(ctx context.Context) error {
	source := filepath.Join(s.dir, "clock.c")
	if err := errors.Join(os.WriteFile(source, clockSource, 0o600), s.SetClock(0)); err != nil {
		return fmt.Errorf("redistest: prepare the clock: %w", err)
	}
	var log process.Log
	err := process.Command{
		Path: "/usr/bin/env", Args: []string{"cc", "-O1", "-shared", "-fPIC", "-o", s.clockLibrary(), source},
		Env: os.Environ(), Dir: s.dir, Output: &log,
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("redistest: build the clock: %w\n%s", err, log.Tail(20))
	}
	return nil
}

// SetClock makes the clock of a Redis with Options.Clock wrong by so much, from now on.
func (s *Server) SetClock(wrongBy time.Duration) error {
	file, err := os.OpenFile(s.clockFile(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.NewOffsetWriter(file, 0).Write(binary.NativeEndian.AppendUint64(nil, uint64(wrongBy.Microseconds())))
	return errors.Join(err, file.Close())
}

// clockEnv are the variables for redis-server.
func (s *Server) clockEnv() []string {
	if !s.opts.Clock {
		return nil
	}
	return []string{"LD_PRELOAD=" + s.clockLibrary(), "CLOCK_FILE=" + s.clockFile()}
}

func (s *Server) clockLibrary() string { return filepath.Join(s.dir, "clock.so") }
func (s *Server) clockFile() string    { return filepath.Join(s.dir, "clock") }
