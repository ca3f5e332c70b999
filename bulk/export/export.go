// Package export has Auth0 export its users and writes them to a file.
//
//	create an unlinked file beside the output
//	start an export job, unless one is given, and wait until it is complete
//	download to the unlinked file; count the users and check every line
//	copy to a second file, the first user with a mark, rename it to the output
//
// The mark says that the file is an export with all fields, and of which tenant (package
// mapping).
//
// A crash leaves no output, and the job, which Auth0 keeps for a day and which the next
// run can continue. Except for the mark, users are as Auth0 sent them.
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

// stdoutName is the file name that stands for standard output.
const stdoutName = "-"

// Options say what to export and where. Auth0, Out and Progress must be set.
type Options struct {
	Auth0 *upstream.Management
	// Connection is the name or the id of the connection whose users are exported; empty:
	// all users of the tenant.
	Connection string
	// Job is the id of an earlier job to continue; empty: a new job. With a job, Connection
	// is ignored.
	Job string
	// Out is the file to write: gzip if its name ends in .gz, else NDJSON; "-" is Stdout,
	// as NDJSON.
	Out string
	// Tenant is the canonical domain of the tenant, which the first user of the file names, so
	// that `ferry import` can refuse the file for another tenant; empty: unknown.
	Tenant string
	// Force replaces Out if it exists.
	Force bool
	// Stdout must be set if Out is "-".
	Stdout io.Writer

	Progress progress.Reporter
}

// Result describes a complete export.
type Result struct {
	JobID string `json:"job_id"`
	// Users is the number of lines of the file.
	Users int64 `json:"users"`
	// Bytes is the size of what was written.
	Bytes int64  `json:"bytes"`
	Path  string `json:"path"`
}

// exporter is one export.
type exporter struct {
	Options

	fields []string // nil: all
	raw    *os.File // the file as Auth0 sends it; unlinked
}

// Run has Auth0 export users and writes them to Out, one JSON object per line. Out appears
// only when it is complete and checked: readable to its end, with a user in each line. An
// interrupted export can be continued with Job for a day; Progress says the id as soon as
// there is one. Errors wrap *upstream.ManagementError if Auth0 refused or failed.
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
	raw, err := tempfile.New(dir) // before the job, which would be useless if this fails
	switch {
	case err != nil && dir == "":
		return Result{}, fmt.Errorf("export: %w; with --out FILE it is beside FILE", err)
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

// Fetch has Auth0 export these fields of all users, and returns the file and the number of
// users. The file is gzip with one JSON object per line, as Auth0 sends it, complete and
// checked, at its start. It is in dir, or in the system's directory if dir is empty, and has no
// name; the caller closes it. The errors are those of [Run].
func Fetch(ctx context.Context, auth0 *upstream.Management, fields []string, dir string, reporter progress.Reporter) (*os.File, int64, error) {
	raw, err := tempfile.New(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("export: %w", err)
	}
	x := &exporter{Options: Options{Auth0: auth0, Progress: reporter}, fields: fields, raw: raw}
	var users int64
	if err = x.begin(ctx); err == nil {
		users, err = x.fetch(ctx)
	}
	if err == nil {
		err = x.rewind()
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("export: %w", err), raw.Close())
	}
	return raw, users, nil
}

// CheckOut returns an error if an export must not be written to path: it exists, and may not
// be replaced or is not a regular file.
func CheckOut(path string, replace bool) error {
	switch info, err := os.Lstat(path); {
	case path == "":
		return errors.New("the file to write is not named")
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

// begin starts a job and says how to continue it.
func (x *exporter) begin(ctx context.Context) error {
	request := upstream.Export{Fields: x.fields}
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
	if x.Out == "" {
		return nil
	}
	x.Progress.Say("job " + x.Job + ": to continue after an interruption: " + x.again())
	return nil
}

// plainWord matches an argument that a shell needs no quotes for.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// again returns the command that continues the job.
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
	// errJobOver means that the job will never complete.
	errJobOver = errors.New("the job has ended")
	// errAnotherJob means that the job does not export users.
	errAnotherJob = errors.New("the job does not export users as JSON; without --job ferry starts one that does")
)

// resumable adds how to continue, if that is possible.
func (x *exporter) resumable(err error) error {
	if errors.Is(err, errJobOver) || errors.Is(err, errAnotherJob) {
		return err
	}
	return fmt.Errorf("%w; Auth0 keeps the job for a day: %s", err, x.again())
}

// explained adds what the operator can do if Auth0 refused.
func explained(err error) error {
	var refusal *upstream.ManagementError
	if !errors.As(err, &refusal) {
		return err
	}
	switch {
	case refusal.Code == "insufficient_scope":
		return fmt.Errorf("%w: the Management API application needs the scope read:users, and read:connections to find a connection by its name", err)
	case refusal.Reason == upstream.ReasonNoSuchConnection:
		return fmt.Errorf("%w: the tenant has no connection of that name", err)
	case strings.HasPrefix(refusal.Reason, "token_") && !refusal.Temporary:
		return fmt.Errorf("%w: check the Management API application's id and secret, and that it is authorized for that API", err)
	}
	return err
}
