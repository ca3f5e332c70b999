package userfile

import (
	"errors"
	"io"

	"ferry/bulk/inputfile"
	"ferry/bulk/jsonstream"
)

// elements reads users that are not one per line. It does not interpret them.
type elements struct {
	in      *jsonstream.Reader
	format  Format
	ordinal int // of the last one
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

// fault returns an error in the terms of the file's format.
func (e *elements) fault(err error) error {
	what := map[Format]string{Array: "the array", Objects: "an object", Pages: "a page"}[e.format]
	switch {
	case errors.Is(err, jsonstream.ErrCut):
		return inputfile.NewFault(what+" is not closed", "copy the whole file again")
	case errors.Is(err, jsonstream.ErrSyntax):
		return inputfile.NewFault(what+" is not JSON", "fix it there, or write one user per line with jq -c: then a bad line affects no other")
	case errors.Is(err, jsonstream.ErrTail):
		return inputfile.NewFault("there is other text after the array", "a file may contain arrays of users and nothing else")
	case errors.Is(err, jsonstream.ErrNoUsers):
		return inputfile.NewFault("a page has no list of users", `a page of the Management API lists its users under "users"; import other objects from a separate file`)
	case errors.Is(err, jsonstream.ErrHeld):
		return errHeld
	}
	return err
}
