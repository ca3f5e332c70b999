package main

import (
	"context"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
)

// endSignals are the signals that end a command in order. SIGHUP is one of them, unless
// it is ignored, as under nohup.
func endSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// resumableError is why a command ended that can be run again, with a hint how.
type resumableError struct {
	error

	hint string
}

// Unwrap is the cause.
func (e resumableError) Unwrap() error { return e.error }

// message is what a person is told about an error: that the command was interrupted,
// where that is the cause, and not how Go calls it.
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

// plainWord is an argument that a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// commandLine is the command that these arguments belong to, quoted for a shell.
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
