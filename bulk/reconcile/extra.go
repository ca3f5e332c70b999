package reconcile

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"ferry/bulk/results"
	"ferry/bulk/retry"
	"ferry/bulk/tempfile"
	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/provenance"
)

// extra is an active identity of a user who is not in the file.
type extra struct{ UserID, IdentityID string }

// extras keeps the extra identities in an unlinked file until all are known: only then can
// ferry tell a deletion at Auth0 from a file that has a part of the users.
type extras struct {
	file  *os.File
	buf   *bufio.Writer
	enc   *json.Encoder
	count int
}

func newExtras(dir string) (*extras, error) {
	file, err := tempfile.New(dir)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewWriter(file)
	return &extras{file: file, buf: buf, enc: json.NewEncoder(buf)}, nil
}

func (x *extras) add(one extra) error {
	x.count++
	if err := x.enc.Encode(one); err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	return nil
}

func (x *extras) each(do func(extra) error) error {
	err := x.buf.Flush()
	if err == nil {
		_, err = x.file.Seek(0, io.SeekStart)
	}
	for dec := json.NewDecoder(bufio.NewReader(x.file)); err == nil; {
		var one extra
		if err = dec.Decode(&one); err == nil {
			if err := do(one); err != nil {
				return err
			}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("read a temporary file: %w", err)
}

func (x *extras) close() error { return x.file.Close() }

// DefaultMaxExtra is the greatest share of extra identities, in percent, that are
// deactivated.
const DefaultMaxExtra = 5

// partial says why the file may lack users that Auth0 has; empty: it does not look so.
func (r *reconciler) partial() string {
	limit := r.MaxExtra
	if limit <= 0 {
		limit = DefaultMaxExtra
	}
	switch bound := r.result.activeBound; {
	case r.result.unreadable > 0:
		return fmt.Sprintf("%d rows of the file cannot be read, and may be these users", r.result.unreadable)
	case r.extras.count*100 > limit*bound && r.extras.count > 1:
		return fmt.Sprintf("%d of %d active identities are extra, more than %d %%: the file seems to have a part of the users only; --max-extra allows more", r.extras.count, bound, limit)
	}
	return ""
}

// reportExtras reports the extra identities, and deactivates them if DeactivateExtra is
// set and the file seems to be complete.
func (r *reconciler) reportExtras(ctx context.Context) error {
	keep := ""
	if r.DeactivateExtra {
		keep = r.partial()
	}
	return r.extras.each(func(one extra) error {
		f := Finding{UserID: one.UserID, IdentityID: one.IdentityID, Finding: Extra, Detail: "no such user in the file"}
		why := keep
		if r.DeactivateExtra && keep == "" {
			var err error
			if why, err = r.deactivate(ctx, one); err != nil {
				return err
			}
			f.Fixed = why == ""
		}
		if why != "" {
			f.Detail += " (not fixed: " + why + ")"
		}
		return r.found(f)
	})
}

// deactivate deactivates an extra identity and notes it, also a pending one: Auth0 has no
// such user, so no login can match meanwhile. why says why it does not.
func (r *reconciler) deactivate(ctx context.Context, one extra) (why string, err error) {
	err = retry.Do(ctx, r.Now, fixFor, func() (err error) {
		record, err := r.Kratos.Read(ctx, one.IdentityID)
		switch {
		case err != nil:
			return err
		case record.Binding.Primary() != one.UserID:
			why = "it was bound to another user meanwhile"
			return nil
		case !record.Active:
			return nil
		}
		note := provenance.Deactivation{At: r.Now(), Why: provenance.WhyDeleted}
		admin, err := provenance.Update(record.MetadataAdmin, provenance.Content{Deactivated: &note})
		if err != nil {
			why = err.Error()
			return nil
		}
		ops := jsonpatch.Diff([]string{"metadata_admin"}, record.MetadataAdmin, admin, provenance.Pointers()...)
		_, err = r.Kratos.Patch(ctx, one.IdentityID, append(ops, jsonpatch.Op{Op: "replace", Path: "/state", Value: "inactive"}))
		return err
	}, retry.Unavailable)
	var fault *kratos.Error
	if errors.As(err, &fault) && fault.Final() {
		return results.Refused(fault.Status, fault.Said).String(), nil
	}
	return why, err
}

// fixFor bounds the attempts to deactivate an identity.
const fixFor = 10 * time.Second
