package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
)

// endSignals returns the signals that stop a command gracefully. SIGHUP is one of them,
// unless it is ignored, as under nohup. At SIGHUP, `ferry serve` reads its mode again.
func endSignals(args []string) []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	serves := len(args) > 0 && args[0] == serveName
	if !serves && !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// resumableError is an error of a command that can be run again, with a hint.
type resumableError struct {
	error

	hint string
}

// Unwrap is the cause.
func (e resumableError) Unwrap() error { return e.error }

// startAgain adds a hint to the error of a command that starts over when it is run again, if it was
// interrupted.
func startAgain(err error) error {
	if !errors.Is(err, context.Canceled) {
		return err
	}
	return resumableError{err, "to start again, run the same command"}
}

// message returns the text of an error for the user. If the command was interrupted, it says
// so instead of "context canceled".
func message(ctx context.Context, err error) string {
	text := err.Error()
	if ctx.Err() == nil {
		return text
	}
	const interrupted = "interrupted"
	text = strings.ReplaceAll(text, context.Canceled.Error(), interrupted)
	if !strings.Contains(text, interrupted) {
		text = interrupted + ": " + text
	}
	return text
}

// plainWord matches an argument that needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// commandLine returns the command line with these arguments, quoted for a shell.
func commandLine(args []string) string {
	words := []string{"ferry"}
	for _, arg := range args {
		if !plainWord.MatchString(arg) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
