// Command build makes a program of a nested module, kratos or hydra, and prints where it is.
// It is for `make kratos` and `make hydra`; the tests build what they run themselves.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"ferry/test/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := build(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build(ctx context.Context, names []string, stdout, progress io.Writer) error {
	for _, name := range names {
		p, ok := program.Find(name)
		if !ok {
			return fmt.Errorf("build: no program %q", name)
		}
		path, err := p.Binary(ctx, progress)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, path)
	}
	return nil
}
