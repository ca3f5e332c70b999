package kratos

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxPause is the longest delay between two attempts if Kratos names none.
const maxPause = 30 * time.Second

// retrier repeats a request that was answered with 429: Ory Network limits the request
// rate of a project, and answers so before it does anything. It wraps reader, so that it
// holds no connection while it waits.
type retrier struct {
	next    http.RoundTripper
	attempt time.Duration // bounds one attempt
	wait    time.Duration // bounds all waits of a request together
	pause   time.Duration // the first wait if the answer names none; doubled each time
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error
}

// RoundTrip implements http.RoundTripper. It returns the last 429 if the next wait would
// exceed the bounds.
func (r retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close() // all of it is read
	}
	left, pause := r.wait, r.pause
	for {
		resp, err := r.try(req, body)
		if err != nil || resp.StatusCode != http.StatusTooManyRequests {
			return resp, err
		}
		wait, named := retryAfter(resp.Header, r.now())
		if !named {
			wait, pause = pause, min(2*pause, maxPause)
		}
		if wait > left {
			return resp, nil
		}
		switch err := r.sleep(req.Context(), wait); {
		case req.Context().Err() != nil:
			return nil, req.Context().Err()
		case err != nil:
			return resp, nil
		}
		left -= wait
	}
}

// try sends the request once, within the time of one attempt.
func (r retrier) try(req *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), r.attempt)
	defer cancel() // reader has read the answer
	again := req.Clone(ctx)
	if req.Body != nil {
		again.Body, again.GetBody = io.NopCloser(bytes.NewReader(body)), nil
	}
	return r.next.RoundTrip(again)
}

// retryAfter returns how long an answer asks to wait: from Retry-After (RFC 9110, 10.2.3),
// or from x-ratelimit-reset, which Ory Network sends. It is at least one second, because
// waits of 0 would never reach the bound on their sum.
func retryAfter(header http.Header, now time.Time) (wait time.Duration, named bool) {
	for _, name := range []string{"Retry-After", "X-Ratelimit-Reset"} {
		value := header.Get(name)
		if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
			return max(time.Duration(seconds)*time.Second, time.Second), true
		}
		if at, err := http.ParseTime(value); err == nil {
			return max(at.Sub(now), time.Second), true
		}
	}
	return 0, false
}

// sleep waits. It returns at once with an error if the context would end first.
func sleep(ctx context.Context, wait time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
