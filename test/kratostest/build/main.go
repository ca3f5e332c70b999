// Command build makes the real Kratos that the tests and the demo run, and
// prints where it is. It is for `make kratos`; the tests build it themselves.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"ferry/test/kratostest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	path, err := kratostest.Binary(ctx, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "build Kratos:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, path)
}
