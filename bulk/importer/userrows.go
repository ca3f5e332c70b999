package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"ferry/bulk/userfile"
)

// userRows reads rows of the users file again for the updates of a pass, because the plan does
// not keep them: few rows of a plan need theirs, or the plan has no other data of them. It
// reads forward only, as far as it is asked for.
type userRows struct {
	next func() (userfile.Row, error, bool)
	stop func()
}

func newUserRows(ctx context.Context, users *userfile.Source) *userRows {
	next, stop := iter.Pull2(users.Rows(ctx))
	return &userRows{next, stop}
}

// of returns the row of a line. Lines must be asked for in the order of the file.
func (r *userRows) of(line int) ([]byte, error) {
	for {
		row, err, more := r.next()
		switch {
		case err != nil:
			return nil, err
		case !more:
			return nil, errors.New("read users file: the file became shorter since it was planned")
		case row.Line == line:
			return bytes.Clone(row.JSON), nil
		case row.Line > line:
			return nil, fmt.Errorf("read users file: line %d is not there any more", line)
		}
	}
}
