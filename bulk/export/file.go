package export

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"ferry/bulk/tempfile"
	"ferry/mapping"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxExportLine is more than any user needs, in bytes.
	maxExportLine = 16 << 20
	// exportStep is the number of lines between two checks of the context.
	exportStep = 1024
)

// brokenError means that the downloaded file is damaged.
type brokenError struct{ cause error }

func (e *brokenError) Error() string { return "the downloaded file is damaged: " + e.cause.Error() }
func (e *brokenError) Unwrap() error { return e.cause }

// check reads the raw file to its end and counts the users.
func (x *exporter) check(ctx context.Context) (users int64, err error) {
	if err := x.rewind(); err != nil {
		return 0, err
	}
	x.Progress.Start("users checked", 0)
	defer x.Progress.Done()
	return countUsers(x.raw, func(n int64) error {
		x.Progress.Add(n)
		return ctx.Err()
	})
}

// countUsers reads gzip with one JSON object per line, each of which must have a user id. It
// calls step from time to time with the number of further users; an error of step ends it.
func countUsers(compressed io.Reader, step func(int64) error) (users int64, err error) {
	plain, err := gzip.NewReader(bufio.NewReader(compressed))
	if err != nil {
		return 0, &brokenError{err}
	}
	told := int64(0)
	lines := bufio.NewReaderSize(plain, 1<<16)
	for line, ended := 1, false; !ended; line++ {
		var row []byte
		switch row, ended, err = nextLine(lines); {
		case errors.Is(err, bufio.ErrTooLong):
			return 0, fmt.Errorf("line %d is longer than %d bytes", line, maxExportLine)
		case err != nil:
			return 0, &brokenError{err}
		case len(row) > 0 && !isUser(row):
			return 0, fmt.Errorf("line %d is not a user: the export is incomplete, or is not one of users as JSON", line)
		case len(row) > 0:
			users++
		}
		if ended || line%exportStep == 0 {
			if err := step(users - told); err != nil {
				return 0, err
			}
			told = users
		}
	}
	return users, nil
}

// nextLine returns a line without surrounding blanks, and whether it is the last one. The
// line is valid until the next call.
func nextLine(lines *bufio.Reader) (row []byte, last bool, err error) {
	row, err = lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		var long []byte
		for errors.Is(err, bufio.ErrBufferFull) {
			if long = append(long, row...); len(long) > maxExportLine {
				return nil, false, bufio.ErrTooLong
			}
			row, err = lines.ReadSlice('\n')
		}
		if row = append(long, row...); len(row) > maxExportLine {
			return nil, false, bufio.ErrTooLong
		}
	}
	if errors.Is(err, io.EOF) {
		last, err = true, nil
	}
	return bytes.TrimSpace(row), last, err
}

func isUser(row []byte) bool {
	var user struct {
		ID string `json:"user_id"`
	}
	err := json.Unmarshal(row, &user, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return err == nil && user.ID != ""
}

// write writes the checked file to Out.
func (x *exporter) write(ctx context.Context) (written int64, err error) {
	if x.Out == stdoutName {
		return x.copyTo(ctx, x.Stdout)
	}
	err = tempfile.Replace(x.Out, func(to *os.File) error {
		if written, err = x.pack(ctx, to); err != nil {
			return err
		}
		return CheckOut(x.Out, x.Force) // another program may have created it meanwhile
	})
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", x.Out, err)
	}
	return written, nil
}

// pack writes a file, as gzip if its name says so, and returns its size.
func (x *exporter) pack(ctx context.Context, to *os.File) (int64, error) {
	if !strings.HasSuffix(x.Out, ".gz") {
		return x.copyTo(ctx, to)
	}
	packed := gzip.NewWriter(to)
	_, err := x.copyTo(ctx, packed)
	if err = errors.Join(err, packed.Close()); err != nil {
		return 0, err
	}
	return to.Seek(0, io.SeekCurrent)
}

// copyTo writes the lines of the raw file, the first user with the mark of an export, and the
// others unchanged.
func (x *exporter) copyTo(ctx context.Context, to io.Writer) (written int64, err error) {
	if err := x.rewind(); err != nil {
		return 0, err
	}
	plain, err := gzip.NewReader(bufio.NewReader(x.raw))
	if err != nil {
		return 0, err
	}
	lines := bufio.NewReaderSize(untilDone{ctx.Err, plain}, 1<<16)
	for marked, last := false, false; !marked && !last; {
		var row []byte
		if row, last, err = nextLine(lines); err != nil {
			return written, err
		}
		if len(row) == 0 {
			continue
		}
		if user, err := mapping.Mark(row, x.Tenant); err == nil {
			row, marked = user, true
		}
		n, err := to.Write(append(slices.Clone(row), '\n'))
		if written += int64(n); err != nil {
			return written, err
		}
	}
	n, err := io.Copy(to, lines)
	return written + n, err
}

// untilDone reads until err returns an error.
type untilDone struct {
	err  func() error
	from io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
