// Command auth0sim runs the Auth0 simulator of package test/auth0sim as a
// program, for demonstrations and black-box tests. It listens on loopback only
// and holds no real secret.
//
// It prints a line per address once it is ready, and exits with 0 when told to
// stop, with 1 when it could not serve and with 2 for wrong usage. Its subcommand gen
// makes the files of a tenant, of any size.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs the program until ctx ends or a signal says so, and returns its
// exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := newCommand(stdout, stderr)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case err != nil:
		return exitFailed
	}
	return exitOK
}
