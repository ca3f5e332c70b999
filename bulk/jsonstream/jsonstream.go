// Package jsonstream reads the objects of a JSON file one after the other, however
// they stand there: in an array, in several, side by side, or in pages of Auth0's
// Management API. It looks at no value, and its errors quote nothing of the file.
package jsonstream

import (
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// blanks are those of JSON.
const blanks = " \t\r\n"

// usersKey is where a page lists its users.
const usersKey = "users"

// What ends a file, besides io.EOF and errors of the reader.
var (
	// ErrCut is a file that ends within an array or an object.
	ErrCut = errors.New("the file ends within an array or an object")
	// ErrSyntax is text that is not JSON.
	ErrSyntax = errors.New("the text is not JSON")
	// ErrTail is text behind an array that is neither an array nor an object.
	ErrTail = errors.New("there is something else behind the array")
	// ErrHeld is a value that is longer than may be held.
	ErrHeld = errors.New("the value is too long")
	// ErrNoUsers is an object among pages that has no list of users.
	ErrNoUsers = errors.New("a page has no list of users")
)

// Reader reads a file of one of the shapes other than Lines.
type Reader struct {
	dec   *jsontext.Decoder
	pages bool
	held  int  // bytes that one value may have
	left  int  // how many may be read before it ends
	array bool // the file begins with one
	begun bool
	users int  // how deep the list of users that is open is; 0: there is none
	found bool // the page that is open has one
}

// NewReader reads values of at most held bytes, of which a few may be read in vain.
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

// newDecoder takes odd names and bytes: those of one value are no reason to stop at
// all of them.
func newDecoder(in io.Reader) *jsontext.Decoder {
	return jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Offset is where the last value ends, from the start of the input.
func (r *Reader) Offset() int64 { return r.dec.InputOffset() }

// Next gives the next value as it stands in the file, until the next call. At the end
// of the file the error is io.EOF.
func (r *Reader) Next() ([]byte, error) {
	for {
		r.left = r.held
		value, err := r.step()
		if err != nil || value != nil {
			return value, err
		}
	}
}

// step reads a value, or a token on the way to one.
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

// atTop reads what stands in no array and no page.
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

// inPage reads one name of a page, and its value unless that is the list of users.
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

// fault drops the decoder's own words, which quote the file.
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
