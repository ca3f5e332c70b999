// Package process runs other programs for the tests and the demo and leaves none
// behind: each has its own process group, is stopped by its pid, and on Linux is
// killed when its parent ends, for whatever reason.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// killWait bounds how long a killed process may take to be gone, and how long
// its pipes are read after its end.
const killWait = 5 * time.Second

// Command is a program to run in a process group of its own.
type Command struct {
	Path string
	Args []string
	// Env is the whole environment; nothing is inherited.
	Env []string
	Dir string
	// Output receives standard output and standard error.
	Output io.Writer
	// User is the user who runs it, which only root can choose; nil: the caller.
	User *syscall.Credential
}

// Process is a running Command.
type Process struct {
	handle *os.Process
	done   chan struct{} // closed once it was waited for
	err    error         // how it ended; read it after done
}

// Start starts the command, which runs until it ends or is stopped; ctx does not bound
// it.
//
// One goroutine, bound to its thread, starts the child and waits for it:
// Pdeathsig is sent when the thread that forked ends, not the process.
func (c Command) Start(ctx context.Context) (*Process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.Path, c.Args...)
	cmd.Env, cmd.Dir = append([]string{}, c.Env...), c.Dir // never nil: that would inherit
	cmd.Stdout, cmd.Stderr = c.Output, c.Output
	cmd.SysProcAttr = group()
	cmd.SysProcAttr.Credential = c.User
	cmd.WaitDelay = killWait

	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		p.handle = cmd.Process
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		// Kill what is left of the group: go's compilers, Kratos' Jsonnet workers.
		_ = syscall.Kill(-p.handle.Pid, syscall.SIGKILL)
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	return p, nil
}

// Run runs the command to its end, and kills it if ctx ends first.
func (c Command) Run(ctx context.Context) error {
	p, err := c.Start(ctx)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.Stop(0))
	}
}

// Pid is the process id, and that of its group.
func (p *Process) Pid() int { return p.handle.Pid }

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the process ended: nil before the end and after exit status 0.
func (p *Process) Err() error {
	if !p.Exited() {
		return nil
	}
	return p.err
}

// Ending returns how a process ended that should not have: it is never nil.
func (p *Process) Ending() error {
	if err := p.Err(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// Exited reports whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Stop sends SIGTERM, and after grace kills the group. It returns nil as soon as the
// process has ended, either way.
func (p *Process) Stop(grace time.Duration) error {
	if p.Exited() {
		return nil
	}
	if grace > 0 {
		if err := p.handle.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("terminate process %d: %w", p.handle.Pid, err)
		}
		if p.gone(grace) {
			return nil
		}
	}
	if err := syscall.Kill(-p.handle.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.handle.Pid, err)
	}
	if !p.gone(2 * killWait) {
		return fmt.Errorf("process %d is still there after it was killed", p.handle.Pid)
	}
	return nil
}

func (p *Process) gone(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}
