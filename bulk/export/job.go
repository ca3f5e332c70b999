package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"ferry/bulk/retry"
	"ferry/upstream"
)

const (
	// minPoll and maxPoll bound the time between two requests for the job.
	minPoll = time.Second
	maxPoll = 15 * time.Second
	// maxPollFaults is how often in a row Auth0 may fail to answer, for five minutes.
	maxPollFaults = 20
	// maxDownloads bounds the number of downloads.
	maxDownloads = 5
)

// completed waits for the job to complete. The link in it is valid for a minute.
func (x *exporter) completed(ctx context.Context) (upstream.Job, error) {
	at := -1 // percent, once the job is not complete at once
	defer func() {
		if at >= 0 {
			x.Progress.Done()
		}
	}()
	wait, faults := minPoll, 0
	for {
		job, err := x.Auth0.Job(ctx, x.Job)
		switch {
		case err == nil && job.Status == upstream.JobCompleted:
			if at >= 0 {
				at = x.show(at, 100)
			}
			return job, nil
		case err == nil && job.Status == upstream.JobFailed:
			return job, fmt.Errorf("%w: it failed at Auth0: %q", errJobOver, job.Details)
		case err == nil:
			at, faults, wait = x.show(at, job.PercentDone), 0, pollAfter(job.TimeLeft, wait)
		case ctx.Err() == nil && isTemporary(err) && faults < maxPollFaults:
			if faults++; faults == 1 {
				x.Progress.Say("Auth0 does not answer for the job, trying again: " + err.Error())
			}
			wait = maxPoll
		case isStatus(err, http.StatusNotFound):
			return job, fmt.Errorf("%w: Auth0 does not know it; it forgets jobs after a day: %w", errJobOver, err)
		case isReason(err, upstream.ReasonAnotherJob):
			return job, fmt.Errorf("%w: %w", errAnotherJob, err)
		default:
			return job, fmt.Errorf("ask for the job: %w", explained(err))
		}
		if err := retry.Sleep(ctx, wait); err != nil {
			return job, err
		}
	}
}

// withinLimits repeats a request that Auth0 refused because of its rate limit.
func (x *exporter) withinLimits(ctx context.Context, ask func() error) error {
	for faults := 0; ; faults++ {
		err := ask()
		if !isStatus(err, http.StatusTooManyRequests) || faults == maxPollFaults {
			return err
		}
		if faults == 0 {
			x.Progress.Say("Auth0's rate limit is reached, waiting")
		}
		if err := retry.Sleep(ctx, maxPoll); err != nil {
			return err
		}
	}
}

// show reports the progress at Auth0, which never decreases.
func (x *exporter) show(at, percent int) int {
	if at < 0 {
		x.Progress.Start("export at Auth0, percent", 100)
		at = 0
	}
	percent = max(at, percent)
	x.Progress.Add(int64(percent - at))
	return percent
}

// pollAfter returns the time until the next request: what Auth0 expects, else twice the
// last time.
func pollAfter(left, last time.Duration) time.Duration {
	if left <= 0 {
		left = 2 * last
	}
	return min(max(left, minPoll), maxPoll)
}

func isTemporary(err error) bool {
	var refusal *upstream.ManagementError
	return errors.As(err, &refusal) && refusal.Temporary
}

func isStatus(err error, status int) bool {
	var refusal *upstream.ManagementError
	return errors.As(err, &refusal) && refusal.Status == status
}

func isReason(err error, reason string) bool {
	var refusal *upstream.ManagementError
	return errors.As(err, &refusal) && refusal.Reason == reason
}

// fetch downloads the file and counts its users. It downloads a damaged file again, by a
// new link.
func (x *exporter) fetch(ctx context.Context) (users int64, err error) {
	for try := 1; ; try++ {
		job, err := x.completed(ctx)
		if err != nil {
			return 0, err
		}
		if err = x.download(ctx, job); err == nil {
			users, err = x.check(ctx)
		}
		if err == nil {
			return users, nil
		}
		var broken *brokenError
		if ctx.Err() != nil || try == maxDownloads || !isTemporary(err) && !errors.As(err, &broken) {
			return 0, err
		}
		x.Progress.Say("trying again: " + err.Error())
		if err := retry.Sleep(ctx, time.Duration(try)*time.Second); err != nil {
			return 0, err
		}
	}
}

// download writes what the job's link leads to into the raw file.
func (x *exporter) download(ctx context.Context, job upstream.Job) error {
	if err := x.rewind(); err != nil {
		return err
	}
	if err := x.raw.Truncate(0); err != nil {
		return fmt.Errorf("write what is downloaded: %w", err)
	}
	from, err := x.Auth0.Download(ctx, job.Location)
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	defer func() { _ = from.Close() }()
	x.Progress.Start("download, bytes", from.Size)
	defer x.Progress.Done()
	chunk := make([]byte, 1<<17)
	for {
		n, err := from.Read(chunk)
		if _, err := x.raw.Write(chunk[:n]); err != nil {
			return fmt.Errorf("write what is downloaded: %w", err)
		}
		x.Progress.Add(int64(n))
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("download: %w", err)
		}
	}
}

// rewind goes to the start of the raw file.
func (x *exporter) rewind() error {
	if _, err := x.raw.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read what was downloaded: %w", err)
	}
	return nil
}
