// Package export has Auth0 export its users and writes them to a file.
//
//	create an unlinked file beside the output
//	start an export job, unless one is given, and wait until it is complete
//	download to the unlinked file; count the users and check every line
//	copy to a second file, rename it to the output
//
// A crash leaves no output, and the job, which Auth0 keeps for a day and which the next
// run can continue. The package does not interpret users beyond their ids.
package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"ferry/bulk/progress"
	"ferry/bulk/tempfile"
	"ferry/upstream"
)

// stdoutName is what standard output is called where a file is asked for.
const stdoutName = "-"

// Options are what an export is made of. Auth0, Out and Progress are required.
type Options struct {
	Auth0 *upstream.Management
	// Connection is the name or the id of the one whose users are exported; empty:
	// all users of the tenant.
	Connection string
	// Job is the id of a job that was begun before; empty: a new one. With one,
	// Connection has no say.
	Job string
	// Out is the file to write: gzip where its name ends in .gz, else NDJSON; "-" is
	// Stdout, as NDJSON.
	Out string
	// Force replaces Out where it is there already.
	Force bool
	// Stdout is required where Out is "-".
	Stdout io.Writer

	Progress progress.Reporter
}

// Result is an export that was written whole.
type Result struct {
	JobID string `json:"job_id"`
	// Users is how many lines the file has.
	Users int64 `json:"users"`
	// Bytes is the size of what was written.
	Bytes int64  `json:"bytes"`
	Path  string `json:"path"`
}

// exporting is one export under way.
type exporter struct {
	Options

	raw *os.File // the file as it comes from Auth0; it has no name
}

// Export has Auth0 export users and writes them to Out, a JSON object a line. Out
// appears only once it is whole and checked: readable to its end, a user in each
// line. What was broken off before goes on with Job, for a day; Progress is told its
// id as soon as there is one. Refusals and faults of Auth0's are
// *upstream.ManagementError below what Export says of them.
func Run(ctx context.Context, opts Options) (Result, error) {
	if opts.Auth0 == nil || opts.Progress == nil || opts.Out == stdoutName && opts.Stdout == nil {
		return Result{}, errors.New("export: auth0, progress, and an output are required")
	}
	if err := CheckOut(opts.Out, opts.Force); err != nil {
		return Result{}, fmt.Errorf("export: %w", err)
	}
	x := &exporter{Options: opts}
	dir := ""
	if x.Out != stdoutName {
		dir = filepath.Dir(x.Out)
	}
	raw, err := tempfile.New(dir) // before the job, which is in vain where nothing can be written
	switch {
	case err != nil && dir == "":
		return Result{}, fmt.Errorf("export: %w; with --out FILE it lies beside FILE", err)
	case err != nil:
		return Result{}, fmt.Errorf("export: %w", err)
	}
	x.raw = raw
	done, err := x.run(ctx)
	_ = raw.Close()
	if err != nil {
		return Result{}, fmt.Errorf("export: %w", err)
	}
	return done, nil
}

// CheckOut tells why an export may not be written there: because something is there
// already, unless it may be replaced and is a file.
func CheckOut(path string, replace bool) error {
	switch info, err := os.Lstat(path); {
	case path == "":
		return errors.New("no file to write was named")
	case path == stdoutName || errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	case !replace:
		return fmt.Errorf("%s exists; choose another name, or replace it with --force", path)
	}
	return nil
}

func (x *exporter) run(ctx context.Context) (Result, error) {
	if x.Job == "" {
		if err := x.begin(ctx); err != nil {
			return Result{}, err
		}
	}
	users, err := x.fetch(ctx)
	if err != nil {
		return Result{}, x.resumable(err)
	}
	written, err := x.write(ctx)
	if err != nil {
		return Result{}, x.resumable(err)
	}
	return Result{JobID: x.Job, Users: users, Bytes: written, Path: x.Out}, nil
}

// begin starts a job and says how to go on with it.
func (x *exporter) begin(ctx context.Context) error {
	var request upstream.Export
	if x.Connection != "" {
		err := x.withinLimits(ctx, func() (err error) {
			request.ConnectionID, err = x.Auth0.ConnectionID(ctx, x.Connection)
			return err
		})
		if err != nil {
			return fmt.Errorf("find the connection %q: %w", x.Connection, explained(err))
		}
	}
	var job upstream.Job
	err := x.withinLimits(ctx, func() (err error) {
		job, err = x.Auth0.StartExport(ctx, request)
		return err
	})
	if err != nil {
		return fmt.Errorf("start a job: %w", explained(err))
	}
	x.Job = job.ID
	x.Progress.Say("job " + x.Job + ": to go on after an interruption: " + x.again())
	return nil
}

// plainWord is what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// again is the command that goes on with the job.
func (x *exporter) again() string {
	out := x.Out
	if !plainWord.MatchString(out) {
		out = "'" + strings.ReplaceAll(out, "'", `'\''`) + "'"
	}
	command := "ferry export --job " + x.Job + " --out " + out
	if x.Force {
		command += " --force"
	}
	return command
}

var (
	// errJobOver is a job that nothing more will come of.
	errJobOver = errors.New("the job is over")
	// errAnotherJob is one that never was an export of users.
	errAnotherJob = errors.New("that job does not export users as JSON; without --job ferry begins one that does")
)

// resumable adds how to go on, where that is possible.
func (x *exporter) resumable(err error) error {
	if errors.Is(err, errJobOver) || errors.Is(err, errAnotherJob) {
		return err
	}
	return fmt.Errorf("%w; Auth0 keeps the job for a day: %s", err, x.again())
}

// explained adds what an operator can do about a refusal of Auth0's.
func explained(err error) error {
	var refusal *upstream.ManagementError
	if !errors.As(err, &refusal) {
		return err
	}
	switch {
	case refusal.Code == "insufficient_scope":
		return fmt.Errorf("%w: the Management API application needs the scope read:users, and read:connections to find a connection by its name", err)
	case refusal.Reason == upstream.ReasonNoSuchConnection:
		return fmt.Errorf("%w: the tenant has none of that name", err)
	case strings.HasPrefix(refusal.Reason, "token_") && !refusal.Temporary:
		return fmt.Errorf("%w: check the Management API application's id and secret, and that it is authorized for that API", err)
	}
	return err
}
