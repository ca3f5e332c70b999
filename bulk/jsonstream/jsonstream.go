// Package jsonstream reads the objects of a JSON file one by one: from one or more
// arrays, side by side, or from pages of Auth0's Management API. It does not interpret
// the objects, and its errors quote nothing of the file.
package jsonstream

import (
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// blanks are the blank characters of JSON.
const blanks = " \t\r\n"

// usersKey is the key under which a page lists its users.
const usersKey = "users"

// The errors that end a file, besides io.EOF and read errors.
var (
	// ErrCut reports a file that ends within an array or an object.
	ErrCut = errors.New("the file ends within an array or an object")
	// ErrSyntax reports text that is not JSON.
	ErrSyntax = errors.New("the text is not JSON")
	// ErrTail reports text after an array that is neither an array nor an object.
	ErrTail = errors.New("there is other text after the array")
	// ErrHeld reports a value that is longer than the reader may buffer.
	ErrHeld = errors.New("the value is too long")
	// ErrNoUsers reports a page without a list of users.
	ErrNoUsers = errors.New("a page has no list of users")
)

// Reader reads a file of a shape other than Lines.
type Reader struct {
	dec   *jsontext.Decoder
	pages bool
	held  int  // maximum bytes of one value
	left  int  // bytes that may be read before the value ends
	array bool // the file begins with an array
	begun bool
	users int  // depth of the open list of users; 0: none is open
	found bool // the open page has a list of users
}

// NewReader returns a reader of values of at most about held bytes.
func NewReader(in io.Reader, shape Shape, held int) *Reader {
	r := &Reader{pages: shape == Pages, held: held, left: held}
	r.dec = newDecoder(readerFunc(func(p []byte) (int, error) {
		if r.left <= 0 {
			return 0, ErrHeld
		}
		n, err := in.Read(p[:min(len(p), r.left)])
		r.left -= n
		return n, err
	}))
	return r
}

// newDecoder accepts duplicate names and invalid UTF-8, so that they make one value
// invalid and not the file.
func newDecoder(in io.Reader) *jsontext.Decoder {
	return jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Offset returns where the last value ends in the input.
func (r *Reader) Offset() int64 { return r.dec.InputOffset() }

// Next returns the bytes of the next value, valid until the next call. At the end of the
// file the error is io.EOF.
func (r *Reader) Next() ([]byte, error) {
	for {
		r.left = r.held
		value, err := r.step()
		if err != nil || value != nil {
			return value, err
		}
	}
}

// step reads a value, or a token before one.
func (r *Reader) step() ([]byte, error) {
	next := r.dec.PeekKind()
	within, _ := r.dec.StackIndex(r.dec.StackDepth())
	switch {
	case within == '{':
		return nil, r.inPage(next)
	case next == ']' && within == '[':
		if r.dec.StackDepth() == r.users {
			r.users = 0
		}
		return nil, r.token()
	case r.dec.StackDepth() == 0:
		return r.atTop(next)
	case next == '{' && r.pages && r.users == 0:
		r.found = false
		return nil, r.token()
	}
	return r.value()
}

// atTop reads a token or value outside of arrays and pages.
func (r *Reader) atTop(next jsontext.Kind) ([]byte, error) {
	switch {
	case next == '[', next == '{' && r.pages:
		r.array = r.array || !r.begun && next == '['
		r.begun, r.found = true, false
		return nil, r.token()
	case next == '{':
		r.begun = true
		return r.value()
	}
	_, err := r.dec.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case r.array && (err == nil || isSyntactic(err)):
		return nil, ErrTail
	case err == nil:
		return nil, ErrSyntax
	}
	return nil, fault(err)
}

// inPage reads one name of a page, and its value unless it is the list of users.
func (r *Reader) inPage(next jsontext.Kind) error {
	if next == '}' {
		if !r.found {
			return ErrNoUsers
		}
		return r.token()
	}
	name, err := r.dec.ReadToken()
	if err != nil {
		return fault(err)
	}
	if name.String() == usersKey && r.dec.PeekKind() == '[' {
		r.users, r.found = r.dec.StackDepth()+1, true
		return r.token()
	}
	return fault(r.dec.SkipValue())
}

func (r *Reader) value() ([]byte, error) {
	value, err := r.dec.ReadValue()
	return value, fault(err)
}

func (r *Reader) token() error {
	_, err := r.dec.ReadToken()
	return fault(err)
}

func isSyntactic(err error) bool {
	var syntactic *jsontext.SyntacticError
	return errors.As(err, &syntactic)
}

// fault replaces the decoder's errors, which quote the file.
func fault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrHeld):
		return ErrHeld
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return ErrCut
	case isSyntactic(err):
		return ErrSyntax
	}
	return err
}
