// Command demo starts the Auth0 simulator, the real Kratos and Hydra, and ferry on this
// machine, migrates users and an application, and prints what it measured at every step;
// `demo replay` replays recorded hook calls instead. Exit status: 0: all as expected, 1: not as expected, 2: wrong usage,
// 130 or 143: ended by a signal.
//
// It leaves no process behind, however it ends (on Linux), and no folder unless it is
// killed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitInterrupt  = 128 + int(syscall.SIGINT)
	exitTerminated = 128 + int(syscall.SIGTERM)
)

func main() { os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs the program and returns its exit status. A second signal does not interrupt
// the shutdown, whose time is bounded.
func execute(ctx context.Context, args []string, stdout, stderr *os.File) int {
	// If the reader of a pipe exits (demo | head), a write fails, and the demo stops as
	// usual.
	signal.Ignore(syscall.SIGPIPE)
	ends := []os.Signal{syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // ignored under nohup
		ends = append(ends, syscall.SIGHUP)
	}
	terminated, release := signal.NotifyContext(ctx, ends...)
	defer release()
	interrupted, release := signal.NotifyContext(terminated, os.Interrupt)
	defer release()

	cmd := newCommand(options{
		keep:    on(os.Getenv("KEEP")),
		colours: isTerminal(stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		stdout:  stdout,
		stderr:  stderr,
	})
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(interrupted)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "demo:", err)
	var failed failedError
	switch {
	case !errors.As(err, &failed):
		return exitUsage
	case !errors.Is(err, context.Canceled):
		return exitFailed
	case terminated.Err() != nil:
		return exitTerminated
	default:
		return exitInterrupt
	}
}

// on reports whether a variable such as KEEP is set, and not 0.
func on(value string) bool { return value != "" && value != "0" }

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// failedError is a failure of the work. Every other error is wrong usage.
type failedError struct{ error }

func (e failedError) Unwrap() error { return e.error }

// options come from the environment.
type options struct {
	keep           bool // leave everything running after the narration
	colours        bool
	stdout, stderr io.Writer
}

// newCommand returns the root command, which runs the story.
func newCommand(o options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Migrate users from a simulated Auth0 to the real Kratos, with explanations",
		Long: "Migrates users from a simulated Auth0 to the real Kratos, and prints at every step\n" +
			"what it measured. KEEP=1 in the environment leaves everything running until Ctrl-C.",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := run(cmd.Context(), o); err != nil {
				return failedError{err}
			}
			return nil
		},
	}
	cmd.AddCommand(replayCommand(o))
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetOut(o.stdout)
	cmd.SetErr(o.stderr)
	return cmd
}

// run runs the story.
func run(ctx context.Context, o options) error {
	return withStack(ctx, o, func(ctx context.Context, s *stack, n *narrator) error { return perform(ctx, s, n, o.keep) })
}

// withStack starts the stack, runs play with it, and always stops it.
func withStack(ctx context.Context, o options, play func(context.Context, *stack, *narrator) error) error {
	n := &narrator{out: o.stdout, colours: o.colours}
	s, err := startStack(ctx, o.stderr, n)
	if err == nil {
		err = play(ctx, s, n)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = context.Cause(ctx) // the signal, not the interrupted step
	}
	return errors.Join(err, s.stop())
}

// perform runs the story. With keep it then leaves the stack running until ctx ends, which
// is not an error.
func perform(ctx context.Context, s *stack, n *narrator, keep bool) error {
	t := &story{stack: s, say: n}
	err := t.tell(ctx)
	if err == nil && keep {
		err = keepRunning(ctx, s, n)
	}
	if err == nil && t.wrong > 0 {
		err = fmt.Errorf("%d facts were not as expected; the end of ferry's log:\n%s", t.wrong, tail(s.ferry.Logs()))
	}
	return err
}
