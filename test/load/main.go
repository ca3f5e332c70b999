// Command load measures how much ferry adds to a login: CPU, latency and memory, under load,
// beside a bare handler that does the least of the same work, and beside nginx. Every part is
// a process of its own on 127.0.0.1, and all of them are stopped by their pids at the end.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const help = `Measures ferry under load, beside (a) a bare net/http handler that makes one look-up,
one grant and one check of the ID token over the same kind of connections, and (b)
nginx as a proxy in front of (a).

Each part is a process of its own on 127.0.0.1: ferry as it is built, (a), (b), a stub of
Auth0 that answers with tokens signed at its start, a stub of Kratos' admin API, and the
load generator. What is measured:

  saturation  logins in a closed loop, as many as the machine handles, with a latency
              of Auth0 of 0, 50 and 300 ms; runs on ferry and on (a) alternate
  rates       logins in an open loop at rising rates; the latency counts from the time
              at which a login was due, so that a stall is not left out
  waiting     1,000 logins at once that wait for Auth0: the memory
  restart     two ferries with Redis behind nginx, restarted one after the other, at 200
              logins per second from a client that repeats calls as Kratos does
  soak        a constant rate for the time of --soak: memory, descriptors and goroutines

CPU time is what the kernel accounts to the process. Without --soak, everything takes about
five minutes. The exit status is 1 if an answer was wrong, if a password was sent twice, or
if a soak is not flat; with --check also if a goal is missed.`

// options are the flags.
type options struct {
	Only     []string
	Runs     int
	Time     time.Duration // of one attack
	Workers  int
	People   int
	HTTP1    bool
	Find     bool
	Soak     time.Duration
	SoakRate float64
	Timeout  time.Duration
	Ferry    string
	FerryEnv []string
	JSON     bool
	Check    bool

	latencies [3]time.Duration // of Auth0, at saturation and at rising rates; the goals are for the second
	logins    int              // waiting at once
	wait      time.Duration    // of those logins
	restart   restartOptions
}

// defaults are the options of a whole run.
func defaults() options {
	return options{
		Only: []string{"saturation", "rates", "waiting", "restart"}, Runs: 5, Time: 4 * time.Second, Workers: 32, People: 1000, SoakRate: 200, Timeout: 8 * time.Minute,
		latencies: [3]time.Duration{0, 50 * time.Millisecond, 300 * time.Millisecond}, logins: 1000, wait: 2 * time.Second, restart: restartOptions{rate: 200, restarts: 4, pause: 2 * time.Second},
	}
}

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs the program and returns its exit status.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := newCommand(stderr)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	var failed *failedError
	switch {
	case errors.As(err, &failed):
		return exitFailed
	case err != nil:
		return exitUsage
	}
	return exitOK
}

// failedError is an error of a measurement; others are of the usage.
type failedError struct{ error }

func (e *failedError) Unwrap() error { return e.error }

func newCommand(stderr io.Writer) *cobra.Command {
	opts := defaults()
	cmd := &cobra.Command{
		Use: "load", Short: "Measure ferry under load.", Long: help, Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Soak > 0 {
				opts.Only = append(opts.Only, "soak")
				opts.Timeout += opts.Soak
			}
			if err := opts.check(); err != nil {
				return err
			}
			if err := load(cmd.Context(), opts, cmd.OutOrStdout(), stderr); err != nil {
				return &failedError{err}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&opts.Only, "only", opts.Only, "what to measure, separated by commas; empty: only what --soak says")
	flags.IntVar(&opts.Runs, "runs", opts.Runs, "how often to measure ferry and (a), in turns; the median counts")
	flags.DurationVar(&opts.Time, "time", opts.Time, "how long each run takes")
	flags.IntVar(&opts.Workers, "workers", opts.Workers, "logins in flight at once, at saturation without latency")
	flags.IntVar(&opts.People, "people", opts.People, "number of users")
	flags.BoolVar(&opts.HTTP1, "http1", false, "plain HTTP/1.1 to Auth0 instead of HTTP/2 over TLS")
	flags.BoolVar(&opts.Find, "find", false, "requests without the identity, as of Kratos 1.3.1: ferry finds it by the identifier")
	flags.DurationVar(&opts.Soak, "soak", 0, "how long to soak; 0: not at all")
	flags.Float64Var(&opts.SoakRate, "soak-rate", opts.SoakRate, "logins per second of the soak")
	flags.DurationVar(&opts.Timeout, "timeout", opts.Timeout, "bound on everything but the soak")
	flags.StringVar(&opts.Ferry, "ferry", "", "the program to measure (default: build it)")
	flags.StringSliceVar(&opts.FerryEnv, "ferry-env", nil, "more of ferry's environment, such as GOGC=100")
	flags.BoolVar(&opts.JSON, "json", false, "print one JSON object instead of tables")
	flags.BoolVar(&opts.Check, "check", false, "fail if a goal is missed")
	cmd.AddCommand(partCommand())
	return cmd
}

// check reports values that cannot be used.
func (o options) check() error {
	known := []string{"saturation", "rates", "waiting", "restart", "soak"}
	for _, name := range o.Only {
		if !slices.Contains(known, name) {
			return fmt.Errorf("--only: %q is not one of %s", name, strings.Join(known, ", "))
		}
	}
	if o.Runs < 1 || o.Time <= 0 || o.Workers < 1 || o.People < 1 || o.SoakRate <= 0 || o.Timeout <= 0 {
		return errors.New("numbers and times must be positive")
	}
	return nil
}

// does reports whether the measurement was asked for.
func (o options) does(name string) bool { return slices.Contains(o.Only, name) }

// load measures, and prints what it found.
func load(ctx context.Context, opts options, stdout, stderr io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	dir, remove, err := tempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if opts.Ferry, err = buildFerry(ctx, opts, dir); err != nil {
		return err
	}
	r, err := newRig(ctx, opts, dir)
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return err
	}
	all, err := r.all(ctx, func(what string) { fmt.Fprintln(stderr, what) })
	if err != nil {
		return err
	}
	if opts.JSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(all)
	} else {
		err = all.print(stdout)
	}
	return errors.Join(err, all.fault(opts.Check))
}
