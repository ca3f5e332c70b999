package userfile

import (
	"errors"
	"io"

	"ferry/bulk/jsonstream"
)

// elements reads users that do not keep to lines: of an array, of several, side by
// side or in pages. What a user says is left to whoever decodes it.
type elements struct {
	in      *jsonstream.Reader
	format  Format
	ordinal int // of the last one read
	max     int
}

func newElements(in io.Reader, format Format, longest, held int) *elements {
	return &elements{in: jsonstream.NewReader(in, format.shape(), held), format: format, max: longest}
}

func (e *elements) next() (Row, []byte, error) {
	e.ordinal++
	row := Row{Line: e.ordinal}
	value, err := e.in.Next()
	if err != nil {
		return row, nil, e.fault(err)
	}
	if len(value) > e.max {
		row.Err = errTooLong
		return row, value, nil
	}
	row.JSON = value
	return row, value, nil
}

// fault says what is wrong in words for the file's format.
func (e *elements) fault(err error) error {
	what := map[Format]string{Array: "the array", Objects: "an object", Pages: "a page"}[e.format]
	switch {
	case errors.Is(err, jsonstream.ErrCut):
		return &fault{what + " is not closed", "the file was not copied whole"}
	case errors.Is(err, jsonstream.ErrSyntax):
		return &fault{what + " is not JSON", "fix it there, or write one user a line with jq -c, where a bad line costs nothing but itself"}
	case errors.Is(err, jsonstream.ErrTail):
		return &fault{"something stands behind the array", "a file holds arrays of users and nothing else"}
	case errors.Is(err, jsonstream.ErrNoUsers):
		return &fault{"a page has no list of users", `a page of the Management API has its users below "users"; import other objects from a file of their own`}
	case errors.Is(err, jsonstream.ErrHeld):
		return errHeld
	}
	return err
}
