// Command demo starts the Auth0 simulator, the real Kratos and ferry on this
// machine, takes people across, and says at every step what it measured; `demo replay`
// makes recorded calls of the hooks again instead. It exits
// with 0 when everything was as expected, with 1 when something was not, with 2
// for wrong usage, and with 130 or 143 when a signal cut it short.
//
// It leaves nothing behind: no process however it ends (on Linux), and no folder
// unless it is killed.
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

// execute runs the program and returns its exit code. Signals are caught to its
// end: a second one does not cut the stopping short, which is bounded.
func execute(ctx context.Context, args []string, stdout, stderr *os.File) int {
	// A reader that leaves (demo | head) becomes an error of writing, so that
	// everything is stopped as usual.
	signal.Ignore(syscall.SIGPIPE)
	ends := []os.Signal{syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
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

// on reads KEEP=1 as a person means it.
func on(value string) bool { return value != "" && value != "0" }

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// failedError is work that did not succeed; every other error is wrong usage.
type failedError struct{ error }

func (e failedError) Unwrap() error { return e.error }

// options are what the surroundings say.
type options struct {
	keep           bool // leave everything running after the narration
	colours        bool
	stdout, stderr io.Writer
}

// newCommand tells the story; what else there is are subcommands.
func newCommand(o options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Take people from a simulated Auth0 to the real Kratos, narrated",
		Long: "Takes people from a simulated Auth0 to the real Kratos, and says at every step\n" +
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

// run tells the story.
func run(ctx context.Context, o options) error {
	return withStack(ctx, o, func(ctx context.Context, s *stack, n *narrator) error { return perform(ctx, s, n, o.keep) })
}

// withStack starts the stack, runs play with it, and stops it in any case.
func withStack(ctx context.Context, o options, play func(context.Context, *stack, *narrator) error) error {
	n := &narrator{out: o.stdout, colours: o.colours}
	s, err := startStack(ctx, o.stderr, n)
	if err == nil {
		err = play(ctx, s, n)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = context.Cause(ctx) // which signal; what it broke off is of no interest
	}
	return errors.Join(err, s.stop())
}

// perform tells the story. With keep it leaves the stack running until ctx
// ends. That end is a good one.
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
