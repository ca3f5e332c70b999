package userfile

import (
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errArrayShort  = &fault{"the array is not closed", "the file was not copied whole"}
	errArraySyntax = &fault{"the array is no JSON", "mend it there, or make it NDJSON, where a bad line costs nothing but itself"}
	errArrayTail   = &fault{"something stands behind the array", "a file holds one array: import the others apart"}
)

// elements reads a JSON array. What an element says is left to whoever decodes it.
type elements struct {
	dec      *jsontext.Decoder
	ordinal  int // of the last one read
	opened   bool
	max      int
	left     *int // bytes that may be read before the element ends
	maxBytes int
}

func newElements(in io.Reader, longest, held int) *elements {
	left := held
	bounded := readerFunc(func(p []byte) (int, error) {
		if left <= 0 {
			return 0, errHeld
		}
		n, err := in.Read(p[:min(len(p), left)])
		left -= n
		return n, err
	})
	// One element's odd names or bytes are no reason to stop at all of them.
	dec := jsontext.NewDecoder(bounded, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return &elements{dec: dec, max: longest, left: &left, maxBytes: held}
}

func (e *elements) next() (Row, []byte, error) {
	e.ordinal++
	row := Row{Line: e.ordinal}
	*e.left = e.maxBytes
	if !e.opened {
		e.opened = true
		if _, err := e.dec.ReadToken(); err != nil {
			return row, nil, arrayFault(err)
		}
	}
	if e.dec.PeekKind() == ']' {
		return row, nil, e.end()
	}
	value, err := e.dec.ReadValue()
	if err != nil {
		return row, nil, arrayFault(err)
	}
	if len(value) > e.max {
		row.Err = errTooLong
		return row, value, nil
	}
	row.JSON = value
	return row, value, nil
}

// end reads what is left of the file, which has to be nothing.
func (e *elements) end() error {
	if _, err := e.dec.ReadToken(); err != nil {
		return arrayFault(err)
	}
	_, err := e.dec.ReadToken()
	var syntactic *jsontext.SyntacticError
	switch {
	case err == nil, errors.As(err, &syntactic):
		return errArrayTail
	default:
		return err // io.EOF, as it should be
	}
}

// arrayFault drops the decoder's own words, which quote the file.
func arrayFault(err error) error {
	var syntactic *jsontext.SyntacticError
	var f *fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errArrayShort
	case errors.As(err, &syntactic):
		return errArraySyntax
	default:
		return err
	}
}
