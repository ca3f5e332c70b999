// Package retry repeats requests to a service that does not answer for a while. The caller
// says which errors are temporary.
package retry

import (
	"context"
	"errors"
	"time"

	"ferry/kratos"
	"ferry/outcome"
)

const (
	firstWait   = 200 * time.Millisecond
	longestWait = 5 * time.Second
)

// Do calls ask until it succeeds, its error is not temporary, or the next wait would end
// later than limit after the start. It returns the last error of ask, or that of ctx.
func Do(ctx context.Context, now func() time.Time, limit time.Duration, ask func() error, temporary func(error) bool) error {
	started := now()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := ask()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err() // the last answer does not matter any more
		case !temporary(err), now().Sub(started)+wait > limit:
			return err
		}
		if err := Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// Sleep waits for d, or returns the error of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unavailable reports whether Kratos did not answer, or refused a request for now.
func Unavailable(err error) bool {
	var fault *kratos.Error
	return errors.As(err, &fault) && fault.Outcome == outcome.Unavailable && !fault.Final()
}
